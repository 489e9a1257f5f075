package observe

import (
	"math"
	"runtime/metrics"
	"slices"
)

// Pauses are the garbage collector's stops of captest so far: by their length, as the runtime counts them.
type Pauses struct {
	counts []uint64
	bounds []float64 // s, one more than counts
}

// Pauses up to now; of no use but to give what came Since.
func (o *Observer) Pauses() Pauses {
	s := []metrics.Sample{{Name: gcPauses}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return Pauses{}
	}
	h := s[0].Value.Float64Histogram()
	return Pauses{slices.Clone(h.Counts), h.Buckets}
}

// gcPauses is the whole time the world stood still for the collector, waiting for threads to stop among it: on a machine that
// others keep busy that is most of it.
const gcPauses = "/sched/pauses/total/gc:seconds"

// Since gives the pauses after earlier ones.
func (p Pauses) Since(before Pauses) Pauses {
	d := Pauses{slices.Clone(p.counts), p.bounds}
	for i := range d.counts {
		if i < len(before.counts) {
			d.counts[i] -= min(before.counts[i], d.counts[i])
		}
	}
	return d
}

// N is how many there are.
func (p Pauses) N() (n uint64) {
	for _, k := range p.counts {
		n += k
	}
	return n
}

// P99Ms is the 99th percentile of their lengths, in ms, the upper bound of its bucket; 0 without any.
func (p Pauses) P99Ms() float64 {
	rank, seen := uint64(math.Ceil(0.99*float64(p.N()))), uint64(0)
	for i, n := range p.counts {
		if seen += n; n > 0 && seen >= rank {
			return 1000 * p.upper(i)
		}
	}
	return 0
}

// LongerMs is the time spent in pauses longer than so many ms, in ms, each taken as the lower bound of its bucket.
func (p Pauses) LongerMs(than float64) float64 {
	sum := 0.0
	for i, n := range p.counts {
		if lower := 1000 * p.bounds[i]; n > 0 && lower >= than {
			sum += lower * float64(n)
		}
	}
	return sum
}

// upper bound of a bucket; the last one has none.
func (p Pauses) upper(i int) float64 {
	if b := p.bounds[i+1]; !math.IsInf(b, 0) {
		return b
	}
	return p.bounds[i]
}
