package search

import "math"

// Where an effort's time does not allow for trials as long as its promise asks for (an uneven target), capacity is also foreseen: two
// closed levels that keep the target busy are measured for longer, one before the open loads and one behind them, and say
// what a queue with that throughput would hold. The open loads then decide whether that foresight counts.

// foresight of a capacity C: ln C is normal.
type foresight struct {
	mean, sd float64
	ago      float64 // it is of what the target was, s before the middle of the last trial
}

const (
	// Errors of 1 − ρ, as a share of it: the skewness nobody measured, and what the formulas, which are for heavy traffic, miss more of the emptier
	// the station. Fitted to simulated queues of one to twenty servers.
	shapeError, shapeMore = 0.1, 0.4
	// restError of C: what is left when X and the shape are known, likewise.
	restError = 0.005
	// vague: a foresight of so large a standard deviation is none.
	vague = 0.25
	// stretched: how many times the fewest busy users the second busy level may have. Further apart they would show a fall better, and
	// take longer to say the same.
	stretched = 4
	// Busy levels take busyShare of the time that is left at most, and openShare of the budget stays for open loads.
	busyShare, openShare = 0.5, 0.28
)

// Busy is for how many seconds of load at most both busy levels are measured, warm-up included.
func (e Effort) Busy() float64 {
	p := Plan{Effort: e}.pace()
	return busyShare*p.unevenBudget + 2*p.levelMax
}

// density of ln C.
func (f *foresight) density(lnC float64) float64 {
	z := (lnC - f.mean) / f.sd
	return math.Exp(-z*z/2) / (f.sd * math.Sqrt(2*math.Pi))
}

// foresee the capacity from a station of trials that are foreseeable; nil when not well.
func (v *view) foresee(s *station) *foresight {
	limits, blur := v.Latency, 0.0
	if len(v.Limits) == 0 { // rule 2'
		limits, blur = []Percentile{{Quantile: 0.95, LimitMs: 1000 * stableFactor * s.p95S}}, s.p95Var
	}
	rho := 1.0
	for _, l := range limits {
		rho = min(rho, s.holds(l.Quantile, l.LimitMs/1000, v.ArrivalC2))
	}
	// ln C = ln X + ln ρ, and 1 − ρ is proportional to c² and, nearly, to 1/limit.
	idle := (1 - rho) / rho * math.Sqrt(math.Pow(shapeError+shapeMore*(1-rho), 2)+s.c2SD*s.c2SD+blur)
	f := foresight{mean: math.Log(rho * s.perSecond), ago: s.ago, sd: math.Sqrt(s.c2/s.answers + idle*idle + restError*restError)}
	if !(f.sd < vague) {
		return nil
	}
	return &f
}

// wide says that open loads alone cannot keep the promise of the effort.
func (v *view) wide() bool { return v.best() > 0 && v.planFor(v.left()).width > 1.001*v.pace.width }

// busyLevels: the fewest users that keep the target busy, 10 if they do, the most within reason that were not too many for it, and for how
// long each is measured. All 0: they are not, for want of such a level, of time, of anything to foresee, or because six generations of
// requests take longer.
func (v *view) busyLevels() (fewest, most int, seconds float64) {
	if _, why := v.nextDoubling(); why != rampFlat && why != rampLimit || !v.foreseeable() || !v.wide() {
		return 0, 0, 0
	}
	if v.busy(comparisonUsers) { // it is measured anyway
		fewest = comparisonUsers
	}
	for _, t := range v.levels {
		n := t.Action.Users
		if t.Verdict.Outcome == Pass && v.busy(n) && (fewest == 0 || n < fewest && fewest != comparisonUsers) {
			fewest = n
		}
	}
	most = fewest
	for _, t := range v.levels {
		if n := t.Action.Users; t.Verdict.Outcome == Pass && v.busy(n) && n <= stretched*fewest {
			most = max(most, n)
		}
	}
	left, r := v.left(), float64(fewest)/v.best()
	warm := min(max(2*r, v.warm), v.levelMax)
	seconds = min(arrivalsFor(v.variability(), v.finerBusy*v.pace.width)/v.best(), busyShare*left, left-openShare*v.budget-2*warm) / 2
	if fewest == 0 || seconds < max(v.pace.level, 6*r) {
		return 0, 0, 0
	}
	return fewest, most, seconds
}

// busyAgain is the second busy level, when both bounds are classed or the time is nearly over: a target that changes meanwhile shows between
// the two. Kind 0 without one.
func (v *view) busyAgain() Action {
	fewest, most, _ := v.busyLevels()
	wanted := 1
	if fewest == most {
		wanted = 2
	}
	if fewest == 0 || v.asked(fewest) == 0 || v.asked(most) >= wanted {
		return Action{}
	}
	return v.level(most, PhaseLevel)
}

// asked is how often a level of so many users was measured beside the ramp, or would have been: one that a person skipped is not asked for
// again, nor one that is invalid when the open loads have begun.
func (v *view) asked(users int) (n int) {
	for i := range v.trials {
		t := &v.trials[i]
		if t.Action.Users == users && t.Action.Phase == PhaseLevel && (t.Verdict.Outcome != Invalid || t.Window.Skipped || len(v.opens) > 0) {
			n++
		}
	}
	return n
}
