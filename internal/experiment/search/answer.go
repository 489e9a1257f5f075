package search

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Answer is what a search found. Rates are per second; 0 is unknown.
type Answer struct {
	Lower, Upper   float64    // the loads that held, confirmed if one was, and did not hold, as tried
	Confirmed      float64    // the interval to quote: no higher than Lower/(1+ε) and the credible interval's end …
	Refuted        float64    // … and no lower than Upper and its other end; at least Resolution wide. With a foresight that counts, the credible interval; with Collapse, lowered
	IsConfirmed    bool       // the lower bound held a confirmation
	Width          float64    // Refuted ÷ Confirmed − 1
	Promised       float64    // w of the effort, a half-width
	Planned        float64    // w the search went for: above Promised when the target was too slow or too uneven
	Resolution     float64    // ε of all trials at the lower bound together
	Credible       *Posterior // nil without open trials
	MeanMs         float64    // response time at Lower, over the bins of its longest trial that are steady (MSER-5) …
	MeanHalfMs     float64    // … with its 95 % half-width by batch means; 0: too few bins to say
	Best           float64    // highest goodput of any level
	Users          int        // the largest closed level within the limits; 0: none
	Knee           float64    // N*; 0: unknown
	Foreseen       *Foreseen  // nil: trials alone keep the promise, or no queue explains the target
	Aging          *Aging     // nil: it is not plain that the target lost capacity meanwhile, or cannot be told
	Collapse       *Collapse  // nil: the interval is not lowered for it
	GeneratorLimit string     // the load at which the generator was the limit
	Method, Note   string     // for people
}

// Aging of a target that most likely lost capacity while it was searched.
type Aging struct {
	Percent float64 // of its capacity, in …
	Seconds float64 // … from the middle of the first trial to that of the last
	Likely  float64 // how likely it is that it lost any
}

// Collapse in the end of a target that takes longer the more requests are inside it: the interval is lowered to what holds for ten minutes.
type Collapse struct {
	SlowerPercent  float64 // an answer, for each request inside
	LoweredPercent float64 // the lower end, from what the trials say
	Seconds        float64 // for which the lower load held
}

// Foreseen capacity: what a queue that completes Busy per second when it is never idle, at work of variance C2 (over the square of
// its mean), holds according to theory.
type Foreseen struct {
	foresight
	PerSecond, Percent float64 // ± at 95 %
	Busy, C2           float64
	Against            string // why the interval does not rest on it; "" when it does
}

// Counts says whether the interval rests on it; on nil it does not.
func (f *Foreseen) Counts() bool { return f != nil && f.Against == "" }

// Answer of the trials so far.
func (p Plan) Answer(trials []Trial) Answer {
	v := p.view(trials)
	a := Answer{Best: v.best(), Promised: v.pace.width, Planned: v.planned().width}
	for _, t := range v.levels {
		if t.Verdict.Outcome == Pass {
			a.Users = max(a.Users, t.Action.Users)
		}
	}
	a.Knee, _ = Knee(trials)
	if t := v.generatorLimit(); t != nil {
		a.GeneratorLimit = t.Action.String()
	}
	if len(v.opens) > 0 {
		v.interval(&a)
	}
	a.Method, a.Note = v.method(&a), v.note(&a)
	return a
}

