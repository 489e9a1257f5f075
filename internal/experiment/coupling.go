package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// Sizes of the coupling test.
const (
	couplingShare    = 0.9 // of the highest goodput
	couplingWarm     = 1500 * time.Millisecond
	couplingMeasured = 3 * time.Second
	couplingIdle     = 3 * time.Second
	couplingProbes   = 10.0 // a second
	couplingFewest   = 8    // answers of the load, for a mean
	couplingRise     = 0.1  // of the load's time alone, below which there is nothing to compare with
)

// couplingTest asks a trivial endpoint of the service, at rest and while the scenario's step is loaded. What slows it down then is
// something that all requests share; what does not belongs to the step. Source: measurement 5.2, T2, and 1.6.
func (x *experiment) couplingTest(ctx context.Context) (record.Test, error) {
	service, path := x.trivial()
	out := record.Test{Where: service, Words: map[string]string{"path": path, "step": x.Scenario.Steps[0].Name}}
	rate := couplingShare * search.Best(x.found)
	if rate <= 0 {
		out.Skipped = unsized
		return out, nil
	}
	if rate*couplingMeasured.Seconds() < couplingFewest {
		out.Skipped = fmt.Sprintf("at %.2g/s too few requests come in %.0f s", rate, couplingMeasured.Seconds())
		return out, nil
	}
	random := rand.New(rand.NewPCG(x.Seed, 2))
	x.testSent = true
	idle, _ := x.poisson(ctx, random, service, path, couplingIdle)
	if err := context.Cause(ctx); err != nil {
		return out, err
	}
	plan, err := schedule.Fixed(rate, couplingWarm+couplingMeasured, schedule.Poisson, x.Seed+uint64(x.trials))
	if err != nil {
		return out, fmt.Errorf("test %s: %w", record.TestCoupling, err)
	}
	var loaded []float64
	var lost int
	var wg sync.WaitGroup
	wg.Go(func() {
		if sleep(ctx, couplingWarm) == nil {
			loaded, lost = x.poisson(ctx, random, service, path, couplingMeasured)
		}
	})
	sums, end, err := x.trial(ctx, trialSpec{
		phase: PhaseTests, note: record.TestCoupling, warm: couplingWarm, measured: couplingMeasured,
		load: drive.Load{Plan: plan, For: couplingWarm + couplingMeasured, InFlightCap: x.inFlightCap(search.Action{PerSecond: rate}), Grace: seconds(search.DrainSeconds)},
		mark: record.Load{RatePerSecond: rate, Arrivals: string(schedule.Poisson)},
	})
	wg.Wait()
	switch {
	case err != nil:
		return out, err
	case end.brake != nil:
		out.Skipped = end.brake.Error()
		return out, end.brake
	case end.verdict == verdictInvalid:
		out.Skipped = "the load was not what it should have been: " + end.reasons[0]
		return out, nil
	}
	busy, n := stepMean(sums, x.Scenario.Steps[0].Name)
	if n < couplingFewest || len(idle) < 5 || len(loaded) < 5 {
		out.Skipped = fmt.Sprintf("%d answers of the load, %d and %d probes: too few", n, len(idle), len(loaded))
		return out, nil
	}
	alone, aloneError := x.singleMs()
	out.Values = coupling(alone, busy, math.Hypot(aloneError, deviation(sums.Response)/math.Sqrt(float64(n))), idle, loaded)
	out.Values["load_per_second"], out.Values["probes_lost"] = rate, float64(lost)
	return out, nil
}

// coupling compares the rise of the trivial endpoint, probes in ms, with that of the loaded step from alone to busy, in ms;
// riseError is the standard error of their difference.
func coupling(alone, busy, riseError float64, idle, loaded []float64) map[string]float64 {
	a, ae := meanAndError(idle)
	b, be := meanAndError(loaded)
	v := map[string]float64{"step_idle_ms": alone, "step_load_ms": busy, "trivial_idle_ms": a, "trivial_load_ms": b, "probes": float64(len(loaded))}
	if rise := busy - alone; rise > couplingRise*alone {
		// k = ΔB ÷ ΔA; each difference within two standard errors, 95 %. The quotient of two intervals has its ends at their corners;
		// where the lower interval holds 0 there is an end on neither side that could be told.
		half, wide := 1.96*math.Hypot(ae, be), 1.96*riseError
		v["coupling"] = (b - a) / rise
		if rise > wide {
			corners := []float64{(b - a - half) / (rise + wide), (b - a - half) / (rise - wide), (b - a + half) / (rise + wide), (b - a + half) / (rise - wide)}
			v["coupling_low"], v["coupling_high"] = slices.Min(corners), slices.Max(corners)
		}
	}
	if s, err := queueing.EstimateSerial(over(idle, 1000), over(loaded, 1000)); err == nil {
		v["serial_percent"], v["serial_low_percent"], v["serial_high_percent"] = 100*s.Utilization.Value, 100*s.Utilization.Low, 100*s.Utilization.High
		if s.Chunked {
			v["chunk_ms"] = 1000 * s.Chunk.Value
		}
	}
	return v
}

// poisson probes a path at the instants of a Poisson process for d and gives the times of those that were answered, ms. One that
// is not answered within healthTimeout has taken at least that long: it counts as that, and as lost.
func (x *experiment) poisson(ctx context.Context, random *rand.Rand, service, path string, d time.Duration) (ms []float64, lost int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	defer wg.Wait()
	for end := x.now() + d; ; {
		gap := seconds(random.ExpFloat64() / couplingProbes)
		if x.now()+gap > end {
			_ = sleep(ctx, end-x.now())
			break
		}
		if sleep(ctx, gap) != nil {
			break
		}
		wg.Go(func() {
			p := x.Prober.Get(ctx, service, path, true, healthTimeout)
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil {
				return
			}
			if !p.OK && p.Status == 0 {
				lost++
				p.Ms = max(p.Ms, float64(healthTimeout.Milliseconds()))
			}
			ms = append(ms, p.Ms)
		})
	}
	wg.Wait()
	return ms, lost
}

// stepMean is a step's mean response time in a trial, ms, and of how many.
func stepMean(s record.TrialSums, name string) (ms float64, n int) {
	ms, ok := s.Value(name, "mean", 0)
	if !ok {
		return 0, 0
	}
	return ms, int(s.Steps[name].OK)
}

// meanAndError is a mean and its standard error.
func meanAndError(v []float64) (mean, err float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		err += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(err / max(1, n-1) / n)
}

func over(v []float64, by float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] / by
	}
	return out
}
