package queueing

import (
	"fmt"
	"math"
	"slices"
)

// Serial is what probes say of a resource that serves one thing at a time, such as an event loop, without its metrics.
type Serial struct {
	Base        float64  // seconds, the median probe of the idle target
	Utilization Interval // ρ, share of time in which the resource was busy
	// Chunk is how long one piece of work blocks the resource, in seconds. It is zero when Chunked is false: the resource
	// was too busy (ρ ≥ 0.3), or too few probes were delayed. Low takes the delays to hold waiting behind other pieces
	// (an open load), Value and High take them to be the rest of one piece.
	Chunk   Interval
	Chunked bool
	Longest float64 // seconds, the longest excess: without queueing the chunk is at least this long
}

const (
	probeDelay   = 0.005 // s over the base: above a quiet machine's own jitter
	fewestProbes = 20
	fewestLate   = 5
	quietEnough  = 0.3 // utilisation below which a late probe waits for one piece of work
)

// EstimateSerial compares probes of a trivial endpoint on an idle target with probes under load, all in seconds, sent at
// the instants of a Poisson process. Poisson arrivals see time averages (Wolff, PASTA, 1982): the share that finds the
// resource busy is its utilisation, and what it then waits is the residual of a piece of work, E[S²]/(2·E[S]).
//
// A probe counts as late from 5 ms over the base on, so the last 5 ms of each piece S of constant length are missed. Both
// figures are corrected for that: the mean excess of late probes is (S + 5 ms)/2 and their share ρ·(1 − 5 ms/S).
//
// Bounds of ρ are Wilson's (1927). [Refusal] [TooFewProbes] with fewer than 20 of either kind.
func EstimateSerial(idle, loaded []float64) (Serial, error) {
	for _, p := range []struct {
		name   string
		delays []float64
	}{{"idle", idle}, {"loaded", loaded}} {
		for i, v := range p.delays {
			if err := notNegative(fmt.Sprintf("%s probe %d in seconds", p.name, i), v); err != nil {
				return Serial{}, err
			}
		}
		if len(p.delays) < fewestProbes {
			return Serial{}, &Refusal{TooFewProbes, fmt.Sprintf("%d %s probes; a share needs %d", len(p.delays), p.name, fewestProbes), "probe for longer, at 5 to 20 a second"}
		}
	}
	s := Serial{Base: median(idle)}
	late, sum := 0.0, 0.0
	for _, v := range loaded {
		excess := v - s.Base
		s.Longest = math.Max(s.Longest, excess)
		if excess > probeDelay {
			late++
			sum += excess
		}
	}
	s.Utilization = wilson(late, float64(len(loaded)))
	if late < fewestLate || s.Utilization.Value >= quietEnough {
		return s, nil
	}
	chunk := 2*sum/late - probeDelay // above probeDelay, since every excess is
	seen := 1 - probeDelay/chunk
	if seen < 0.25 { // pieces hardly longer than the threshold: the correction would be a guess
		return s, nil
	}
	u := s.Utilization.times(1 / seen)
	s.Utilization = Interval{math.Min(1, u.Low), math.Min(1, u.Value), math.Min(1, u.High)}
	// Pollaczek–Khinchine: behind others in an open queue the mean wait of those who wait is E[S²]/(2·E[S]·(1−ρ)).
	spread := 1.96 * deviation(loaded, s.Base, sum/late) / math.Sqrt(late) * 2
	s.Chunk = Interval{math.Max(0, (chunk-spread)*(1-s.Utilization.Value)), chunk, chunk + spread}
	s.Chunked = true
	return s, nil
}

// deviation of the late probes' excess about its mean.
func deviation(loaded []float64, base, mean float64) float64 {
	sum, n := 0.0, 0.0
	for _, v := range loaded {
		if e := v - base; e > probeDelay {
			sum += (e - mean) * (e - mean)
			n++
		}
	}
	return math.Sqrt(sum / math.Max(1, n-1))
}

// wilson gives hits ÷ n with Wilson's 95 % score bounds.
func wilson(hits, n float64) Interval {
	const z = 1.96
	p := hits / n
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Interval{math.Max(0, math.Min(p, middle-half)), p, math.Min(1, math.Max(p, middle+half))}
}

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