// interval fills in the bounds: the quoted interval is max(w, ε, credible interval) wide (measurement 3.5), or, where a foresight counts, the
// credible interval.
func (v *view) interval(a *Answer) {
	e := v.evidence()
	b := v.bounds(e)
	held := 0.0 // the largest load that held; Lower is less where a smaller one was confirmed
	if b.lo != nil {
		held = b.lo.load
		a.Lower = held
		for i := range e {
			if e[i].confirmed && e[i].load <= held {
				a.Lower, a.IsConfirmed = e[i].load, true
			}
		}
	}
	if b.hi != nil {
		a.Upper = b.hi.load
	}
	known := v.believe(e)
	quoted, f := known.quoted, known.foreseen
	a.Credible, a.Foreseen = &known.posterior, f
	if p := known.aging.likely(); p >= agesFrom {
		seconds := v.ago[&v.trials[0]]
		a.Aging = &Aging{Percent: 100 * -math.Expm1(-seconds*known.aging.rate()/p), Seconds: seconds, Likely: p}
	}
	n := 0.0
	for _, t := range v.opens {
		if sameLoad(t.Action.PerSecond, a.Lower) {
			n += t.Window.Offered
		}
	}
	a.Resolution = Resolution(v.noise(), n)
	if a.Lower > 0 {
		a.MeanMs, a.MeanHalfMs = v.latencyAt(a.Lower)
	}
	if f.Counts() {
		a.Confirmed, a.Refuted, a.Width = quoted.Low, quoted.High, quoted.High/quoted.Low-1
		return
	}
	eps := a.Resolution
	switch {
	case a.Lower > 0: // n arrivals without a backlog show that capacity is not below load/(1+ε)
		a.Confirmed = min(a.Lower/(1+eps), quoted.Low)
	case quoted.Low > 1.1*quoted.least:
		a.Confirmed, eps = quoted.Low, 0
	}
	switch _, why := v.nextDoubling(); {
	case a.Upper > 0:
		a.Refuted = max(a.Upper, quoted.High)
	case why == rampFlat || why == rampLimit: // a load above what the target can complete at all must build a backlog
		a.Refuted = max(v.best()*(1+v.bestResolution()), held*(1+eps), quoted.High)
	}
	if a.Confirmed <= 0 || a.Refuted <= 0 {
		v.forLong(a)
		return
	}
	if f != nil { // one of the two is wrong, and nobody knows which
		r := math.Exp(z95 * f.sd)
		a.Confirmed, a.Refuted = min(a.Confirmed, f.PerSecond/r), max(a.Refuted, f.PerSecond*r)
	}
	if want := 1 + max(v.pace.width, eps); a.Refuted/a.Confirmed < want {
		grow := math.Sqrt(want * a.Confirmed / a.Refuted)
		a.Confirmed /= grow
		a.Refuted *= grow
	}
	v.forLong(a)
	a.Width = a.Refuted/a.Confirmed - 1
}

const (
	credibleShare = 0.90
	// unevenShare is asked of the quoted interval where c² is above uneven: verdicts of trials that are short against such a target's queue
	// scatter more than the model says. One exponential server, 500 quick searches: 94.8 % hold the truth with 90, 95.4 % with 93.
	unevenShare = 0.93
	uneven      = 0.5
	// foreseenShare is asked where a foresight counts: nothing else widens that interval.
	foreseenShare = 0.95
	beyond        = 1.5 // how far beyond the loads tried capacity may lie
)

// belief is what the open loads say of capacity, with theory where it counts, and the part of that to quote.
type belief struct {
	posterior, quoted Posterior
	foreseen          *Foreseen // nil: none
	aging             aging
}

func (v *view) believe(e []evidence) belief {
	before := prior{scatter: v.scatter(), aging: v.aging(), ago: v.ago}
	before.least, before.most = v.plausible(e)
	share := v.pace.share
	if v.noise() > uneven {
		share = max(share, unevenShare)
	}
	b := belief{posterior: credible(v.trials, before, credibleShare), foreseen: v.foreseen(e, before.aging), aging: before.aging}
	if f := b.foreseen; f != nil {
		before.foreseen = &f.foresight
		theory := credible(v.trials, before, credibleShare)
		if f.Against == "" && theory.Evidence < b.posterior.Evidence {
			f.Against = "the open loads are likelier without it"
		}
		if f.Counts() {
			b.posterior, share = theory, foreseenShare
		}
	}
	b.quoted = b.posterior.between(share)
	return b
}

