package queueing

import (
	"cmp"
	"fmt"
	"math"
)

// Level is a load of a closed test and what it gave, for fitting curves.
type Level struct {
	// Users is N, the measured concurrency. For an open load that is X·R and not the offered rate.
	Users float64
	// PerSecond is the goodput in each of several equally long batches, 1/s: their spread is the level's noise.
	PerSecond  []float64
	ErrorRatio float64
	Descending bool // measured on the way down
	Flaw       Flaw // what makes the level unfit, if anything
}

// Flaw is a reason, known to whoever measured, not to fit a curve through a level.
type Flaw string

// Flaws of a level. An unsteady one is left out; any other one refuses the curve, because the other levels have it unseen
// or are not of the same system.
const (
	Sound            Flaw = ""
	Unsteady         Flaw = "was not stationary"
	GeneratorLimited Flaw = "was limited by captest or its connections"
	MixChanged       Flaw = "had another mix or another size of data"
	Rescaled         Flaw = "had another number of instances"
	Throttled        Flaw = "ran into its CPU quota"
)

// mostLevel keeps the search for servers within seconds.
const mostLevel = 100_000

// leastNoise is the relative standard error a level has at least: no model of a queue is better than that, and one level
// of a lucky spread must not rule the fit.
const leastNoise = 0.01

// throughput is the mean of the batches, 1/s.
func (l Level) throughput() float64 {
	sum := 0.0
	for _, x := range l.PerSecond {
		sum += x
	}
	return sum / float64(len(l.PerSecond))
}

// noise is the relative standard error of the throughput, by batch means.
func (l Level) noise() float64 {
	b, mean := float64(len(l.PerSecond)), l.throughput()
	if b < 2 {
		return leastNoise
	}
	sum := 0.0
	for _, x := range l.PerSecond {
		sum += (x - mean) * (x - mean)
	}
	return math.Max(leastNoise, math.Sqrt(sum/(b-1)/b)/mean)
}

func (l Level) check() error {
	place := fmt.Sprintf("level of %v users: ", l.Users)
	if !finite(l.Users) || l.Users < 1 || l.Users > mostLevel {
		return fmt.Errorf("%sa level has 1 to %d users", place, mostLevel)
	}
	if len(l.PerSecond) == 0 {
		return fmt.Errorf("%sit has no batch of goodput; give one at least", place)
	}
	for i, x := range l.PerSecond {
		if err := notNegative(fmt.Sprintf("%sgoodput of batch %d", place, i), x); err != nil {
			return err
		}
	}
	return cmp.Or(positive(place+"mean goodput", l.throughput()), ratio(place+"error ratio", l.ErrorRatio))
}

// sample is a level as the fits see it. In a closed load the whole time of a round is R + Z = N/X, whatever Z is: fits of
// N/X need no think time.
type sample struct {
	n, round float64 // users, and N/X in seconds
	weight   float64 // 1/Var(N/X), 1/s²
}

func samples(levels []Level) []sample {
	out := make([]sample, len(levels))
	for i, l := range levels {
		round := l.Users / l.throughput()
		e := round * l.noise()
		out[i] = sample{l.Users, round, 1 / (e * e)}
	}
	return out
}

// squares is Σ w·(N/X − predicted)².
func squares(s []sample, predicted func(n float64) float64) float64 {
	sum := 0.0
	for _, p := range s {
		off := p.round - predicted(p.n)
		sum += p.weight * off * off
	}
	return sum
}
