package diagnose

import (
	"fmt"

	"github.com/captest/captest/internal/queueing"
)

// unknown is the honest answer when throughput is flat and no instrumented resource is full.
func unknown(s *sight) claim {
	x := s.best.GoodputPerSecond
	c := claimOf("unknown", "")
	c.inside = false
	c.Summary = fmt.Sprintf("something limits the target to %.3g/s; none of the resources captest can see is full", x)
	c.Remedy = "expose the target's pools, semaphores and event loop as metrics, then run again"
	c.evidence("highest goodput", x, "/s", "flat over two doublings of users", "closed ramp")
	for i := range s.resources {
		r := &s.resources[i]
		if _, u, full := s.fullAt(r); full {
			c.evidence(r.full()+" is full", 100*u.utilization, "%", "", r.where)
			if r.kind == slots {
				c.Summary = fmt.Sprintf("%s is at its own capacity: all its %.0f places are taken and calls wait, at %.3g/s; nothing beside its size is seen to be wrong", r.where, r.servers, x)
				c.Remedy = "make " + r.where + " larger or faster, or call it less"
				return c
			}
			c.Summary = fmt.Sprintf("something limits the target to %.3g/s; %s is full, and why is not clear", x, r.full())
		}
	}
	if s.lone != nil && s.lone.trial.Latency.P50Ms != nil && x > 0 {
		if b, err := queueing.EstimateBlackBox(*s.lone.trial.Latency.P50Ms/1000, x); err == nil {
			c.evidence("scarcest resource, at most", 1000*b.Bottleneck, "ms a journey", "1 ÷ highest goodput", "closed ramp")
			c.evidence("users at which waiting begins", b.Knee, "", "", "R(1) · Xmax")
		}
	}
	return c
}
