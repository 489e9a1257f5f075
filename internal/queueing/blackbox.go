package queueing

import (
	"cmp"
	"fmt"
	"math"
)

// BlackBox is what a closed ramp says of a target that shows no metrics.
type BlackBox struct {
	Demand     float64 // D̂ = R(1), seconds a journey without competition
	Bottleneck float64 // D̂max = 1/X_max, seconds of the scarcest resource a journey
	Knee       float64 // N̂* = R(1)·X_max. Where the bottleneck takes most of a journey it is also how many servers it has
}

// EstimateBlackBox takes the response time of one warm user without think time (seconds, the median) and the highest
// throughput of any load (1/s).
func EstimateBlackBox(single, highest float64) (BlackBox, error) {
	if err := cmp.Or(positive("response time of one user in seconds", single), positive("highest throughput", highest)); err != nil {
		return BlackBox{}, err
	}
	return BlackBox{Demand: single, Bottleneck: 1 / highest, Knee: single * highest}, nil
}

// Slope is the line of response time over users beyond the knee, where R(N) ≈ N·Dmax − Z.
type Slope struct {
	PerUser Interval // seconds a user: Dmax of the resource that is full
	Levels  int      // levels used
	// Fixed: the line is straight and 1/X_max lies within the slope's bounds (or within 10 % of it, which a line of very
	// little noise would otherwise fail). It is the signature of one saturated resource of fixed capacity.
	Fixed bool
	// Growing: response time bends upwards, so work grows with load; see [Choose] for a law.
	Growing bool
}

// slopeTolerance: below the deep end R still approaches its asymptote, and goodput is known to a few percent.
const slopeTolerance = 0.10

// FitSlope regresses R on N over the levels of at least twice the knee. Three such levels are needed, four to see a bend;
// highest is X_max in 1/s.
func FitSlope(points []Point, knee, highest float64) (Slope, error) {
	if err := cmp.Or(positive("knee in users", knee), positive("highest throughput", highest)); err != nil {
		return Slope{}, err
	}
	var line, bent [][]float64
	var y, w []float64
	last := 0.0
	for _, p := range points {
		N := float64(p.Users)
		if err := cmp.Or(positive("users of a level", N), positive(fmt.Sprintf("response time at %d users in seconds", p.Users), p.Seconds)); err != nil {
			return Slope{}, err
		}
		if N < 2*knee {
			continue
		}
		line = append(line, []float64{1, N})
		bent = append(bent, []float64{1, N, N * N})
		y = append(y, p.Seconds)
		w = append(w, 1/(p.Seconds*p.Seconds)) // times are known to a share of themselves
		last = math.Max(last, N)
	}
	few := &Refusal{TooFewTrials, fmt.Sprintf("%d levels lie beyond twice the knee of %.3g users; a slope with bounds needs three", len(y), knee), "load more users, at least up to eight times the knee"}
	if len(y) < 3 {
		return Slope{}, few
	}
	f, ok := leastSquares(line, y, w)
	if !ok {
		return Slope{}, few
	}
	s := Slope{PerUser: f.interval(1), Levels: len(y)}
	if q, ok := leastSquares(bent, y, w); ok && q.df > 0 {
		bend := q.interval(2)
		// The bend must also matter: a tenth of the time at the largest level.
		s.Growing = bend.Low > 0 && bend.Value*last*last > 0.1*q.at([]float64{1, last, last * last})
	}
	want := 1 / highest
	within := s.PerUser.Low <= want && want <= s.PerUser.High
	s.Fixed = !s.Growing && s.PerUser.Value > 0 && (within || math.Abs(s.PerUser.Value-want) <= slopeTolerance*want)
	return s, nil
}
