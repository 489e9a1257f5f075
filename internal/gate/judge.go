// Package gate JUDGES: it holds a result against its limits and turns it into a verdict and an exit code.
//
// It stands after diagnose and before the report. It is a pure function of the run folder: it measures nothing, explains
// nothing, and never touches the network.
package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Verdicts, as run.json writes them.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive"
)

// PlanCapacity is RunInfo.Plan of a run that looked for the capacity; any other plan is a fixed load.
const PlanCapacity = "capacity"

// Judge fills the result's Limits, Verdict and ExitCode.
//
// In a capacity run the load-level limits (p95, errors, …) define what "within limits" means. They are judged at the
// largest load that met all of them; when no load did, at the smallest one tried, where at least one of them failed.
// In a fixed run they are judged over everything after the warm-up. Run-level limits (capacity, recovery) are judged on
// the result.
//
// The verdict, first rule that applies:
//
//  1. not valid → inconclusive (111). The numbers are about the generator, so they may neither praise nor blame the target.
//  2. stuck or crashed → fail (115), also when it crashed before anything succeeded: a service that died was seen to die.
//  3. nothing succeeded and no limit is broken → inconclusive (111). No data never passes, with or without limits.
//  4. a limit broken on valid data, or a fixed load that the safety brake ended → fail (99).
//  5. a limit nobody could judge, or one of speed missed while others took more than a quarter of the machine → inconclusive (111).
//  6. the run ended before its plan did, the search that the brake ended included → inconclusive (111): what is missing might
//     have failed.
//  7. a capacity run without a confirmed capacity → inconclusive (111): there is no figure to be proud of.
//  8. pass (0).
//
// 115 stands before 99 because an exit code is one number, and "somebody has to restart it" asks for a different reaction
// than "it is too slow". The broken limits are still in Limits. A service that sticks is usually slow as well, so with the
// opposite order 115 would hardly ever be seen.
//
// An interrupted run gets 105 from the command, which knows the signal; the verdict here is what the data allow.
func Judge(run *record.Run, res *record.Result, limits []scenarios.Limit) {
	if run == nil {
		run = &record.Run{}
	}
	res.Limits = make([]record.LimitResult, 0, len(limits))
	level := loadLevel(run, res, limits)
	broken, unknown := false, false
	for _, l := range limits {
		var j judged
		if l.LoadLevel() {
			j = level(l)
		} else {
			j = runLevel(res, l)
		}
		res.Limits = append(res.Limits, record.LimitResult{Expr: l.Expr, Value: j.value, Unit: l.Unit, At: j.at, OK: j.state == held})
		broken = broken || j.state == missed
		unknown = unknown || j.state == unjudged
	}
	res.Verdict, res.ExitCode = verdict(run, res, broken, unknown)
}

// state of one limit. OK alone cannot tell a broken limit from one without data.
type state uint8

const (
	unjudged state = iota
	held
	missed
)

type judged struct {
	value *float64
	at    string
	state state
}

func judgeValue(l scenarios.Limit, v float64, at string) judged {
	j := judged{value: &v, at: at, state: missed}
	if l.Holds(v) {
		j.state = held
	}
	return j
}

func verdict(run *record.Run, res *record.Result, broken, unknown bool) (string, int) {
	switch {
	case !res.Validity.Valid:
		return Inconclusive, ExitInconclusive
	case NotRecovered(res.Recovery):
		return Fail, ExitNotRecovered
	case succeeded(run, res) == 0 && !broken:
		return Inconclusive, ExitInconclusive
	case broken, res.Run.Plan != PlanCapacity && len(res.Brakes) > 0:
		return Fail, ExitLimits
	case unknown:
		return Inconclusive, ExitInconclusive
	case res.Run.Interrupted, res.Run.CutShort, run.CutShort, slices.ContainsFunc(res.Brakes, endedPlan):
		return Inconclusive, ExitInconclusive
	case noCapacity(res):
		return Inconclusive, ExitInconclusive
	default:
		return Pass, ExitPass
	}
}

// noCapacity says that a search has ended without a rate that the target is known to carry, as when captest was the limit.
func noCapacity(res *record.Result) bool {
	return res.Run.Plan == PlanCapacity && res.Capacity.PerSecond.Confirmed == nil
}

func endedPlan(b record.Brake) bool { return b.EndedPlan }

// Broken tells a limit that was broken from one nobody could judge: a value that missed it, unless other work may be why, or a
// recovery that never came.
func Broken(l record.LimitResult) bool {
	return !l.OK && !strings.Contains(l.At, atDisturbed) && (l.Value != nil || l.At == atCrashed || strings.HasPrefix(l.At, atNotRecovered))
}

// NotRecovered says whether the target was left unusable by the overload. An untested recovery is not a failed one.
func NotRecovered(r *record.Recovery) bool {
	if r == nil {
		return false
	}
	switch r.Class {
	case record.Stuck, record.StuckRestart, record.Crashed, record.Metastable:
		return true
	default:
		return false
	}
}

// succeeded counts the requests that got the answer they should. Zero errors out of zero requests is not a success, and
// neither are 10,000 refused connections with a wonderful latency.
func succeeded(run *record.Run, res *record.Result) uint64 {
	var n uint64
	for i := range run.Frames {
		for _, s := range run.Frames[i].Steps {
			if s != nil {
				n += s.OK
			}
		}
	}
	if n > 0 {
		return n
	}
	for _, s := range res.Steps { // a result whose frames are gone can still be judged on what it kept
		n += s.OK
	}
	return n
}

// Why gives the reasons behind a verdict, most important first; none for a pass. It reads only the result, so a run.json
// from yesterday explains itself the same way.
func Why(res *record.Result) []string {
	var why []string
	if !res.Validity.Valid {
		why = append(why, "not valid: the numbers may not be about the target")
		why = append(why, res.Validity.Reasons...)
	}
	if succeeded(&record.Run{}, res) == 0 {
		why = append(why, "no request succeeded")
	}
	if NotRecovered(res.Recovery) {
		if res.Recovery.Class == record.Crashed {
			why = append(why, "the target crashed")
		} else {
			why = append(why, "the target did not recover from the overload")
		}
	}
	for _, b := range res.Brakes {
		if b.EndedPlan {
			why = append(why, "the safety brake ended the load: "+b.Why)
		}
	}
	for _, l := range res.Limits {
		switch {
		case l.OK:
		case Broken(l):
			why = append(why, fmt.Sprintf("limit %s broken", l.Expr))
		case strings.Contains(l.At, atDisturbed):
			why = append(why, fmt.Sprintf("limit %s missed at %s: repeat it on a quieter machine", l.Expr, l.At))
		case l.At == atNotTested:
			why = append(why, fmt.Sprintf("no data to judge %s: %s", l.Expr, l.At))
		default:
			why = append(why, fmt.Sprintf("no data to judge %s", l.Expr))
		}
	}
	if res.Run.CutShort {
		why = append(why, "cut short before the end of its plan")
	} else if res.Run.Interrupted {
		why = append(why, "interrupted before the end of its plan")
	}
	if noCapacity(res) && len(why) == 0 && res.Validity.Valid {
		why = append(why, "no load is known to be carried")
		if res.Capacity.GeneratorLimit != "" {
			why = append(why, "captest was the limit at "+res.Capacity.GeneratorLimit+": use a machine with less other work, or more cores")
		}
	}
	if res.Verdict == Pass {
		return nil
	}
	return why
}
