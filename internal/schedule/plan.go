// Package schedule says WHEN: it maps arrival n to its offset from the start of a load, exactly, for constant rates and
// linear ramps.
//
// It stands before drive in the line: drive sends what a Plan owes at the instant the Plan names. It is pure mathematics and
// never reads a clock, sleeps, starts a goroutine or does I/O.
package schedule

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Stage is a stretch of time in which the rate moves linearly. Rates are arrivals per second; the next stage may begin at another rate.
type Stage struct {
	From, To float64
	For      time.Duration
}

// area is how many arrivals the stage owes: the trapezoid under its rate.
func (s Stage) area() float64 { return (s.From + s.To) / 2 * s.For.Seconds() }

// Arrivals says where inside its slot an arrival falls.
type Arrivals string

// Kinds of arrivals. A slot is the stretch of time in which the plan owes exactly one arrival (1/rate long while the rate is constant).
const (
	// Slotted puts one arrival uniformly at random inside each slot: as even as a metronome over any longer window, yet
	// never in phase with the target's timers.
	Slotted Arrivals = "slotted"
	// Constant puts each arrival at the beginning of its slot.
	Constant Arrivals = "constant"
	// Poisson leaves exponential gaps: arrivals of many independent people.
	Poisson Arrivals = "poisson"
)

// Plan is a schedule of arrivals. It is not changed by use, so any number of goroutines may share one.
type Plan struct {
	Stages   []Stage
	Arrivals Arrivals // "" means Slotted
	Seed     uint64   // of Slotted and Poisson: the same seed gives the same instants
	// Part of Parts: this plan owes only the arrivals n ≡ Part (mod Parts) of the whole, numbered anew from 0, so that
	// several generators share one schedule without talking to each other. Parts 0 means the whole.
	Part, Parts uint64
}

// Fixed is a plan of one rate (arrivals per second) held for d.
func Fixed(rate float64, d time.Duration, a Arrivals, seed uint64) (*Plan, error) {
	p := &Plan{Stages: []Stage{{From: rate, To: rate, For: d}}, Arrivals: a, Seed: seed}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, nil
}

// maxRate is one arrival per nanosecond, the resolution of time.Duration.
const maxRate = 1e9

// Check says what they are not, or nil.
func (a Arrivals) Check() error {
	switch a {
	case "", Slotted, Constant, Poisson:
		return nil
	}
	return fmt.Errorf("arrivals %q are not one of slotted, constant, poisson", string(a))
}

// Check says what is wrong with the plan, everything at once, or nil. The other methods expect a plan that passes.
func (p *Plan) Check() error {
	var wrong []error
	if len(p.Stages) == 0 {
		wrong = append(wrong, errors.New("plan has no stages"))
	}
	var length time.Duration
	for i, s := range p.Stages {
		for _, rate := range []float64{s.From, s.To} {
			if math.IsNaN(rate) || rate < 0 || rate > maxRate {
				wrong = append(wrong, fmt.Errorf("stage %d: rate %v per second is not between 0 and 1e9", i+1, rate))
			}
		}
		if s.For <= 0 {
			wrong = append(wrong, fmt.Errorf("stage %d: length %v is not positive", i+1, s.For))
		} else if length > math.MaxInt64-s.For {
			wrong = append(wrong, fmt.Errorf("stage %d: plan is longer than %v", i+1, time.Duration(math.MaxInt64)))
		} else {
			length += s.For
		}
	}
	if err := p.Arrivals.Check(); err != nil {
		wrong = append(wrong, err)
	}
	if p.Part != 0 && p.Part >= p.Parts {
		wrong = append(wrong, fmt.Errorf("part %d is not below the number of parts %d (parts count from 0)", p.Part, p.Parts))
	}
	// Slots are numbered in float64, exact up to 2^53.
	if len(wrong) == 0 && p.area() >= 1<<53 {
		wrong = append(wrong, fmt.Errorf("plan owes %.3g arrivals, more than can be numbered", p.area()))
	}
	if len(wrong) == 0 && p.whole() == 0 {
		wrong = append(wrong, fmt.Errorf("plan owes %.3g arrivals: rate times length is below one half", p.area()))
	}
	return errors.Join(wrong...)
}

// Length of the plan: the last arrival is not later.
func (p *Plan) Length() time.Duration {
	var d time.Duration
	for _, s := range p.Stages {
		d += s.For
	}
	return d
}

// Count is how many arrivals the plan owes: the area under the rate curve, rounded to the nearest whole number.
// Slotted and constant plans deliver exactly that many; a Poisson plan delivers a Poisson-distributed number with that mean.
func (p *Plan) Count() uint64 {
	whole, parts := p.whole(), max(p.Parts, 1)
	if whole <= p.Part {
		return 0
	}
	return (whole - p.Part + parts - 1) / parts
}

// Rate at an instant, in arrivals per second; 0 outside the plan. Where two stages meet, the later one counts.
func (p *Plan) Rate(elapsed time.Duration) float64 {
	if elapsed < 0 {
		return 0
	}
	for _, s := range p.Stages {
		if elapsed < s.For {
			rate := s.From + (s.To-s.From)*(elapsed.Seconds()/s.For.Seconds())
			return rate / float64(max(p.Parts, 1))
		}
		elapsed -= s.For
	}
	return 0
}

// Pace makes a Plan a pacer in the shape of vegeta's Pacer interface: how long to wait, elapsed into the load and with
// hits arrivals sent, before the next one; stop says that none is left. A late caller is told to wait 0: what the schedule
// owes is sent at once. For a Poisson plan it costs O(hits), see At.
func (p *Plan) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	at, ok := p.At(hits)
	if !ok {
		return 0, true
	}
	return max(0, at-elapsed), false
}

// area under the rate curve of the whole plan, all parts together.
func (p *Plan) area() float64 {
	sum := 0.0
	for _, s := range p.Stages {
		sum += s.area()
	}
	return sum
}

// whole is the number of arrivals of all parts together.
func (p *Plan) whole() uint64 { return uint64(math.Round(p.area())) }
