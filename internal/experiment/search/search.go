// Package search DECIDES which load comes next, and what all of them say of a target's capacity.
//
// It is pure: a plan and the finished trials in, the next action or the answer out. No clock, no input or output, no memory
// of its own, so that a search runs against simulated queues of known capacity in virtual time, and a run folder's trials
// can be asked again. It never sends a request and never explains a number.
//
// The way up (measurement 3.4): closed levels of 1, 2, 4 … users, which cannot build an unbounded queue; then open loads,
// bisected between what the levels held and more than they ever gave; then both bounds tried again until they are classed
// (RFC 9971); then the lower one, or one a little below it, confirmed; then the target is handed over, to be overloaded and watched.
package search

import "fmt"

// Plan is what a search is asked to do. The zero value is a quick search without limits.
type Plan struct {
	Effort Effort
	Limits []string // expressions of the limits on load; none: stability capacity
	// QuietMs is the response time of the idle target, for the time left before anything is measured; 0 when unknown.
	QuietMs float64
	// ArrivalC2 is c_a² of how open loads arrive: 0 slotted and constant, 1 Poisson.
	ArrivalC2 float64
	// Latency is what the limits on load ask of response times; nil when they ask for nothing, or for something that is no percentile of all of them.
	Latency []Percentile
	// TimeoutS is the longest time a request is waited for; 0 when unknown.
	TimeoutS float64
}

// Percentile of response times with its limit.
type Percentile struct{ Quantile, LimitMs float64 } // quantile in (0, 1)

// Kind of an Action.
type Kind int

// Kinds. Break hands a healthy target over to the overload, Recover a wounded one to the recovery watch at once, and
// Done ends a search whose overload is over.
const (
	Closed Kind = iota + 1
	Open
	Drain
	Break
	Recover
	Done
)

// Phases of trials.
const (
	PhaseBaseline = "baseline"
	PhaseRamp     = "ramp"
	PhaseLevel    = "level"
	PhaseBracket  = "bracket"
	PhaseClassify = "classify"
	PhaseConfirm  = "confirm"
	PhaseOverload = "overload"
)

// Action is what to do next.
type Action struct {
	Kind      Kind
	Phase     string
	Users     int     // Closed
	PerSecond float64 // Open
	Warm      float64 // seconds of load that are not measured
	Measured  float64 // seconds that are
	Cooldown  float64 // seconds without load before it
	Why       string  // one short sentence for people
}

// Drained says what the check after a failed trial found.
type Drained int

// Unchecked until a Drain action is carried out. Dry: nothing in flight and the probes as fast as before. Wounded: not.
const (
	Unchecked Drained = iota
	Dry
	Wounded
)

// Trial is a finished action with what it measured, as Judge made it.
type Trial struct {
	Action  Action
	Window  Window
	Verdict Verdict
	Drain   Drained
}

// comparisonUsers is the level every search measures: latency at 10 concurrent is the figure services are compared by.
const comparisonUsers = 10

// DrainSeconds is how long a target gets to become dry before it counts as wounded.
const DrainSeconds = 30

// Next decides. Trials are in the order they were run; the same trials always give the same action.
func (p Plan) Next(trials []Trial) Action {
	v := p.view(trials)
	if n := len(trials); n > 0 {
		last := &trials[n-1]
		if last.Action.Phase == PhaseOverload {
			return Action{Kind: Done, Why: "the overload is over"}
		}
		if last.Verdict.Outcome == Fail && last.Drain == Unchecked {
			return Action{Kind: Drain, Phase: "drain", Measured: DrainSeconds, Why: "the trial failed: is the target dry again?"}
		}
		if last.Drain == Wounded {
			return Action{Kind: Recover, Why: "the target was not dry again after " + last.Action.String()}
		}
		late := last.Action.Kind == Closed && len(v.opens) > 0 // a second busy level: the search goes on without it
		if last.Verdict.Outcome == Invalid && !last.Window.Skipped && !late {
			if v.generatorLimit() != nil {
				return Action{Kind: Break, Why: "generator limit at " + last.Action.String()}
			}
			again := last.Action
			if again.Kind == Open && v.spent+again.cost() > overrun*v.budget {
				return Action{Kind: Break, Why: "no time was left to repeat a trial that said nothing"}
			}
			again.Cooldown = v.cooldown()
			again.Why = "again: " + last.Verdict.Reasons[0]
			return again
		}
	}
	if users, phase := v.nextLevel(); users > 0 {
		return v.level(users, phase)
	}
	return v.nextOpen()
}

// String says the load in one short phrase.
func (a Action) String() string {
	switch {
	case a.Users == 1:
		return "1 user"
	case a.Users > 0:
		return fmt.Sprintf("%d users", a.Users)
	}
	return fmt.Sprintf("%.4g/s", a.PerSecond)
}

// cost of an action in seconds of load.
func (a Action) cost() float64 {
	if a.Kind == Closed || a.Kind == Open {
		return a.Warm + a.Measured
	}
	return 0
}

// view is the finished trials, sorted for decisions.
type view struct {
	Plan
	pace
	trials []Trial
	levels []*Trial           // valid closed levels, in the order of the run
	opens  []*Trial           // valid open trials
	spent  float64            // seconds of load
	ago    map[*Trial]float64 // from the middle of a trial to that of the last one, s of load and cooldowns: waits for a dry target are left out
}

func (p Plan) view(trials []Trial) *view {
	v := &view{Plan: p, pace: p.pace(), trials: trials, ago: make(map[*Trial]float64, len(trials))}
	middle, end := 0.0, 0.0
	opened := false
	for i := range trials {
		t := &trials[i]
		if t.Action.Kind == Open && !opened { // once: what a later busy level shows would move the end of a search that is nearly over
			opened = true
			v.budgetFor()
		}
		if t.Action.Phase == PhaseOverload {
			continue
		}
		v.spent += t.Action.Warm + t.Window.Seconds
		middle = end + t.Action.Cooldown + t.Action.Warm + t.Window.Seconds/2
		end = middle + t.Window.Seconds/2
		v.ago[t] = -middle
		switch {
		case t.Verdict.Outcome == Invalid:
		case t.Action.Kind == Closed:
			v.levels = append(v.levels, t)
		case t.Action.Kind == Open:
			v.opens = append(v.opens, t)
		}
	}
	if !opened {
		v.budgetFor()
	}
	for t := range v.ago {
		v.ago[t] += middle
	}
	return v
}

// budgetFor is decided by the levels so far.
func (v *view) budgetFor() {
	if v.variability() > uneven {
		v.budget = v.unevenBudget
	}
}

// generatorLimit is the trial at which the generator was the limit twice in a row.
func (v *view) generatorLimit() *Trial {
	n := len(v.trials)
	if n < 2 {
		return nil
	}
	a, b := &v.trials[n-2], &v.trials[n-1]
	if a.Verdict.Outcome == Invalid && b.Verdict.Outcome == Invalid && !a.Window.Skipped && !b.Window.Skipped &&
		a.Action.Users == b.Action.Users && a.Action.PerSecond == b.Action.PerSecond {
		return b
	}
	return nil
}

// cooldown lets queues and connections of the last trial settle: at least five quiet response times (measurement 3.4).
func (v *view) cooldown() float64 {
	if len(v.trials) == 0 {
		return 0
	}
	return max(v.pace.cooldown, min(5*v.quietMs()/1000, 10))
}

func (v *view) quietMs() float64 {
	if t := v.one(); t != nil {
		return t.Window.MeanMs
	}
	return v.QuietMs
}
