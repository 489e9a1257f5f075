package search

import (
	"math"
	"slices"
)

// Open loads: bisect between a load that holds and one that does not, try both until they are classed, confirm the lower or a load a little below it.

// evidence is every valid open trial at one load.
type evidence struct {
	load      float64
	good, bad float64 // seconds of trials that passed and failed
	lower     bool    // classed: the target holds it
	upper     bool    // classed: it does not
	confirmed bool
	refuted   bool // a confirmation failed
}

// leansUpper and leansLower: what most of the time at this load says; neither on a tie.
func (e *evidence) leansUpper() bool { return e.refuted || e.bad > e.good }
func (e *evidence) leansLower() bool { return !e.refuted && e.good > e.bad }

// evidence per load, lowest load first, classed by RFC 9971, section 5.4: with D the wanted sum of durations and what is
// missing of it counted as bad (pessimistic) or good (optimistic), a load is a lower bound when its pessimistic exceed
// ratio is at most 0.5, and an upper bound when its optimistic one is above 0.5. Two trials of a third of D decide when
// they agree, and a third breaks a tie.
func (v *view) evidence() []evidence {
	var out []evidence
	full := v.planned().full
	for _, t := range v.opens {
		i := slices.IndexFunc(out, func(e evidence) bool { return sameLoad(e.load, t.Action.PerSecond) })
		if i < 0 {
			out = append(out, evidence{load: t.Action.PerSecond})
			i = len(out) - 1
		}
		e := &out[i]
		passed := t.Verdict.Outcome == Pass
		if passed {
			e.good += t.Window.Seconds
		} else {
			e.bad += t.Window.Seconds
		}
		if t.Action.Phase == PhaseConfirm {
			e.confirmed = e.confirmed || passed
			e.refuted = e.refuted || !passed
		}
	}
	for i := range out {
		e := &out[i]
		sum := max(classSum*full*0.99, e.good+e.bad)
		e.lower = !e.refuted && (sum-e.good)/sum <= exceedRatio
		e.upper = e.refuted || e.bad/sum > exceedRatio
	}
	slices.SortFunc(out, func(a, b evidence) int { return compare(a.load, b.load) })
	return out
}

const (
	exceedRatio = 0.5 // RFC 9971 recommends it
	classSum    = 3.0 // full trials
)

func sameLoad(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(a, b) }

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// bounds of a search in progress. Loss inversion is resolved conservatively: the smallest load that does not hold is the
// upper bound, whatever larger ones did, and the lower bound is the largest that holds below it.
type bounds struct {
	lo, hi   *evidence // nil: nothing measured yet
	tie      *evidence // undecided load between them
	from, to float64   // lo and hi, or where to look for them
}

func (v *view) bounds(e []evidence) bounds {
	var b bounds
	w := 1 + v.planned().width
	for i := range e {
		if e[i].leansUpper() {
			b.hi = &e[i]
			break
		}
		if e[i].leansLower() {
			b.lo, b.tie = &e[i], nil
		} else {
			b.tie = &e[i]
		}
	}
	from, to := v.start()
	fails, passes := 0, 0
	for i := range e {
		if e[i].leansUpper() && e[i].load <= from*1.000001 {
			fails++
		}
		if e[i].leansLower() && e[i].load >= to*0.999999 {
			passes++
		}
	}
	b.from, b.to = from, to
	if b.hi != nil {
		b.to = b.hi.load
		if b.from >= b.to*0.999999 { // even the first guess does not hold: down, in steps that double
			b.from = b.to / math.Pow(w, math.Pow(2, float64(max(fails-1, 0))))
		}
	}
	if b.lo != nil {
		b.from = b.lo.load
		if b.hi == nil && b.to <= b.from*1.000001 { // more than the first guess holds: up likewise
			b.to = b.from * math.Pow(w, math.Pow(2, float64(max(passes-1, 0))))
		}
	}
	return b
}

// start is where bisection begins: from a closed level's goodput that held the limits to 1.1 × the highest of any level,
// more by what a trial needs to show a backlog.
// The highest of several noisy levels is too high by chance, and a trial at capacity itself is a coin toss, so a lower
// bound as high as that is moved half a width below it.
func (v *view) start() (from, to float64) {
	best := v.best()
	w := 1 + v.planned().width
	within := v.within()
	if within == 0 {
		within = best / 2
	}
	to = max(1.1, math.Sqrt(w)) * (1 + Resolution(v.noise(), best*v.planned().short)) * best
	return min(within, best/math.Sqrt(w)), to
}

// confirmable is the load that a confirmation is made at: the one it is for, or, where there is time for a single confirmation, the largest that
// takes next to nothing from the interval, which begins at the posterior's lower end anyway; two widths less at most. The largest load
// that held is the luckiest one: two of five confirmations at it failed in simulated quick searches of the bundled services.
func (v *view) confirmable(e []evidence, a *Action) float64 {
	if after := v.spent + a.cost(); len(v.opens) == 0 || after > overrun*v.budget || after+a.cost() <= overrun*v.budget {
		return a.PerSecond
	}
	low := v.believe(e).quoted.Low * (1 + Resolution(v.noise(), a.PerSecond*a.Measured))
	w := 1 + v.planned().width
	return min(a.PerSecond, max(low, a.PerSecond/(w*w)))
}

