package killbill

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// Dropwizard's exponentially decaying reservoir: the most recent five minutes or so dominate.
const (
	reservoirSize  = 1028
	reservoirDecay = 0.015 // per second
	rescaleEvery   = time.Hour
)

// reservoir is a forward-decaying sample (Cormode et al.): a value arriving t seconds after the landmark weighs e^(αt), has the
// priority weight/u with u uniform in (0,1], and the highest priorities are kept.
type reservoir struct {
	landmark time.Time
	rng      *rand.Rand
	kept     []sampled // a min-heap by priority
}

type sampled struct{ priority, weight, value float64 }

func newReservoir(now time.Time) *reservoir {
	return &reservoir{landmark: now, rng: rand.New(rand.NewPCG(uint64(now.UnixNano()), 1))}
}

func (r *reservoir) add(now time.Time, value float64) {
	if now.Sub(r.landmark) >= rescaleEvery {
		r.rescale(now)
	}
	weight := math.Exp(reservoirDecay * now.Sub(r.landmark).Seconds())
	s := sampled{priority: weight / (1 - r.rng.Float64()), weight: weight, value: value}
	switch {
	case len(r.kept) < reservoirSize:
		r.kept = append(r.kept, s)
		for i := len(r.kept) - 1; i > 0; { // up
			parent := (i - 1) / 2
			if r.kept[parent].priority <= r.kept[i].priority {
				break
			}
			r.kept[parent], r.kept[i] = r.kept[i], r.kept[parent]
			i = parent
		}
	case s.priority > r.kept[0].priority:
		r.kept[0] = s
		for i := 0; ; { // down
			least := i
			for child := 2*i + 1; child <= 2*i+2 && child < len(r.kept); child++ {
				if r.kept[child].priority < r.kept[least].priority {
					least = child
				}
			}
			if least == i {
				break
			}
			r.kept[i], r.kept[least] = r.kept[least], r.kept[i]
			i = least
		}
	}
}

// rescale moves the landmark so that weights cannot overflow; all shrink by the same factor, so the heap order stands.
func (r *reservoir) rescale(now time.Time) {
	factor := math.Exp(-reservoirDecay * now.Sub(r.landmark).Seconds())
	for i := range r.kept {
		r.kept[i].priority *= factor
		r.kept[i].weight *= factor
	}
	r.landmark = now
}

// summary is what Dropwizard prints of a reservoir, in the unit of its values.
type summary struct {
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P75  float64 `json:"p75"`
	P95  float64 `json:"p95"`
	P98  float64 `json:"p98"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Dev  float64 `json:"stddev"`
}

func (r *reservoir) summary() summary {
	if len(r.kept) == 0 {
		return summary{}
	}
	all := slices.Clone(r.kept)
	slices.SortFunc(all, func(a, b sampled) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	var total, mean, squares float64
	for _, s := range all {
		total += s.weight
	}
	below := make([]float64, len(all)) // share of the weight of all smaller values
	sum := 0.0
	for i, s := range all {
		below[i] = sum / total
		sum += s.weight
		mean += s.value * s.weight / total
	}
	for _, s := range all {
		squares += (s.value - mean) * (s.value - mean) * s.weight / total
	}
	quantile := func(q float64) float64 {
		i := sort.SearchFloat64s(below, q)
		if i == len(below) || below[i] > q {
			i--
		}
		return all[max(i, 0)].value
	}
	return summary{
		Max: all[len(all)-1].value, Min: all[0].value, Mean: mean, Dev: math.Sqrt(squares),
		P50: quantile(.5), P75: quantile(.75), P95: quantile(.95), P98: quantile(.98), P99: quantile(.99), P999: quantile(.999),
	}
}
