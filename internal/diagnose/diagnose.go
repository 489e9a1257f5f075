// Package diagnose EXPLAINS: from one run folder it says which resource limits, how sure that is, and what was ruled out.
//
// It stands between record and report and is a pure function of the run. It never measures, sends or reads anything, and
// it names a cause only on evidence: without it the answer is "unknown".
package diagnose

import "github.com/captest/captest/internal/record"

// Roles of a finding.
const (
	SlowBecause  = "slow-because"
	StuckBecause = "stuck-because"
	Next         = "next"
)

// Confidence of a finding. C1: the black box fits. C2: the target's own metrics fit too. C3: a test's prediction was met.
const (
	C1 = "C1"
	C2 = "C2"
	C3 = "C3"
)

// Explain fills the result's Ceilings, Findings and the measured side of its Baseline.
func Explain(run *record.Run, res *record.Result) {
	res.Ceilings, res.Findings = []record.Ceiling{}, []record.Finding{}
	compare(run, res)
	best := bestTrial(res.Trials)
	if best == nil {
		return
	}
	w := over(run, best)
	res.Ceilings = ceilings(w, best)
	if res.Validity.Valid && flat(res.Trials) {
		res.Findings = append(res.Findings, explain(w, best, res.Ceilings))
	}
}

// explain asks each cause in turn; the first that its evidence carries is named.
func explain(w window, best *record.Trial, ceilings []record.Ceiling) record.Finding {
	for _, cause := range []func(window, *record.Trial, []record.Ceiling) (record.Finding, bool){hashing} {
		if f, ok := cause(w, best, ceilings); ok {
			return f
		}
	}
	return unknown(best)
}

// bestTrial is the valid closed level with the highest goodput.
func bestTrial(trials []record.Trial) *record.Trial {
	var best *record.Trial
	for i := range trials {
		t := &trials[i]
		level := t.Phase == "baseline" || t.Phase == "ramp" || t.Phase == "level"
		if level && t.Verdict != "invalid" && t.N > 0 && (best == nil || t.GoodputPerSecond > best.GoodputPerSecond) {
			best = t
		}
	}
	return best
}

// flat says whether twice the users brought less than 10 % more goodput at the top of the ramp: only then is there a bottleneck to name.
func flat(trials []record.Trial) bool {
	byUsers := map[int]float64{}
	top := 0
	for _, t := range trials {
		if t.Verdict != "invalid" && (t.Phase == "baseline" || t.Phase == "ramp") {
			byUsers[t.Load.Users] = t.GoodputPerSecond
			top = max(top, t.Load.Users)
		}
	}
	half, ok := byUsers[top/2]
	return ok && half > 0 && byUsers[top] < 1.1*half
}
