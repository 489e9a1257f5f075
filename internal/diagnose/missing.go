package diagnose

import (
	"fmt"
	"slices"

	"github.com/captest/captest/internal/queueing"
)

// missing is the test for a resource that was not measured: the network of those that were gives more than was reached, by
// more than predictions are off.
func (s *sight) missing() string {
	users := s.best.Load.Users
	if users < 1 || users > mostUsers {
		return ""
	}
	sys := s.system()
	if !slices.ContainsFunc(sys.Resources, func(r queueing.Resource) bool { return !r.Overlaps }) {
		return ""
	}
	o, err := sys.Outlook(users)
	if err != nil || !finite(o.Throughput.Low) {
		return ""
	}
	least := o.Throughput.Low * (1 - queueing.ModelError)
	if s.best.GoodputPerSecond >= least || o.Limit.Resource == queueing.Uninstrumented {
		return ""
	}
	return fmt.Sprintf("The resources measured would carry at least %.3g/s with %d users, and %.3g/s were reached: journeys spend time somewhere that shows no metrics.", least, users, s.best.GoodputPerSecond)
}
