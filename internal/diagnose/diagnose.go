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

// planCapacity is RunInfo.Plan of a run that looked for the capacity.
const planCapacity = "capacity"

// Explain fills the result's Ceilings, Findings, the curve of its Capacity and the measured side of its Baseline.
func Explain(run *record.Run, res *record.Result) {
	res.Ceilings, res.Findings = []record.Ceiling{}, []record.Finding{}
	compare(run, res)
	if res.Run.Plan == planCapacity {
		res.Capacity.Curve = curve(run, res)
	}
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

// flat says whether more users stopped helping: some load of at least twice the users brought no more than 10 % over a
// smaller one, and nothing did better than that. Only then is there a bottleneck to name.
func flat(trials []record.Trial) bool {
	best, fewest, most := 0.0, 0, 0
	closed := func(visit func(record.Trial)) {
		for _, t := range trials {
			if t.Load.Users > 0 && t.Verdict != "invalid" && t.N > 0 && t.Phase != "fixed" {
				visit(t)
			}
		}
	}
	closed(func(t record.Trial) { best = max(best, t.GoodputPerSecond) })
	closed(func(t record.Trial) {
		most = max(most, t.Load.Users)
		if t.GoodputPerSecond >= best/1.1 && (fewest == 0 || t.Load.Users < fewest) {
			fewest = t.Load.Users
		}
	})
	return fewest > 0 && most >= 2*fewest
}
