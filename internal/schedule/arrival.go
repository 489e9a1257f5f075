package schedule

import (
	"math"
	"time"
)

// Arrival n is placed in *area space*: the axis that counts how many arrivals are owed so far,
//
//	A(t) = ∫₀ᵗ rate(u) du
//
//	rate │        ╱▔▔▔▔▔▔▔▔╲
//	     │      ╱│ 5 │ 6 │ 7 ╲
//	     │    ╱ 4│   │   │  8  ╲      slot n is the stretch of time with n ≤ A(t) < n+1:
//	     │  ╱ 3  │   │   │   9   ╲    narrow where the rate is high, wide where it is low
//	     └─────────────────────────► t
//
// On that axis every rate is 1, so all three kinds of arrivals are written once:
//
//	constant  x(n) = n
//	slotted   x(n) = n + u(n),            u uniform in [0, 1)
//	poisson   x(n) = x(n−1) + e(n),       e exponential with mean 1
//
// and the arrival's instant is t = A⁻¹(x). Counting iterations as the area under the rate curve is what k6's
// ramping-arrival-rate executor does (lib/executor/ramping_arrival_rate.go, func cal); a Poisson process of varying rate by
// inverting A is the time-scale transformation of Çinlar, Introduction to Stochastic Processes, 1975, section 4.7.

// At gives the offset of arrival n (from 0) and whether there is one. It never decreases with n.
// It costs O(stages) for slotted and constant plans and O(n) for Poisson ones, whose arrivals depend on all earlier
// ones: walk those with a Cursor.
func (p *Plan) At(n uint64) (offset time.Duration, ok bool) {
	if p.Arrivals == Poisson {
		c := p.Cursor()
		for range n {
			if _, ok := c.Next(); !ok {
				return 0, false
			}
		}
		return c.Next()
	}
	if n >= p.Count() {
		return 0, false
	}
	return p.slot(n*max(p.Parts, 1) + p.Part), true
}

// slot gives the offset of arrival n of the whole plan, slotted or constant.
func (p *Plan) slot(n uint64) time.Duration {
	begin := p.when(float64(n))
	if p.Arrivals == Constant {
		return begin
	}
	// The last slot may be cut off by the plan's end (an area of 2.6 owes 3 arrivals, the third within [2, 2.6)).
	end := math.Min(float64(n+1), p.area())
	at := p.when(float64(n) + (end-float64(n))*uniform(p.Seed, n))
	// Rounding must not carry an arrival over its slot's edge, or the next one could seem earlier.
	return min(max(at, begin), p.when(end))
}

// when is A⁻¹: the offset at which x arrivals are owed.
func (p *Plan) when(x float64) time.Duration {
	var begin time.Duration
	for i, s := range p.Stages {
		area := s.area()
		if x < area || i == len(p.Stages)-1 {
			return begin + s.when(x)
		}
		x -= area
		begin += s.For
	}
	return begin
}

// when solves A(t) = x within one stage of slope a = (To−From)/For:
//
//	From·t + a·t²/2 = x   ⇒   t = 2x / (From + √(From² + 2·a·x))
//
// This form of the quadratic's root subtracts nothing, so it stays exact when the slope is tiny, zero, or negative. The root
// is the rate at t.
func (s Stage) when(x float64) time.Duration {
	if x <= 0 {
		return 0
	}
	slope := (s.To - s.From) / s.For.Seconds()
	rate := math.Sqrt(math.Max(0, s.From*s.From+2*slope*x))
	t := 2 * x / (s.From + rate) * float64(time.Second)
	if !(t < float64(s.For)) { // also catches the 0/0 and x/0 of a stage that owes nothing
		return s.For
	}
	return time.Duration(t)
}

// Cursor walks a plan's arrivals in order, at constant memory and O(stages) a step, whatever their kind.
// It belongs to one goroutine.
type Cursor struct {
	plan  *Plan
	n     uint64  // next arrival of this part; of the whole plan when Poisson
	given bool    // slotted, constant: Next gave arrival n−1 and not the end
	x     float64 // Poisson: area reached
	end   float64 // Poisson: area of the plan
}

// Cursor begins at the first arrival.
func (p *Plan) Cursor() *Cursor { return &Cursor{plan: p, end: p.area()} }

// Next gives the next arrival's offset and whether there is one.
func (c *Cursor) Next() (time.Duration, bool) {
	if c.plan.Arrivals != Poisson {
		at, ok := c.plan.At(c.n)
		if c.given = ok; ok {
			c.n++
		}
		return at, ok
	}
	for c.x < c.end {
		// −ln(1−u) is exponential with mean 1 when u is uniform in [0, 1).
		c.x -= math.Log1p(-uniform(c.plan.Seed, c.n))
		c.n++
		if c.mine(c.n-1) && c.x < c.end {
			return c.plan.when(c.x), true
		}
	}
	return 0, false
}

// mine says whether arrival n of the whole plan is one of this part's.
func (c *Cursor) mine(n uint64) bool { return n%max(c.plan.Parts, 1) == c.plan.Part }

// uniform is the n-th number of a seeded sequence, uniform in [0, 1), without walking there: SplitMix64's output function
// over its n-th state (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). The seed goes
// through the same function first, so that neighbouring seeds do not give shifted copies of one sequence.
func uniform(seed, n uint64) float64 {
	const golden = 0x9e3779b97f4a7c15
	return float64(mix(mix(seed+golden)+(n+1)*golden)>>11) / (1 << 53)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