// within is the highest goodput of a closed level that held the limits; 0 when none did.
func (v *view) within() (x float64) {
	for _, t := range v.levels {
		if t.Verdict.Outcome == Pass {
			x = max(x, t.Window.Goodput())
		}
	}
	return x
}

// nextOpen is the next open trial, or the hand-over.
func (v *view) nextOpen() Action {
	if v.best() <= 0 {
		return Action{Kind: Break, Why: "no closed level completed anything"}
	}
	if n := len(v.trials); n > 0 && v.trials[n-1].Window.Skipped && v.trials[n-1].Action.Kind == Open {
		return Action{Kind: Break, Why: "a person ended the search"}
	}
	e := v.evidence()
	failed := 0
	for i := range e {
		if e[i].confirmed {
			return Action{Kind: Break, Why: "the lower bound is confirmed"}
		}
		if e[i].refuted {
			failed++
		}
	}
	if failed >= confirmTries {
		return Action{Kind: Break, Why: "no lower bound was confirmed"}
	}
	b := v.bounds(e)
	if b.from < leastOfBest*v.best() || b.to > mostOfBest*v.best() {
		return Action{Kind: Break, Why: "open loads and closed levels contradict each other"}
	}
	next := v.open(PhaseClassify, b.from)
	w := v.planned().width
	switch {
	case failed == 1: // lowered by one width: confirmed or not, without another round
		next = v.open(PhaseConfirm, max(b.from, b.to/(1+w)))
	case failed > 1 && b.lo == nil: // nothing holds that did: the target changes
		next = v.open(PhaseConfirm, b.to/(1+w)/(1+w))
	case failed > 1: // to what has held before
		next = v.open(PhaseConfirm, b.from)
	case b.tie != nil:
		next = v.open(PhaseClassify, b.tie.load)
	case b.to/b.from > (1+w)*1.001 && (b.lo != nil || b.hi != nil || v.within() > 0 && b.to/b.from > farApart):
		next = v.open(PhaseBracket, math.Sqrt(b.from*b.to))
	case b.to/b.from > (1+w)*1.001:
		next = v.open(PhaseBracket, b.from) // RFC 9971: the lower load first
	case b.lo == nil || !b.lo.lower:
	case b.hi == nil || !b.hi.upper:
		next = v.open(PhaseClassify, b.to)
	default:
		next = v.open(PhaseConfirm, b.from)
	}
	confirm := v.open(PhaseConfirm, b.from)
	if again := v.busyAgain(); again.Kind != 0 && v.spent+again.cost()+confirm.cost() <= overrun*v.budget {
		last := b.lo != nil && v.spent+next.cost()+again.cost()+confirm.cost() > v.budget
		if next.Phase == PhaseConfirm || last {
			return again
		}
	}
	if next.Phase != PhaseConfirm && v.spent+next.cost()+confirm.cost() > v.budget {
		next = confirm
		next.Why = "the time is nearly over"
	}
	if next.Phase == PhaseConfirm {
		next.PerSecond = v.confirmable(e, &next)
	}
	sure := b.lo != nil && b.lo.lower && sameLoad(b.lo.load, next.PerSecond)
	if left := overrun*v.budget - v.spent - next.Warm; next.cost() > left+next.Warm && (b.lo == nil || failed == 1 && !sure) && left >= v.planned().full {
		next = v.open(PhaseClassify, next.PerSecond) // too late to confirm, not too late to find a load that holds
	}
	if v.spent+next.cost() > overrun*v.budget {
		return Action{Kind: Break, Why: "the time for the search is over"}
	}
	return next
}

const (
	confirmTries = 3
	// farApart: bounds of this ratio, the lower of which a closed level has held, are bisected at once: a trial at it would say little more.
	farApart = 1.5
	// overrun: a last confirmation may take this much of the budget, rather than leave everything before it unconfirmed.
	overrun = 1.04
	// Open loads far from what the closed levels gave: the target changed, and bisection would chase it.
	leastOfBest = 0.02
	mostOfBest  = 8
)

// open makes the action of an open trial.
func (v *view) open(phase string, perSecond float64) Action {
	plan := v.planned()
	a := Action{Kind: Open, Phase: phase, PerSecond: perSecond, Warm: v.openWarm(), Cooldown: v.cooldown()}
	switch phase {
	case PhaseBracket:
		a.Measured = plan.short
	case PhaseConfirm:
		a.Measured = plan.confirm
	default:
		a.Measured = plan.full
	}
	return a
}

// openWarm fills an empty target: the fixed floor of measurement 3.3, which is max(2 s, 3·R).
func (v *view) openWarm() float64 { return min(max(v.warm, 3*v.quietMs()/1000), 30) }
