package search

import (
	"fmt"
	"math"
)

// Outcome of a trial: three, because a trial whose generator was the limit says nothing about the target.
type Outcome string

// Outcomes, in the words of run.json.
const (
	Pass    Outcome = "pass"
	Fail    Outcome = "fail"
	Invalid Outcome = "invalid"
)

// Verdict on a trial. Reasons are never empty unless it passed.
type Verdict struct {
	Outcome    Outcome
	Reasons    []string
	Resolution float64 // ε of an open trial, as a fraction of its load; 0 for a closed level
}

// Validity thresholds (measurement 3.4).
const (
	startShare    = 0.99
	startSlack    = 2    // arrivals: the slots at both ends of a window; 1 % of a short trial is less than one arrival
	lagFloorMs    = 1.0  // below it lag is the timer's
	lagShare      = 0.02 // of the limit
	cpuShare      = 0.8
	connWaitFloor = 1.0  // ms
	pauseFloor    = 1.0  // ms
	pausedShare   = 0.01 // of a trial: less than that moves no percentile that is told
)

// StallSeconds is for how long captest may stand still during a trial, in s: beyond it a trial is invalid, open or closed. Requests
// that were in flight then waited for captest, and what the target did meanwhile was not seen.
const StallSeconds = 1

// StoodStill is the reason of a trial that is invalid for it, in s.
func StoodStill(seconds float64) string {
	return fmt.Sprintf("captest itself stood still for %.1f s", seconds)
}

// PauseAllowedMs is how long a pause of the generator's garbage collection may be when the latency limit is limitMs, or, without
// one, what was measured.
func PauseAllowedMs(limitMs float64) float64 { return max(pauseFloor, lagShare*limitMs) }

// Paused says whether the generator's garbage collection stood in the way: its pauses are too long at p99, and those that are
// took more than 1 % of the time, so that they may have moved the percentiles. One alone on a busy machine does not.
func Paused(p99Ms, pausedMs, allowedMs, seconds float64) string {
	if p99Ms <= allowedMs || pausedMs <= 1000*pausedShare*seconds {
		return ""
	}
	return fmt.Sprintf("captest's garbage collection stopped it: pauses of %.3g ms (p99), allowed %.3g ms, %.0f ms in all", p99Ms, allowedMs, pausedMs)
}

// Target thresholds (measurement 3.4).
const (
	errorLimit = 0.01
	// errorSlack: of 60 requests one is already 1.7 %. A trial that short passes with one error and fails with two.
	errorSlack    = 0.5
	stableFactor  = 5    // rule 2': p95 may be this many times that of one user
	backlogFloor  = 3    // requests
	backlogShare  = 0.02 // of the arrivals
	driftP        = 0.01
	driftOfMean   = 0.10
	completeShare = 0.98
	// latencyBlur: a latency near saturation resolves the load by z²·(1+ρ)·(c_a²+c_s²)/(ρ³·ε²) arrivals (measurement 3.2d),
	// at ρ = 0.9 so much worse than a backlog.
	latencyBlur = 1.6
	// plainExcess: a latency this many times its limit is no chance of the window.
	plainExcess = 1.5
)

// Judge makes a trial of what an action measured, given the trials before it.
func (p Plan) Judge(before []Trial, a Action, w Window) Trial {
	v := p.view(before)
	t := Trial{Action: a, Window: w, Verdict: Verdict{Outcome: Pass}}
	if a.Kind == Open {
		t.Verdict.Resolution = Resolution(v.noise(), w.Offered)
	}
	if why := v.invalid(a, &w); why != "" {
		t.Verdict.Outcome, t.Verdict.Reasons = Invalid, []string{why}
		return t
	}
	reasons, backlog := v.failures(a, &w)
	if len(reasons) > 0 {
		t.Verdict.Outcome, t.Verdict.Reasons = Fail, reasons
		if !backlog && w.errorRatio() < plainExcess*errorLimit && max(w.Excess, w.P95Ms/max(v.allowedMs(&w), 1e-9)) < plainExcess {
			t.Verdict.Resolution = min(1, latencyBlur*t.Verdict.Resolution)
		}
	}
	return t
}

