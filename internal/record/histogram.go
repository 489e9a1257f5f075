package record

import (
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram is a latency distribution with 3 significant digits from 1 µs to 10 min. Merging is exact: the merge of two
// histograms is the histogram of the union. It is not safe for concurrent use.
type Histogram struct{ h *hdr.Histogram }

// NewHistogram makes an empty one.
func NewHistogram() *Histogram { return &Histogram{h: hdr.New(lowestUs, highestUs, digits)} }

// Decode reads a histogram as frames carry it (V2 compressed, base64). "" is an empty histogram.
func Decode(encoded string) (*Histogram, error) {
	if encoded == "" {
		return NewHistogram(), nil
	}
	h, err := hdr.Decode([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	if h.LowestTrackableValue() != lowestUs || h.HighestTrackableValue() != highestUs || h.SignificantFigures() != digits {
		return nil, fmt.Errorf("histogram: covers %d to %d with %d digits, want %d to %d with %d",
			h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), lowestUs, highestUs, digits)
	}
	return &Histogram{h: h}, nil
}

// RecordMs counts one value in ms, clamped into the range.
func (h *Histogram) RecordMs(ms float64) {
	us := int64(lowestUs)
	if v := ms * 1000; v >= highestUs {
		us = highestUs
	} else if v > lowestUs {
		us = int64(v + 0.5)
	}
	_ = h.h.RecordValue(us) // within the range by construction
}

// Merge adds every value of o; nil adds nothing.
func (h *Histogram) Merge(o *Histogram) {
	if o != nil {
		h.h.Merge(o.h) // both have the one geometry, so nothing is dropped
	}
}

// add counts every value of a tally.
func (h *Histogram) add(t *tally) {
	t.each(func(index int, n uint32) { _ = h.h.RecordValues(bucketValue(index), int64(n)) })
}

// N is how many values it holds.
func (h *Histogram) N() uint64 {
	if h == nil {
		return 0
	}
	return uint64(h.h.TotalCount())
}

// Reset empties it.
func (h *Histogram) Reset() { h.h.Reset() }

// Clone is an independent copy.
func (h *Histogram) Clone() *Histogram {
	if h == nil {
		return nil
	}
	return &Histogram{h: h.h.Clone()}
}

// Equal says whether two histograms hold the same counts; go-cmp uses it.
func (h *Histogram) Equal(o *Histogram) bool {
	if h == nil || o == nil {
		return h == o
	}
	return h.h.Equals(o.h)
}

// QuantileMs is the value in ms that a share q (0…1) of all values do not exceed, 0 when it is empty.
func (h *Histogram) QuantileMs(q float64) float64 {
	return float64(h.h.ValueAtPercentile(q*100)) / 1000
}

// MeanMs is the mean in ms, 0 when it is empty.
func (h *Histogram) MeanMs() float64 { return h.h.Mean() / 1000 }

// MinMs is the smallest value in ms, 0 when it is empty.
func (h *Histogram) MinMs() float64 { return float64(h.h.Min()) / 1000 }

// MaxMs is the largest value in ms, 0 when it is empty.
func (h *Histogram) MaxMs() float64 { return float64(h.h.Max()) / 1000 }

// Encode writes it as frames carry it; "" when it is empty.
func (h *Histogram) Encode() (string, error) {
	if h.N() == 0 {
		return "", nil
	}
	b, err := h.h.EncodeV2()
	if err != nil {
		return "", fmt.Errorf("histogram: %w", err)
	}
	return string(b), nil
}

// Each calls f for every bucket that holds values, in ascending order, with the bucket's bounds in ms.
func (h *Histogram) Each(f func(fromMs, toMs float64, n uint64)) {
	for _, bar := range h.h.Distribution() {
		if bar.Count > 0 {
			f(float64(bar.From)/1000, float64(bar.To)/1000, uint64(bar.Count))
		}
	}
}

// Latency of the values as run.json writes it; every field nil when there are none.
func (h *Histogram) Latency() Latency {
	if h.N() == 0 {
		return Latency{}
	}
	p := h.Percentiles()
	return Latency{MeanMs: p.Mean, P50Ms: p.P50, P90Ms: p.P90, P95Ms: p.P95, P99Ms: p.P99, P999Ms: p.P999, MaxMs: p.Max}
}

// Percentiles of the values in ms; every field nil when there are none.
func (h *Histogram) Percentiles() Percentiles {
	if h.N() == 0 {
		return Percentiles{}
	}
	v := h.h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9})
	ms := func(us int64) *float64 { return known(float64(us) / 1000) }
	return Percentiles{
		Mean: known(h.MeanMs()), P50: ms(v[0]), P90: ms(v[1]), P95: ms(v[2]), P99: ms(v[3]), P999: ms(v[4]), Max: known(h.MaxMs()),
	}
}

// quantiles of the values as the screen shows them.
func (h *Histogram) quantiles() Quantiles {
	n := h.N()
	if n == 0 {
		return Quantiles{}
	}
	v := h.h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99})
	return Quantiles{
		N: n, MeanMs: h.MeanMs(), P50Ms: float64(v[0]) / 1000, P90Ms: float64(v[1]) / 1000,
		P95Ms: float64(v[2]) / 1000, P99Ms: float64(v[3]) / 1000, MaxMs: h.MaxMs(),
	}
}

// known makes a value that is not unknown.
func known(v float64) *float64 { return &v }
