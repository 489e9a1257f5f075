package diagnose

import (
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// window is a stretch of the run's scrapes, in seconds since the run began.
type window struct {
	run      *record.Run
	from, to float64
}

// over gives the window in which a trial was measured: from its first frame after the warm-up on.
func over(run *record.Run, t *record.Trial) window {
	for _, f := range run.Frames {
		if !f.Warmup && f.Phase == t.Phase && f.OffsetS >= t.StartS {
			return window{run: run, from: f.OffsetS, to: f.OffsetS + t.Seconds}
		}
	}
	return window{run: run, from: t.StartS, to: t.StartS + t.Seconds}
}

// delta sums what a service's counters with this name grew by within the window, over all label sets that contain every
// given `key="value"` pair. A counter that goes backwards was restarted: what it shows then is its growth. ok is false
// when fewer than two scrapes have it.
func (w window) delta(service, name string, labels ...string) (total float64, ok bool) {
	last := map[string]float64{}
	for _, s := range w.run.Scrapes {
		if s.Service != service || s.Error != "" || s.OffsetS < w.from-1 || s.OffsetS > w.to+0.5 {
			continue
		}
		for key, v := range s.Values {
			if !matches(key, name, labels) {
				continue
			}
			if was, seen := last[key]; seen {
				ok = true
				if v >= was {
					total += v - was
				} else {
					total += v
				}
			}
			last[key] = v
		}
	}
	return total, ok
}

// mean of a gauge over the window's scrapes, summed over its label sets.
func (w window) mean(service, name string, labels ...string) (float64, bool) {
	sum, n := 0.0, 0
	for _, s := range w.run.Scrapes {
		if s.Service != service || s.Error != "" || s.OffsetS < w.from || s.OffsetS > w.to {
			continue
		}
		found, v := false, 0.0
		for key, x := range s.Values {
			if matches(key, name, labels) {
				found, v = true, v+x
			}
		}
		if found {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return 0, false
	}
	return sum / float64(n), true
}

// services seen in the scrapes, in order of first appearance.
func (w window) services() []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range w.run.Scrapes {
		if !seen[s.Service] {
			seen[s.Service] = true
			names = append(names, s.Service)
		}
	}
	return names
}

func matches(key, name string, labels []string) bool {
	base, rest, _ := strings.Cut(key, "{")
	if base != name {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(rest, l) {
			return false
		}
	}
	return true
}

// span is the time between the first and the last scrape that delta looks at, in seconds.
func (w window) span(service string) (float64, bool) {
	first, last, n := 0.0, 0.0, 0
	for _, s := range w.run.Scrapes {
		if s.Service != service || s.Error != "" || s.OffsetS < w.from-1 || s.OffsetS > w.to+0.5 {
			continue
		}
		if n == 0 {
			first = s.OffsetS
		}
		last = s.OffsetS
		n++
	}
	return last - first, n > 1 && last > first
}

func label(key, value string) string { return key + `="` + value + `"` }

// labelValues lists a label's values of a metric, sorted.
func (w window) labelValues(service, name, key string) []string {
	seen := map[string]bool{}
	for _, s := range w.run.Scrapes {
		if s.Service != service {
			continue
		}
		for k := range s.Values {
			metric, labels, ok := record.ParseMetric(k)
			if v, has := labels[key]; ok && has && metric == name {
				seen[v] = true
			}
		}
	}
	out := make([]string, 0, len(seen))
	for v := range seen {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}
