package experiment

import (
	"fmt"
	"time"
)

// Effort says how long a capacity plan looks at each load. The zero value is Quick.
type Effort string

// Efforts. Quick ends within three minutes of load on the bundled stack.
const (
	Quick    Effort = "quick"
	Standard Effort = "standard"
	Thorough Effort = "thorough"
)

// ParseEffort checks a name from the command line.
func ParseEffort(s string) (Effort, error) {
	switch e := Effort(s); e {
	case Quick, Standard, Thorough:
		return e, nil
	}
	return "", fmt.Errorf("effort %q is not one of quick, standard, thorough", s)
}

// pace holds every length of a plan, so that one table says what an effort means.
type pace struct {
	minTrial, maxTrial time.Duration // measured part of a closed level
	completions        float64       // wanted per level: n of measurement 3.2(a) for the throughput's resolution
	probes             int           // quiet probes that make the baseline
}

// Resolution of a level: ε = z·sqrt(c²/n) (measurement 3.2a). bcrypt-like service has c ≈ 0.3, so 80 completions give
// ±6.6 %, 200 give ±4.2 % and 800 give ±2.1 % at 95 %.
var paces = map[Effort]pace{
	Quick: {
		minTrial: 6 * time.Second, maxTrial: 12 * time.Second, completions: 80,
		probes: 10,
	},
	Standard: {
		minTrial: 15 * time.Second, maxTrial: 40 * time.Second, completions: 200,
		probes: 20,
	},
	Thorough: {
		minTrial: 30 * time.Second, maxTrial: 150 * time.Second, completions: 800,
		probes: 40,
	},
}

// level gives the warm-up and the measured length of a closed level, from what the level before it measured:
// x goodput per second and r mean response time in seconds (both 0 when unknown).
//
// Warm-up: users start together, so the first generation of answers comes in step; two response times spread them.
// A doubled load at most doubles the response time (asymptotic bound, measurement 1.2), hence 2·r is one to two generations.
func (p pace) level(x, r float64) (warm, measured time.Duration) {
	warm = clamp(seconds(2*r), time.Second, p.maxTrial)
	want := p.minTrial
	if x > 0 {
		want = seconds(p.completions / x)
	}
	// At least six generations of requests, or the mean is that of one burst.
	want = max(want, seconds(6*r))
	return warm, clamp(want, p.minTrial, p.maxTrial)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func clamp(d, lo, hi time.Duration) time.Duration { return min(max(d, lo), hi) }
