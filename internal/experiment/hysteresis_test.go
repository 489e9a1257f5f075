package experiment

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/captest/captest/internal/experiment/search"
)

// climb measures a ladder of a target that takes so many times as long and carries such a part of what is offered, with the
// noise of real seconds.
func climb(rng *rand.Rand, slower, carried func(percent float64) float64) []Rung {
	var out []Rung
	for _, percent := range rungs {
		r := Rung{Percent: percent, OfferedPerSecond: percent / 10}
		drift := 0.0
		for range 14 {
			drift = 0.5*drift + 0.06*rng.NormFloat64() // neighbours resemble each other
			r.MedianMs = append(r.MedianMs, 200*(1+percent/100)*slower(percent)*math.Exp(drift))
			r.PerSecond = append(r.PerSecond, percent/10*carried(percent)*(1+0.1*rng.NormFloat64()))
		}
		out = append(out, r)
	}
	return out
}

func TestHysteresis(t *testing.T) {
	t.Parallel()
	same := func(float64) float64 { return 1 }
	times := func(k float64) func(float64) float64 { return func(float64) float64 { return k } }
	at := func(percent, k float64) func(float64) float64 {
		return func(p float64) float64 {
			if p == percent {
				return k
			}
			return 1
		}
	}
	tests := []struct {
		name            string
		slower, carried func(float64) float64
		found           bool
		worse           float64
	}{
		{"the same", same, same, false, 0.4},
		{"caches are warm", times(0.7), same, false, 0.4},
		{"half slower everywhere", times(1.5), same, true, 4},
		{"slower at one load only", at(75, 1.5), same, false, 1.3},
		{"the highest load is carried no more", same, at(90, 0.6), true, 1.3},
		{"a seventh less everywhere", same, times(0.85), true, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrong, worse := 0, 0
			const runs = 100
			for seed := range uint64(runs) {
				rng := rand.New(rand.NewPCG(seed, 3))
				h := Compare(climb(rng, same, same), climb(rng, tt.slower, tt.carried))
				if h.Found != tt.found {
					wrong++
				}
				for _, l := range h.Levels {
					if l.Worse {
						worse++
					}
				}
				if len(h.Levels) != len(rungs) || h.Area == nil {
					t.Fatalf("%+v", h)
				}
			}
			if wrong > 10 {
				t.Errorf("%d of %d verdicts are wrong", wrong, runs)
			}
			if mean := float64(worse) / runs; math.Abs(mean-tt.worse) > 0.5 {
				t.Errorf("%.2f rungs are worse, want about %v", mean, tt.worse)
			}
		})
	}
	if h := Compare(nil, nil); h.Found || h.P != nil {
		t.Errorf("nothing measured: %+v", h)
	}
	if h := Compare([]Rung{{Percent: 25}}, []Rung{{Percent: 25}}); h.Found || h.Levels[0].LatencyRatio != nil || h.Levels[0].ThroughputRatio != nil {
		t.Errorf("nothing completed: %+v", h)
	}
}

// The healthy case must not be called worse by chance: α is 1 % a run, and the ratios bound it further.
func TestHysteresisIsSeldomFoundByChance(t *testing.T) {
	t.Parallel()
	found := 0
	same := func(float64) float64 { return 1 }
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		if Compare(climb(rng, same, same), climb(rng, same, same)).Found {
			found++
		}
	}
	if found > 10 {
		t.Errorf("found in %d of 1000 healthy runs", found)
	}
}

func TestThinnedValuesAreNearlyIndependent(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 5))
	x, v := []float64{}, 0.0
	for range 200 {
		v = 0.9*v + rng.NormFloat64()
		x = append(x, v)
	}
	if got := thinned(x); search.Lag1(x) < 0.7 || search.Lag1(got) >= 0.2 || len(got) < 10 || len(got) > 60 {
		t.Errorf("lag 1 of %.2f became %.2f in %d values", search.Lag1(x), search.Lag1(got), len(got))
	}
}