// foreseen is the foresight of a target whose open loads alone would not keep the promise, and what speaks against it; nil without one.
func (v *view) foreseen(e []evidence, age aging) *Foreseen {
	if !v.wide() {
		return nil
	}
	s, ok := v.station(age)
	if !ok {
		return nil
	}
	f := v.foresee(&s)
	if f == nil {
		return nil
	}
	now := f.mean - age.rate()*f.ago
	out := &Foreseen{foresight: *f, PerSecond: math.Exp(now), Percent: 100 * z95 * f.sd, Busy: s.perSecond * math.Exp(-age.rate()*s.ago), C2: s.c2}
	failed := func(x evidence) bool { return x.refuted && math.Log(x.load) < now-f.sd }
	switch {
	case !v.seen(Pass) || !v.seen(Fail):
		out.Against = "no open load held, or none failed, to bear it out"
	case s.fell:
		out.Against = "throughput fell with more users, or later"
	case slices.ContainsFunc(e, failed):
		out.Against = "a longer trial failed well below that"
	}
	return out
}

// seen says whether any open load had this outcome.
func (v *view) seen(o Outcome) bool {
	return slices.ContainsFunc(v.opens, func(t *Trial) bool { return t.Verdict.Outcome == o })
}

// longestAt is the longest trial that a load held, the later of two; nil when it held none.
func (v *view) longestAt(load float64) (longest *Trial) {
	for _, t := range v.opens {
		if sameLoad(t.Action.PerSecond, load) && t.Verdict.Outcome == Pass && (longest == nil || t.Window.Seconds >= longest.Window.Seconds) {
			longest = t
		}
	}
	return longest
}

// latencyAt a load is the mean of its longest passing trial, and how well it is known. Near saturation that is badly, whatever
// the search promises for the load (measurement 3.2c).
func (v *view) latencyAt(load float64) (meanMs, half float64) {
	longest := v.longestAt(load)
	if longest == nil {
		return 0, 0
	}
	m, half, _ := BatchMeans(settled(longest.Window.latency()))
	if math.IsInf(half, 0) {
		half = 0
	}
	return m, half
}

// scatter weighs each s by what the saturated closed levels say of it: their goodputs are the capacity, seen several times.
// Normal likelihood of ln X with variance s² + (ε/z)², its mean integrated out. Without it three trials a bound cannot rule
// out s = 8 %, and a thorough search of a steady target would answer no better than a standard one.
func (v *view) scatter() []float64 {
	out := make([]float64, len(spreads))
	for i, s := range spreads {
		var w, wy, wyy, logs float64
		for _, t := range v.levels {
			x := &t.Window
			if x.MeanMs < 2*v.quietMs() || x.errorRatio() > hopelessErrors || x.OK == 0 {
				continue
			}
			eps := Resolution(v.variability(), x.OK) / z95
			y, p := math.Log(x.Goodput()), 1/(s*s+eps*eps)
			w += p
			wy += p * y
			wyy += p * y * y
			logs += math.Log(p)
		}
		if w > 0 {
			out[i] = (logs - math.Log(w) - (wyy - wy*wy/w)) / 2
		}
	}
	// Goodput that falls from level to level (retrograde scaling) is no scatter: levels may speak against a large s only. Relative
	// to the smallest, before exp: after a collapse the likelihoods themselves are all 0.
	for i := range out[1:] {
		out[i+1] = math.Exp(min(0, out[i+1]-out[0]))
	}
	out[0] = 1
	return out
}

// plausible range of a capacity. The design's, up to 2 × the best closed level, leaves the lapses of two or three verdicts a
// long empty tail to fill: a load above what a saturated target completes must build a backlog, so where the ramp found its
// end that goodput, as far as it is resolved, is the top, unless a higher open load passed.
func (v *view) plausible(e []evidence) (least, most float64) {
	least, most = e[0].load/beyond, max(2*v.best(), beyond*e[len(e)-1].load)
	if _, why := v.nextDoubling(); why != rampFlat && why != rampLimit {
		return least, most
	}
	top := v.best() * (1 + 2*v.bestResolution())
	for i := range e {
		if e[i].good > 0 {
			top = max(top, e[i].load*(1+2*Resolution(v.noise(), e[i].load*e[i].good)))
		}
	}
	return least, min(most, top)
}

