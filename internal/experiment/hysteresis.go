package experiment

import (
	"math"
	"slices"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// Rung is one load of a ladder as it was measured, warm-up left out.
type Rung struct {
	Percent          float64 // of capacity
	OfferedPerSecond float64
	MedianMs         []float64 // of each second's answers
	PerSecond        []float64 // good answers of each second
}

// Ratios that count as worse (measurement 4.4), in how many rungs, and the chance of such a difference without a cause that is
// accepted.
const (
	worseLatency    = 1.25
	worseThroughput = 0.95
	worsePost       = 0.9 // of the capacity before: one rung alone is enough
	worseRungs      = 2
	hysteresisP     = 0.01
)

// Compare holds the ladder down against the ladder up, rung by rung. Found: two rungs or more are slower by a quarter, or two or
// more carry a twentieth less, or one a tenth less, and the seconds behind it differ by more than chance. The test takes all rungs,
// not those that look worse: a choice made by looking would find too much. Caches warm on the way down, which only helps.
func Compare(up, down []Rung) *record.Hysteresis {
	h := &record.Hysteresis{Levels: []record.HysteresisLevel{}}
	var slow, less, post strata
	slower, lesser, posts := 0, 0, 0
	var apart, sum float64
	for _, u := range up {
		i := slices.IndexFunc(down, func(d Rung) bool { return d.Percent == u.Percent })
		if i < 0 {
			continue
		}
		d := down[i]
		l := record.HysteresisLevel{Percent: u.Percent, OfferedPerSecond: u.OfferedPerSecond, UpPerSecond: search.Mean(u.PerSecond), DownPerSecond: search.Mean(d.PerSecond)}
		if len(u.MedianMs) > 0 && len(d.MedianMs) > 0 {
			l.UpMs, l.DownMs = ref(search.Median(u.MedianMs)), ref(search.Median(d.MedianMs))
			apart, sum = apart+math.Abs(*l.DownMs-*l.UpMs), sum+*l.UpMs
			if *l.UpMs > 0 {
				l.LatencyRatio = ref(*l.DownMs / *l.UpMs)
			}
		}
		if l.UpPerSecond > 0 {
			l.ThroughputRatio = ref(l.DownPerSecond / l.UpPerSecond)
		}
		slow.add(thinned(d.MedianMs), thinned(u.MedianMs))
		less.add(thinned(u.PerSecond), thinned(d.PerSecond))
		if l.LatencyRatio != nil && *l.LatencyRatio > worseLatency {
			slower, l.Worse = slower+1, true
		}
		if l.ThroughputRatio != nil && *l.ThroughputRatio < worseThroughput {
			lesser, l.Worse = lesser+1, true
			if *l.ThroughputRatio < worsePost {
				posts++
				post.add(thinned(u.PerSecond), thinned(d.PerSecond))
			}
		}
		h.Levels = append(h.Levels, l)
	}
	if sum > 0 {
		h.Area = ref(apart / sum)
	}
	const questions = 3 // Bonferroni
	for _, q := range []struct {
		asked bool
		p     float64
	}{{slower >= worseRungs, slow.p()}, {lesser >= worseRungs, less.p()}, {posts > 0, post.p()}} {
		if p := min(1, questions*q.p); q.asked && (h.P == nil || p < *h.P) {
			h.P = ref(p)
		}
	}
	h.Found = h.P != nil && *h.P < hysteresisP
	return h
}

// strata add up one-sided Mann-Whitney tests, one for each rung: U and its variance under no difference, ties corrected; the sum
// is close to normal. Source: Mann & Whitney 1947; van Elteren 1960 for the strata.
type strata struct{ u, mean, variance float64 }

// add asks whether a tends to exceed b.
func (s *strata) add(a, b []float64) {
	na, nb := float64(len(a)), float64(len(b))
	if na == 0 || nb == 0 {
		return
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				s.u++
			case x == y:
				s.u += 0.5
			}
		}
	}
	n := na + nb
	ties := 0.0
	all := slices.Sorted(slices.Values(append(slices.Clone(a), b...)))
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	s.mean += na * nb / 2
	s.variance += na * nb / 12 * (n + 1 - ties/(n*(n-1)))
}

func (s *strata) p() float64 {
	if s.variance <= 0 {
		return 1
	}
	return 0.5 * math.Erfc((s.u-s.mean-0.5)/math.Sqrt(2*s.variance))
}

// thinned takes every k-th value, with the smallest k at which neighbours are nearly independent (search.Independent): a
// test of ranks believes that its values are.
func thinned(x []float64) []float64 {
	for k := 1; k <= len(x)/3; k++ {
		var out []float64
		for i := 0; i < len(x); i += k {
			out = append(out, x[i])
		}
		if search.Lag1(out) < search.Independent {
			return out
		}
	}
	return x[:min(len(x), 3)]
}
