package diagnose

import "math"

// window is a stretch of the run, in seconds since it began.
type window struct {
	index    *index
	from, to float64
}

// slack is how far from a window's ends a scrape still stands for them, and wide how far where scrapes are rare: a blocked
// target answers few. Seconds.
const (
	slack = 1.2
	wide  = 6
)

// scrapes gives the offsets between which a service's counters are compared; false with fewer than two scrapes.
func (w window) scrapes(service string) (from, to float64, ok bool) {
	d := w.index.by[service]
	if d == nil {
		return 0, 0, false
	}
	for _, far := range []float64{slack, wide} {
		from, to = math.Inf(1), math.Inf(-1)
		n := 0
		for _, at := range d.at {
			if at < w.from-far || at > w.to+far {
				continue
			}
			if at <= w.from+0.1 { // the last one before the window opens it
				from, n = at, 0
			}
			if math.IsInf(from, 1) {
				from = at
			}
			if at <= w.to+0.5 || far == wide && n < 3 {
				to, n = at, n+1
			}
		}
		if n >= 3 && to > from {
			return from, to, true
		}
	}
	return from, to, to > from && finite(to-from)
}

// span is the time between the first and the last scrape that delta looks at, in seconds.
func (w window) span(service string) (float64, bool) {
	from, to, ok := w.scrapes(service)
	return to - from, ok
}

// delta sums what a service's counters of this name grew by within the window, over all label sets that hold every given
// pair. A counter that goes backwards was restarted: what it shows then is its growth. One that appears within the window
// began at 0. ok is false when fewer than two scrapes have it.
func (w window) delta(service, name string, pairs ...pair) (total float64, ok bool) {
	from, to, known := w.scrapes(service)
	if !known {
		return 0, false
	}
	if w.index.by[service].worker != nil {
		return w.deltaOfWorkers(service, name, from, to, pairs)
	}
	for _, s := range w.index.matching(service, name, pairs) {
		last, seen := 0.0, false
		if len(s.at) > 0 && s.at[0] > from && s.at[0] <= to && s.at[0] > w.index.by[service].at[0] {
			seen = true
		}
		for i, at := range s.at {
			if at < from || at > to {
				continue
			}
			if seen {
				ok = true
				if s.v[i] >= last {
					total += s.v[i] - last
				} else {
					total += s.v[i]
				}
			}
			last, seen = s.v[i], true
		}
	}
	return total, ok
}

// rate is delta a second. Of a counter of seconds it is a mean number: of busy servers, or of those who wait.
func (w window) rate(service, name string, pairs ...pair) (float64, bool) {
	d, ok1 := w.delta(service, name, pairs...)
	t, ok2 := w.span(service)
	if !ok1 || !ok2 {
		return 0, false
	}
	return d / t, true
}

// reading is a gauge at an instant.
type reading struct{ at, v float64 }

// readings are a gauge's values within the window, summed over its label sets.
func (w window) readings(service, name string, pairs ...pair) []reading {
	var out []reading
	at := map[float64]int{}
	for _, s := range w.index.matching(service, name, pairs) {
		for i, t := range s.at {
			if t < w.from || t > w.to {
				continue
			}
			k, seen := at[t]
			if !seen {
				k = len(out)
				at[t] = k
				out = append(out, reading{at: t})
			}
			out[k].v += s.v[i]
		}
	}
	return out
}

// gauge is the mean, the lowest and the highest of a gauge's readings.
type gauge struct {
	mean, low, high, last float64
	n                     int
}

func (w window) gauge(service, name string, pairs ...pair) (gauge, bool) {
	r := w.readings(service, name, pairs...)
	if len(r) == 0 {
		return gauge{}, false
	}
	g := gauge{low: r[0].v, high: r[0].v, n: len(r), last: r[len(r)-1].v}
	for _, x := range r {
		g.mean += x.v / float64(len(r))
		g.low, g.high = math.Min(g.low, x.v), math.Max(g.high, x.v)
	}
	return g, true
}

// mean of a gauge over the window's scrapes, summed over its label sets.
func (w window) mean(service, name string, pairs ...pair) (float64, bool) {
	g, ok := w.gauge(service, name, pairs...)
	return g.mean, ok
}

// highest reading of a gauge; 0 where there is none.
func (w window) highest(service, name string, pairs ...pair) float64 {
	g, _ := w.gauge(service, name, pairs...)
	return g.high
}

// scrapeMs is how long a service's scrapes took on average, and the share that failed: the same loop answers them.
func (w window) scrapeMs(service string) (ms, failed float64, ok bool) {
	d := w.index.by[service]
	if d == nil {
		return 0, 0, false
	}
	n, bad := 0.0, 0.0
	for i, at := range d.tried {
		if at < w.from || at > w.to {
			continue
		}
		n++
		ms += d.ms[i]
		if d.failed[i] {
			bad++
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	return ms / n, bad / n, true
}
