package experiment

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// TestBins records ten requests a second of 100 ms for three seconds of virtual time: fifteen bins of two requests each, and
// in flight exactly what began and has not ended, two requests of the warm-up among it.
func TestBins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := record.NewClock()
		rec := record.NewRecorder(record.RecorderConfig{Clock: clock, Steps: []string{"register"}})
		x := &experiment{Config: Config{Recorder: rec, Clock: clock, Scenario: &scenarios.Scenario{Steps: []scenarios.Step{{Name: "register"}}}}}
		rec.Enter(record.Mark{Trial: 0, Phase: "ramp", Load: record.Load{Users: 1}, Warmup: true})
		rec.Shard(0).Begin(clock.Now())
		rec.Shard(0).Begin(clock.Now())
		rec.Enter(record.Mark{Trial: 0, Phase: "ramp", Load: record.Load{Users: 1}})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 30 {
				began := clock.Now()
				rec.Shard(0).Begin(began)
				time.Sleep(100 * time.Millisecond)
				rec.Shard(0).Add(record.Sample{Intended: began, Started: began, Connected: began, FirstByte: began, Done: clock.Now(), Status: 201})
			}
		}()
		time.Sleep(time.Millisecond) // so that no request ends at the instant of a look
		b := x.bins(t.Context(), done, 3*time.Second-2*time.Millisecond)
		if len(b) != 14 {
			t.Fatalf("%d bins", len(b))
		}
		for i, got := range b {
			if got.Completed != 2 || got.OK != 2 || got.InFlight != 3 || math.Abs(got.MeanMs-100) > 0.5 {
				t.Errorf("bin %d: %+v, want two requests of 100 ms, and one in flight beside two of the warm-up", i, got)
			}
		}
		<-done
	})
}

func TestDeviation(t *testing.T) {
	t.Parallel()
	h := record.NewHistogram()
	for _, ms := range []float64{100, 100, 300, 300} {
		h.RecordMs(ms)
	}
	if got := deviation(h); math.Abs(got-100) > 1 {
		t.Errorf("deviation of 100 100 300 300 ms = %v", got)
	}
	if got := deviation(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestPerJourney(t *testing.T) {
	t.Parallel()
	for want, steps := range map[float64][]scenarios.Step{
		1: {{Name: "a"}},
		3: {{Name: "a"}, {Name: "b", Weight: 1}, {Name: "c", Weight: 2}, {Name: "d"}},
	} {
		x := &experiment{Config: Config{Scenario: &scenarios.Scenario{Steps: steps}}}
		if got := x.perJourney(); got != want {
			t.Errorf("%d steps: %v requests a journey, want %v", len(steps), got, want)
		}
	}
}

func TestInFlightCap(t *testing.T) {
	t.Parallel()
	x := &experiment{}
	if got := x.inFlightCap(search.Action{PerSecond: 9}); got != 100 {
		t.Errorf("cap at 9/s = %d, want the floor", got)
	}
	if got := x.inFlightCap(search.Action{PerSecond: 5000}); got != 5000 {
		t.Errorf("cap at 5000/s = %d, want a second of arrivals", got)
	}
}

// TestFailedJourneysAreBegun: of 1,000 journeys of three requests, two alternatives in the middle, 60 end at the first and 30 at the second. The target
// is to blame for what they did not send; captest began them all, and the trial is about the target.
func TestFailedJourneysAreBegun(t *testing.T) {
	t.Parallel()
	x := &experiment{Config: Config{
		Observer: observe.New(observe.Config{}),
		Scenario: &scenarios.Scenario{Steps: []scenarios.Step{{Name: "login"}, {Name: "read", Weight: 1}, {Name: "write", Weight: 1}, {Name: "logout"}}},
	}, progress: &progress{cores: 1 << 20}}
	sums := record.TrialSums{Seconds: 100, N: 2850, OK: 2760, Started: 2850, Steps: map[string]record.StepSums{
		"login": {N: 1000, OK: 940}, "read": {N: 470, OK: 460}, "write": {N: 470, OK: 450}, "logout": {N: 910, OK: 910},
	}}
	w := x.figures(sums, nil, 0)
	if got := w.Offered + w.Unsent; math.Abs(got-1000) > 1e-9 {
		t.Errorf("%v journeys begun, want 1000", got)
	}
	p := search.Plan{}
	if got := p.Judge(nil, search.Action{Kind: search.Open, PerSecond: 10}, w).Verdict; got.Outcome != search.Fail {
		t.Errorf("%+v, want a failure of the target", got)
	}
}

// TestPercentiles: a search may foresee a capacity only from limits that ask for percentiles of all responses.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		steps  int
		limits []string
		want   []search.Percentile
	}{
		{1, nil, nil},
		{1, []string{"errors<1%"}, nil},
		{1, []string{"p95<600ms", "errors<1%", "capacity>5/s"}, []search.Percentile{{Quantile: 0.95, LimitMs: 600}}},
		{1, []string{"p95<600ms", "p99.9<2s"}, []search.Percentile{{Quantile: 0.95, LimitMs: 600}, {Quantile: 0.999, LimitMs: 2000}}},
		{1, []string{"p95<600ms", "mean<100ms"}, nil},
		{1, []string{"register.p95<600ms"}, []search.Percentile{{Quantile: 0.95, LimitMs: 600}}},
		{1, []string{"p95>600ms"}, nil},
		{2, []string{"register.p95<600ms"}, nil},
	} {
		x := &experiment{Config: Config{Scenario: &scenarios.Scenario{Steps: make([]scenarios.Step, c.steps)}}}
		for _, expr := range c.limits {
			l, err := scenarios.ParseLimit(expr)
			if err != nil {
				t.Fatal(err)
			}
			x.Limits = append(x.Limits, l)
		}
		if got := x.percentiles(); !slices.EqualFunc(got, c.want, func(a, b search.Percentile) bool {
			return math.Abs(a.Quantile-b.Quantile) < 1e-9 && a.LimitMs == b.LimitMs
		}) {
			t.Errorf("%v: %v, want %v", c.limits, got, c.want)
		}
	}
}
