package queueing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// released is what n requests meet that arrive at once: a delay that all have, then servers (0: shared among all, -1: as many as
// there are requests). Service times are log-normal of mean 1 s and coefficient of variation c.
func released(r *rand.Rand, n, servers int, shared bool, c, delay float64) []float64 {
	work := make([]float64, n)
	for i := range work {
		work[i] = logNormal(r, c)
	}
	out := make([]float64, 0, n)
	switch {
	case servers < 0:
		out = append(out, work...)
	case shared: // egalitarian: with k left each gets min(1, servers/k) of a server
		slices.Sort(work)
		now, done := 0.0, 0.0
		for k, w := range work {
			left := n - k
			now += (w - done) / math.Min(1, float64(servers)/float64(left))
			done = w
			out = append(out, now)
		}
	default:
		free := make([]float64, servers)
		for _, w := range work {
			k := 0
			for j := range free {
				if free[j] < free[k] {
					k = j
				}
			}
			free[k] += w
			out = append(out, free[k])
		}
	}
	for i := range out {
		out[i] += delay + 0.005*r.Float64()
	}
	return out
}

func logNormal(r *rand.Rand, c float64) float64 {
	s := math.Sqrt(math.Log(1 + c*c))
	return math.Exp(s*r.NormFloat64() - s*s/2)
}

// TestStaircaseOfKnownStations: what a station is, is either named or left open. Hardly ever is it named as another.
func TestStaircaseOfKnownStations(t *testing.T) {
	t.Parallel()
	const tries = 300
	for _, x := range []struct {
		servers int
		shared  bool
		want    Stairs
		named   float64 // share of tries that must name it, where service times hardly differ
	}{
		{1, false, Even, 0.95},
		{2, false, Steps, 0.7},
		{4, false, Steps, 0.9},
		{1, true, Shared, 0.95},
		{2, true, Shared, 0.95},
		{4, true, Shared, 0.95},
		{-1, false, Together, 0.95},
	} {
		for _, c := range []float64{0, 0.1, 0.3} {
			for _, delay := range []float64{0, 1} {
				name := fmt.Sprintf("m=%d shared=%t c=%.1f delay=%.0f", x.servers, x.shared, c, delay)
				r := rand.New(rand.NewPCG(7, uint64(100*c)))
				named, wrong := 0, 0
				for range tries {
					var alone []float64
					for range 10 {
						alone = append(alone, released(r, 1, -1, false, c, delay)[0])
					}
					var bursts [][]float64
					for range 5 {
						bursts = append(bursts, released(r, 16, x.servers, x.shared, c, delay))
					}
					got, err := EstimateStaircase(alone, bursts)
					if err != nil {
						t.Fatal(err)
					}
					m := float64(x.servers)
					switch {
					case got.Form == Unclear:
					case got.Form != x.want:
						wrong++
					case x.want == Even, x.want == Together, x.want == Shared && delay == 0 && got.Servers.Low <= 1.2*m && got.Servers.High >= 0.8*m:
						named++
					case x.want == Steps && got.Servers.Low <= m && got.Servers.High >= m:
						named++
					case x.want == Shared && delay > 0: // how much of the time alone is the station's is not known
						named++
					default:
						wrong++
					}
				}
				t.Logf("%s: named %.2f, wrong %.2f", name, float64(named)/tries, float64(wrong)/tries)
				if float64(wrong)/tries > 0.05 {
					t.Errorf("%s: %d of %d were named as something else", name, wrong, tries)
				}
				if c <= 0.1 && delay == 0 && float64(named)/tries < x.named {
					t.Errorf("%s: %d of %d were named", name, named, tries)
				}
			}
		}
	}
}

// TestStaircaseOfUnevenBursts: bursts that differ by several times say nothing of servers, and never less than none.
func TestStaircaseOfUnevenBursts(t *testing.T) {
	t.Parallel()
	alone := []float64{1.5, 1.7, 1.6, 1.8, 1.6}
	for _, bursts := range [][][]float64{
		{{8, 8.1, 8.2, 8.3, 8.4, 8.5, 8.6, 8.7}, {3, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7}},
		{{1.6, 2, 3, 4, 5, 6, 7, 8}, {1.6, 5, 10, 15, 20, 25, 30, 35}},
	} {
		got, err := EstimateStaircase(alone, bursts)
		if err != nil || got.Form != Unclear || got.Servers != (Interval{}) || got.Slope != (Interval{}) {
			t.Errorf("%+v %v, want unclear", got, err)
		}
	}
	if _, err := EstimateStaircase(alone, [][]float64{{1, 2, 3, 4, 5, 6, 7, 8}}); err == nil {
		t.Error("one burst is enough")
	}
	if _, err := EstimateStaircase(alone[:2], [][]float64{{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}}); err == nil {
		t.Error("two single answers are enough")
	}
	if _, err := EstimateStaircase([]float64{1, math.NaN(), 1}, [][]float64{{1, 2, 3, 4, 5, 6, 7, math.Inf(1)}, {1, 2, 3, 4, 5, 6, 7, 8}}); err == nil {
		t.Error("an answer that never came is a time")
	}
}
