package search

import "slices"

// The closed ramp: 1, 2, 4, 8 … users until more users bring no more goodput, or a limit is far behind. A closed load cannot
// build an unbounded queue, which makes it the safe way up (measurement 3.4, P1).

const (
	// flatGain: a doubling that brings less than this counts as none. Two in a row end the ramp, so that one noisy level cannot.
	flatGain = 0.05
	// MostUsers bounds the ramp: beyond it a closed load says nothing new about a service and much about the generator.
	MostUsers = 1024
	// hopelessErrors and hopelessExcess: beyond them more users only do harm.
	hopelessErrors = 0.05
	hopelessExcess = 4
	// queueing: at this many times the response time of one user most of it is waiting, and one flat doubling is enough; at
	// twice as many, none is needed: X ≤ N/R. On an uneven target (c = 1) chance alone keeps two doublings in a row from
	// being flat, and the ramp would spend the time of the open loads.
	queueing = 4
)

// Why a ramp ended.
const (
	rampFlat    = "more users no longer bring more"
	rampLimit   = "a limit broke"
	rampCap     = "the ramp's end at 1024 users was reached"
	rampSkipped = "a person went on"
)

// nextLevel is the next closed level and its phase; 0 when every level is measured.
func (v *view) nextLevel() (users int, phase string) {
	n, _ := v.nextDoubling()
	switch {
	case n == 1:
		return n, PhaseBaseline
	case n > 1:
		return n, PhaseRamp
	}
	ten, ones := false, 0
	for i := range v.trials {
		ten = ten || v.trials[i].Action.Users == comparisonUsers
		if v.trials[i].Action.Users == 1 {
			ones++
		}
	}
	fewest, _, seconds := v.busyLevels()
	one := v.one()
	switch {
	case !ten:
		return comparisonUsers, PhaseLevel
	case one != nil && ones == 1 && len(v.opens) == 0 && (cold(one) || seconds > 4*one.Window.Seconds):
		return 1, PhaseLevel // again: the figure is compared, and limits of stability hang on it
	case fewest > 0 && fewest != comparisonUsers && len(v.opens) == 0 && v.asked(fewest) == 0:
		return fewest, PhaseLevel
	}
	return 0, ""
}

// one is the level of one user that counts: the last, because the first may have met a cold target.
func (v *view) one() *Trial {
	for _, t := range slices.Backward(v.levels) {
		if t.Action.Users == 1 {
			return t
		}
	}
	return nil
}

// cold says whether the level of one user grew faster while it lasted: its caches, pools and compilers were still warming.
func cold(t *Trial) bool {
	x := t.Window.latency()
	for i := range x {
		x[i] = -x[i]
	}
	rise, p := trend(x)
	return p < driftP && rise > driftOfMean*-Mean(x)
}

// nextDoubling is the next number of users; 0 and a reason when the ramp is over.
func (v *view) nextDoubling() (users int, why string) {
	var ramp []*Trial
	for i := range v.trials {
		t := &v.trials[i]
		if t.Action.Phase != PhaseBaseline && t.Action.Phase != PhaseRamp {
			continue
		}
		if t.Window.Skipped {
			return 0, rampSkipped
		}
		if t.Verdict.Outcome != Invalid {
			ramp = append(ramp, t)
		}
	}
	if len(ramp) == 0 {
		return 1, ""
	}
	last := ramp[len(ramp)-1]
	w := &last.Window
	g := func(back int) float64 { // gain of the doubling that many steps before the last
		i := len(ramp) - 1 - back
		if i < 1 {
			return 1
		}
		return gain(ramp[i-1].Window.Goodput(), ramp[i].Window.Goodput())
	}
	broken := last.Verdict.Outcome == Fail
	switch {
	case w.OK == 0, w.errorRatio() > hopelessErrors, w.Excess > hopelessExcess, v.TimeoutS > 0 && w.MeanMs/1000 > v.TimeoutS/2:
		return 0, rampLimit
	case broken && g(0) < flatGain: // what a second flat doubling would show, the limit has shown
		return 0, rampLimit
	case g(0) < flatGain && (g(1) < flatGain || w.MeanMs > queueing*v.quietMs()), w.MeanMs > 2*queueing*v.quietMs():
		return 0, rampFlat
	case last.Action.Users >= MostUsers:
		return 0, rampCap
	}
	return last.Action.Users * 2, ""
}

// gain of the second goodput over the first, as a fraction of the first.
func gain(a, b float64) float64 {
	if a <= 0 {
		return 1 // nothing came out before: any goodput is a gain
	}
	return b/a - 1
}

