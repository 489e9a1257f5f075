package search

import "math"

// A target that takes longer the more requests are inside it (retrograde scaling) has no load that it holds for ever: a burst brings more inside,
// they slow it down, and it collapses, after seconds or hours. What trials of seconds found is then more than what holds for long.

// slowing is how much longer: with n inside, and never idle, it completes one answer in mean + each·(n − users) seconds.
type slowing struct {
	mean, each, users float64
	singleS           float64 // R(1), s
	c2, ca2           float64 // of its work, and of arrivals
}

const (
	// holdSeconds is how long a load is asked to hold by most of the times it is tried.
	holdSeconds = 600
	// plainlySlower: so many standard deviations of the slope are no chance.
	plainlySlower = 2.85
	// collapseError of ln C: what the diffusion leaves. Simulated queues hold 9 % more to 1 % less than it says, most of that in ratios alike.
	collapseError = 0.05
	// worthSaying: an interval lowered by less is one that slowing down hardly matters to.
	worthSaying   = 0.01
	collapseSteps = 200
	never         = 500 // Φ that no load gets over in the age of the world
)

// slows says how a target slows down, from all the time in which it was never idle, age apart; ok is false when it does not plainly.
func (v *view) slows() (s slowing, ok bool) {
	l := v.line()
	if !l.slows() {
		return s, false
	}
	return slowing{mean: l.mean, users: l.inside, each: l.byInside * l.mean, singleS: v.quietMs() / 1000, c2: v.variability(), ca2: v.ArrivalC2}, true
}

// slows says whether more requests inside plainly slow a target down.
func (l *line) slows() bool { return l.byInside > plainlySlower*l.byInsideSD }

// perAnswer in seconds when n are inside.
func (s *slowing) perAnswer(n float64) float64 { return max(s.mean+s.each*(n-s.users), s.mean/10) }

// survives is how many seconds it takes, on average, until a load of x has collapsed: twice n* are inside, where
// an answer takes 1/x at n*. The number inside is a diffusion of drift x − X(n) and variance σ² = X(n)·c² + x·c_a² per second, that begins, and is
// reflected, at a = x·R(1), with fewer than which servers are free, and
//
//	τ = ∫ₐᴮ e^Φ(y) ∫ₐʸ 2/σ²(z)·e^−Φ(z) dz dy,   Φ(y) = ∫ₐʸ 2·(X(z) − x)/σ²(z) dz,   B = 2n*
//
// Source: Karlin & Taylor 1981, section 15.3.
func (s *slowing) survives(x float64) float64 {
	top := s.users + (1/x-s.mean)/s.each
	from := x * s.singleS
	if top <= from {
		return 0
	}
	h := (2*top - from) / collapseSteps
	phi, u, tau := 0.0, 0.0, 0.0 // u is e^Φ times the inner integral, which alone leaves what a float64 holds
	for i := range collapseSteps {
		done := 1 / s.perAnswer(from+(float64(i)+0.5)*h)
		variance := done*s.c2 + x*s.ca2
		rise := (done - x) / variance * h // half of what Φ rises by in a step
		if phi += rise; phi > never {
			return math.Inf(1)
		}
		u = u*math.Exp(rise) + h/variance
		tau += u * h
		u = (u + h/variance) * math.Exp(rise)
		phi += rise
	}
	return tau
}

// lasts is the rate that half of the times survives so many seconds: collapses come without memory, so after seconds/ln 2 on average.
func (s *slowing) lasts(seconds float64) float64 {
	lo, hi := 0.0, 1/s.perAnswer(0)
	for range 30 {
		if x := (lo + hi) / 2; s.survives(x) >= seconds/math.Ln2 {
			lo = x
		} else {
			hi = x
		}
	}
	return lo
}

// held is for how many seconds the load that held did so at most, warm-up included.
func (v *view) held(load float64) (seconds float64) {
	if t := v.longestAt(load); t != nil {
		seconds = t.Action.Warm + t.Window.Seconds
	}
	return seconds
}

// forLong lowers an interval that trials of seconds found to what holds for holdSeconds, by the ratio of the two in theory, whose error they share;
// but not below what theory, less its error, says does (a latency limit breaks long before a collapse), and the upper end by no more than that error.
func (v *view) forLong(a *Answer) {
	s, ok := v.slows()
	seconds := v.held(a.Lower)
	if !ok || seconds <= 0 || a.Confirmed <= 0 {
		return
	}
	lasts := s.lasts(holdSeconds)
	low := max(a.Confirmed*min(1, lasts/s.lasts(seconds)), min(a.Confirmed, lasts*math.Exp(-2*collapseError)))
	if !(low < a.Confirmed) {
		return
	}
	if lowered := 1 - low/a.Confirmed; lowered > worthSaying {
		a.Collapse = &Collapse{SlowerPercent: 100 * s.each / s.mean, LoweredPercent: 100 * lowered, Seconds: seconds}
	}
	a.Refuted *= max(low/a.Confirmed, math.Exp(-collapseError)) // the promised width is kept
	a.Confirmed = low
}
