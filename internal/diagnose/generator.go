package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// generator names generator-saturated: captest itself was the limit, so nothing is said of the target.
func generator(s *sight) []claim {
	v := s.res.Validity
	if v.Valid || s.damaged || s.run.CutShort && !slices.ContainsFunc(s.run.Events, func(e record.Event) bool { return e.Kind == record.EventValidity }) {
		return nil // a run that was cut short was never judged: what it measured until then stands
	}
	c := claimOf("generator-saturated", "captest")
	if v.GeneratorCPUPercent != nil {
		c.evidence("captest's own CPU", *v.GeneratorCPUPercent, "% of a core", "< 80 % of what it may use", "host")
	}
	if v.ScheduleLagP99Ms != nil {
		c.evidence("schedule lag, p99", *v.ScheduleLagP99Ms, "ms", "near 0", "captest")
	}
	if len(c.Evidence) == 0 {
		c.inside = false
	}
	c.Summary = fmt.Sprintf("the numbers may be captest's and not the target's: %s", strings.Join(v.Reasons, "; "))
	c.Remedy = "generate the load from more cores, or from a machine that the target does not share"
	return []claim{c}
}
