package experiment

import (
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