// level makes the action of a closed level from what the one before it measured.
//
// Warm-up: users start together, so the first generation of answers comes in step; two response times spread them. A doubled
// load at most doubles the response time (asymptotic bound, measurement 1.2), hence 2·R is one to two generations.
func (v *view) level(users int, phase string) Action {
	x, r := 0.0, v.QuietMs/1000
	if n := len(v.levels); n > 0 {
		last := v.levels[n-1]
		x, r = last.Window.Goodput(), last.Window.MeanMs/1000
		if users < last.Action.Users { // fewer wait as much less for each other
			r = max(v.quietMs()/1000, r*float64(users)/float64(last.Action.Users))
		}
	}
	want, longest := v.pace.level, v.levelMax
	if x > 0 {
		want = v.completions / x
	}
	if phase == PhaseLevel {
		fewest, most, long := v.busyLevels()
		switch users {
		case 1:
			long /= 2
		case fewest, most:
		default:
			long = 0
		}
		if long > want {
			want, longest = long, long
		}
	}
	return Action{
		Kind: Closed, Phase: phase, Users: users, Cooldown: v.cooldown(),
		Warm: min(max(2*r, v.warm), v.levelMax),
		// At least six generations of requests, or the mean is that of one burst.
		Measured: min(max(min(max(want, v.pace.level), longest), 6*r), 3*longest),
	}
}

func (v *view) best() float64 {
	x := 0.0
	for _, t := range v.levels {
		x = max(x, t.Window.Goodput())
	}
	return x
}

// Knee is N* = R(1)·Xmax, in users: where the optimistic bounds X ≤ N/R(1) and X ≤ Xmax cross, so where waiting must begin. R(1) is
// a whole journey, which by Little's law is 1/X(1); response times are of requests. Source: Denning & Buzen 1978; measurement 1.2.
// ok is false without a level of one user.
func Knee(trials []Trial) (n float64, ok bool) {
	v := Plan{}.view(trials)
	if t := v.one(); t != nil && t.Window.OK > 0 && t.Window.Seconds > 0 {
		n = v.best() * t.Window.Seconds / max(t.Window.Completed, t.Window.OK)
	}
	return n, n > 0
}

// OverloadUsers is twice the knee, and at least twice the largest level within the limits (the knee of a serial service is 1:
// twice that is no overload), and at least floor, which a target file may ask for.
func OverloadUsers(trials []Trial, floor int) int {
	n := 2
	if k, ok := Knee(trials); ok {
		n = max(n, int(2*k+0.5))
	}
	for _, t := range (Plan{}).view(trials).levels {
		if t.Verdict.Outcome == Pass {
			n = max(n, 2*t.Action.Users)
		}
	}
	return min(max(n, floor), MostUsers)
}

// Levels are the valid closed levels, in order of users; of a level measured twice, the later.
func Levels(trials []Trial) []*Trial {
	var out []*Trial
	for _, t := range slices.Backward(Plan{}.view(trials).levels) {
		if !slices.ContainsFunc(out, func(o *Trial) bool { return o.Action.Users == t.Action.Users }) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *Trial) int { return a.Action.Users - b.Action.Users })
	return out
}

// Ended says whether a ramp found the end of the curve: more users no longer brought more, or a limit broke.
func Ended(trials []Trial) bool {
	_, why := Plan{}.view(trials).nextDoubling()
	return why == rampFlat || why == rampLimit
}

// Best is the highest goodput of any closed level, per second.
func Best(trials []Trial) float64 { return Plan{}.view(trials).best() }

// noise is c_a² + c_s²: what makes an open load's backlog uneven.
func (v *view) noise() float64 { return v.variability() + v.ArrivalC2 }

// variability is c_s² of the target as its closed levels show it: the larger of Var/Mean² of the response time of a
// single user (its service time, when it meets nobody) and the index of dispersion of one-second completion counts of the
// levels that gave at least 90 % of the best (measurement 3.2).
func (v *view) variability() float64 {
	c2 := leastVariability
	best, one := v.best(), v.one()
	var variance, total float64
	for _, t := range v.levels {
		w := &t.Window
		if t == one && w.MeanMs > 0 && w.errorRatio() < hopelessErrors {
			c2 = max(c2, w.SDMs*w.SDMs/(w.MeanMs*w.MeanMs))
		}
		y := w.counts()
		if w.Goodput() < 0.9*best || len(y) < 3 {
			continue
		}
		m := Mean(y)
		for _, x := range y {
			variance += (x - m) * (x - m) * float64(len(y)) / float64(len(y)-1)
		}
		total += m * float64(len(y))
	}
	if total > 0 {
		c2 = max(c2, variance/total)
	}
	return min(c2, mostVariability)
}

const (
	// leastVariability: even a server of constant service time shares its machine; c = 0.3 is what measurement finds for
	// bcrypt, the steadiest work there is.
	leastVariability = 0.09
	// mostVariability keeps a few unlucky seconds from making a search endless.
	mostVariability = 4
)
