package record

import (
	"math"
	"math/rand/v2"
	"testing"
)

func secondOf(ok uint64) *Frame {
	return &Frame{Seconds: 1, Steps: map[string]*StepFrame{"a": {N: ok, OK: ok}}}
}

// TestResolution holds the formula against Poisson counts, whose dispersion is 1, and against constant ones.
func TestResolution(t *testing.T) {
	t.Parallel()
	var steady, poisson dispersion
	r := rand.New(rand.NewPCG(1, 2))
	n := uint64(0)
	for range 2000 {
		steady.add(secondOf(8))
		k, left := uint64(0), 1.0
		for e := r.ExpFloat64(); e < left*8; e += r.ExpFloat64() { // arrivals of rate 8 within a second
			k++
		}
		n += k
		poisson.add(secondOf(k))
	}
	if got, want := *steady.resolution(16000), 100*1.96*math.Sqrt(leastDispersion/16000); math.Abs(got-want) > 1e-9 {
		t.Errorf("steady: %v %%, want the floor %v %%", got, want)
	}
	if got, want := *poisson.resolution(n), 100*1.96/math.Sqrt(float64(n)); math.Abs(got/want-1) > 0.1 {
		t.Errorf("poisson: %v %%, want %v %% within a tenth", got, want)
	}
	var short dispersion
	for range 4 {
		short.add(secondOf(8))
	}
	if short.resolution(32) != nil {
		t.Error("four seconds gave a resolution")
	}
}