// invalid says why a trial's numbers would be about the generator instead of the target; "" when they are about the target.
func (v *view) invalid(a Action, w *Window) string {
	allowed := max(lagFloorMs, lagShare*v.allowedMs(w))
	paused := Paused(w.PauseP99Ms, w.PausedMs, PauseAllowedMs(v.allowedMs(w)), w.Seconds)
	switch {
	case w.Ended != "":
		return "ended early: " + w.Ended
	case w.Seconds <= 0:
		return "nothing was measured"
	case w.LocalErrors > 0:
		return fmt.Sprintf("captest ran out of its own descriptors or ports (%.0f requests)", w.LocalErrors)
	case w.Stalled > StallSeconds:
		return StoodStill(w.Stalled)
	case w.CPU > cpuShare:
		return fmt.Sprintf("captest itself used %.0f %% of its cores", 100*w.CPU)
	case paused != "":
		return paused
	case w.ConnWaitMs > max(connWaitFloor, lagShare*v.allowedMs(w)):
		return fmt.Sprintf("requests waited %.1f ms (p99) for a connection of captest's own", w.ConnWaitMs)
	case a.Kind != Open:
		return ""
	case w.Offered+w.Unsent < startShare*a.PerSecond*w.Seconds-startSlack:
		return fmt.Sprintf("captest began %.4g arrivals a second of %.4g", (w.Offered+w.Unsent)/w.Seconds, a.PerSecond)
	case w.LagP99Ms > allowed:
		return fmt.Sprintf("captest sent late: p99 of the schedule lag %.1f ms, allowed %.1f ms", w.LagP99Ms, allowed)
	}
	return ""
}

// allowedMs is the latency limit in force: the given one, or what stability allows, or, before that is known, what was measured.
func (v *view) allowedMs(w *Window) float64 {
	if w.AllowedMs > 0 {
		return w.AllowedMs
	}
	if quiet := v.quietP95(); quiet > 0 {
		return stableFactor * quiet
	}
	return w.P95Ms
}

// quietP95 of the level of one user; 0 before it is measured.
func (v *view) quietP95() float64 {
	if t := v.one(); t != nil {
		return t.Window.P95Ms
	}
	return 0
}

// failures says in what the target failed, and whether requests piled up.
func (v *view) failures(a Action, w *Window) (out []string, backlog bool) {
	if w.Completed == 0 {
		return []string{fmt.Sprintf("nothing completed in %.0f s", w.Seconds)}, true
	}
	out = append(out, w.Broken...)
	if all := w.Completed + w.Dropped; len(v.Limits) == 0 && tooMany(all-w.OK, all) {
		out = append(out, fmt.Sprintf("errors<1%%: %.3g %%", 100*w.errorRatio()))
	}
	if a.Kind != Open {
		return out, false // a closed load has no backlog, and its latency grows with its users by definition
	}
	if w.Dropped > 0 {
		out = append(out, fmt.Sprintf("backlog: %.0f arrivals found too many in flight", w.Dropped))
	}
	if limit := stableFactor * v.quietP95(); len(v.Limits) == 0 && limit > 0 && w.P95Ms > limit {
		out = append(out, fmt.Sprintf("p95 %.4g ms is more than %d times that of one user", w.P95Ms, stableFactor))
	}
	if why := v.backlog(w); why != "" {
		return append(out, why), true
	} else if why := w.drift(); why != "" && a.Phase == PhaseConfirm {
		out = append(out, why)
	}
	return out, false
}

// tooMany says whether so many bad answers of all are more than a trial so short may have and pass.
func tooMany(bad, all float64) bool { return bad-errorSlack >= errorLimit*all }

// backlog says whether requests piled up.
func (v *view) backlog(w *Window) string {
	x := settled(w.inFlight())
	rise, p := trend(x)
	n := w.Offered
	if rise > max(backlogFloor, backlogShare*n) && p < driftP {
		return fmt.Sprintf("backlog: %.0f more in flight at the end than at the start", rise)
	}
	// What a server exactly at capacity would do by chance is not held against it.
	short := n - w.Dropped - w.Completed
	if w.Completed < completeShare*n && short > max(backlogFloor, z95*math.Sqrt(v.noise()*n)) {
		return fmt.Sprintf("backlog: only %.1f %% of the arrivals completed", 100*w.Completed/n)
	}
	return ""
}

// drift says whether the response time kept rising: a leak, or a load that is not sustained.
func (w *Window) drift() string {
	x := settled(w.latency())
	rise, p := trend(x)
	if m := Mean(x); m > 0 && p < driftP && rise > driftOfMean*m {
		return fmt.Sprintf("not steady: response times rose by %.0f %% while the load stayed the same", 100*rise/m)
	}
	return ""
}
