package experiment

import (
	"runtime"
	"strings"
	"testing"

	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// A queue for connections within captest makes a trial say nothing about the target.
func TestAWaitForConnectionsIsInvalid(t *testing.T) {
	t.Parallel()
	p95 := func(ms float64) []scenarios.Limit {
		return []scenarios.Limit{{Metric: "p95", Op: "<", Value: ms, Unit: "ms"}}
	}
	for name, x := range map[string]struct {
		limits  []scenarios.Limit
		p95     float64 // measured, ms
		allowed float64
	}{
		"a share of the limit":           {p95(1000), 10, 20},
		"of the tightest":                {append(p95(1000), p95(200)...), 10, 4},
		"never below the scheduler":      {p95(10), 10, 1},
		"without a limit of p95":         {[]scenarios.Limit{{Metric: "errors", Op: "<", Value: 1, Unit: "%"}}, 500, 10},
		"a limit from below is no limit": {[]scenarios.Limit{{Metric: "p95", Op: ">", Value: 5000, Unit: "ms"}}, 500, 10},
	} {
		e := &experiment{Config: Config{Limits: x.limits, Observer: observe.New(observe.Config{})}}
		h := record.NewHistogram()
		for range 100 {
			h.RecordMs(x.p95)
		}
		wait := x.allowed * 1.05
		sums := record.TrialSums{N: 100, OK: 100, Seconds: 1, Response: h, Latency: h.Latency(), ConnWaitP99Ms: &wait}
		if why := e.invalid(sums, observe.Pauses{}, 0); !strings.Contains(why, "waited for a connection") {
			t.Errorf("%s: a wait of %v ms is %q", name, wait, why)
		}
		if got := e.waitAllowed(sums); got < 0.95*x.allowed || got > 1.01*x.allowed {
			t.Errorf("%s: %v ms allowed, want %v", name, got, x.allowed)
		}
	}
}

func TestFewPausesAreNoPercentile(t *testing.T) {
	t.Parallel()
	o := observe.New(observe.Config{})
	before := o.Pauses()
	for range 3 * fewestPauses {
		runtime.GC()
	}
	many := o.Pauses().Since(before)
	if p99, inAll := paused(many, 0); p99 <= 0 || inAll <= 0 {
		t.Errorf("%d pauses: p99 %v ms, %v ms in all", many.N(), p99, inAll)
	}
	if p99, inAll := paused(many.Since(many), 0); p99 != 0 || inAll != 0 {
		t.Errorf("none: p99 %v ms, %v ms in all", p99, inAll)
	}
	e := &experiment{Config: Config{Limits: []scenarios.Limit{{Metric: "p95", Op: "<", Value: 1e-9, Unit: "ms"}}, Observer: o}, progress: &progress{cores: 1 << 20}}
	h := record.NewHistogram()
	h.RecordMs(1)
	sums := record.TrialSums{N: 1, OK: 1, Seconds: 1e-6, Response: h, Latency: h.Latency()} // shorter than any pause
	if slow := many.LongerMs(1) > 0 && many.P99Ms() > 1; (e.invalid(sums, many, 0) != "") != slow {
		t.Errorf("pauses of %v ms in a trial of 1 µs: %q", many.P99Ms(), e.invalid(sums, many, 0))
	}
}

// A load with another setting says nothing of whether the run's figures hold.
func TestWhatWasMeasuredWithAnotherSettingSpoilsNothing(t *testing.T) {
	t.Parallel()
	lag := 50.0
	end := trialEnd{verdict: verdictInvalid, reasons: []string{"captest sent late"}}
	for _, altered := range []bool{false, true} {
		x := &experiment{altered: altered}
		x.remember(0, record.TrialSums{LagP99Ms: &lag}, end)
		if kept := len(x.invalidTrials) == 1 && x.lagP99 != nil; kept == altered {
			t.Errorf("a setting changed: %v, kept: %v", altered, kept)
		}
	}
}