// bestResolution is ε of the throughput of the best closed level (measurement 3.2a).
func (v *view) bestResolution() float64 {
	n := 0.0
	for _, t := range v.levels {
		if t.Window.Goodput() >= v.best() {
			n = t.Window.OK
		}
	}
	return Resolution(v.noise(), n)
}

func (v *view) method(a *Answer) string {
	what := "stability capacity, no limit given: errors<1%, no growing backlog, p95 at most 5 times that of one user"
	if len(v.Limits) > 0 {
		what = "limits " + strings.Join(v.Limits, ", ")
	}
	if len(v.opens) == 0 {
		return "closed levels only, one run (within-run), " + what
	}
	theory := ""
	switch {
	case a.Foreseen.Counts():
		theory = ", and theory of one queue"
	case a.Collapse != nil:
		theory = ", and theory of how it collapses"
	}
	return fmt.Sprintf("closed ramp, then open loads (slotted arrivals) bisected, classed and confirmed%s, one run (within-run), %s", theory, what)
}

func (v *view) note(a *Answer) string {
	var out []string
	if a.GeneratorLimit != "" {
		out = append(out, "generator limit at "+a.GeneratorLimit)
	}
	switch {
	case a.Best <= 0:
		out = append(out, "no level completed anything")
	case len(v.opens) > 0 && a.Lower <= 0 && v.seen(Pass):
		out = append(out, "what held in one trial did not in another, and nothing below held")
	case len(v.opens) > 0 && a.Lower <= 0:
		out = append(out, "no open load held the limits")
	case len(v.opens) > 0 && !a.IsConfirmed:
		out = append(out, "the lower bound was not confirmed by a longer trial")
	}
	if len(v.opens) > 0 && a.Upper <= 0 {
		if a.Refuted > 0 {
			out = append(out, "no open load failed: the upper bound is what the closed levels gave at most")
		} else {
			out = append(out, "no open load failed: capacity may be higher")
		}
	}
	switch f := a.Foreseen; {
	case len(v.opens) == 0 || a.Planned <= a.Promised*1.001:
	case f == nil:
		out = append(out, fmt.Sprintf("the target is too slow or too uneven for ±%.3g %% in this effort's time: the search aimed at ±%.3g %%", 100*a.Promised, 100*a.Planned))
	case f.Against != "":
		out = append(out, fmt.Sprintf("too slow or too uneven for ±%.3g %% in this effort's time, the search aimed at ±%.3g %%; a queue of %.3g/s would hold %.3g/s ± %.2g %%, but %s",
			100*a.Promised, 100*a.Planned, f.Busy, f.PerSecond, f.Percent, f.Against))
	default:
		out = append(out, fmt.Sprintf("open loads alone would tell ±%.3g %% in the time that was left: the interval rests on theory too, by which a queue that completes %.3g/s when it is never idle holds %.3g/s ± %.2g %%",
			100*a.Planned, f.Busy, f.PerSecond, f.Percent))
	}
	if g := a.Aging; g != nil {
		out = append(out, fmt.Sprintf("the target got slower while it was searched, by about %.2g %% in %.0f s (%.0f %% likely that it did at all): the interval is for the end of the search", g.Percent, g.Seconds, math.Floor(100*g.Likely)))
	}
	if c := a.Collapse; c != nil {
		out = append(out, fmt.Sprintf("each request inside makes an answer take %.2g %% longer, so that loads near the bounds hold for a while and then collapse: by theory of that the lower end, for ten minutes, is %.2g %% below what trials of %.0f s say",
			c.SlowerPercent, c.LoweredPercent, c.Seconds))
	}
	if a.Credible != nil && a.Credible.Noisy() {
		out = append(out, "noisy target")
	}
	return strings.Join(out, "; ")
}
