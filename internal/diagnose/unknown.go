package diagnose

import (
	"fmt"

	"github.com/captest/captest/internal/record"
)

// unknown is the honest answer when throughput is flat and no instrumented resource is full.
func unknown(best *record.Trial) record.Finding {
	return record.Finding{
		Cause: "unknown", Role: SlowBecause, Where: "", Confidence: C1,
		Summary:  fmt.Sprintf("something limits the target to %.3g/s; none of the resources captest can see is full", best.GoodputPerSecond),
		Evidence: []record.Evidence{{What: "highest goodput", Value: best.GoodputPerSecond, Unit: "/s", Expected: "flat over two doublings of users", Source: "closed ramp"}},
		RuledOut: []record.RuledOut{},
		Remedy:   "expose the target's pools, semaphores and event loop as metrics, then run again",
	}
}
