package experiment

import (
	"fmt"
	"time"

	"github.com/captest/captest/internal/experiment/search"
)

// Effort says how long a capacity plan looks at each load. The zero value is Quick.
type Effort = search.Effort

// Efforts.
const (
	Quick    = search.Quick
	Standard = search.Standard
	Thorough = search.Thorough
)

// ParseEffort checks a name from the command line.
func ParseEffort(s string) (Effort, error) {
	switch e := Effort(s); e {
	case Quick, Standard, Thorough:
		return e, nil
	}
	return "", fmt.Errorf("effort %q is not one of quick, standard, thorough", s)
}

// pace holds the lengths of what comes before and after the search (search's own are in its effort.go).
type pace struct {
	probes int // quiet probes that make the baseline
}

var paces = map[Effort]pace{
	Quick: {
		probes: 10,
	},
	Standard: {
		probes: 20,
	},
	Thorough: {
		probes: 40,
	},
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func clamp(d, lo, hi time.Duration) time.Duration { return min(max(d, lo), hi) }
