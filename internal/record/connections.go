package record

import (
	"cmp"
	"maps"
	"slices"
)

// targetConnections reads each service's side from its own metrics.
func (s *summary) targetConnections() map[string]TargetConnections {
	loadFrom, loadTo, any := s.loadWindow()
	services, worker := map[string]*serviceWatch{}, s.workers()
	for i := range s.own.Scrapes {
		x := &s.own.Scrapes[i]
		w := services[x.Service]
		if w == nil {
			w = newServiceWatch()
			services[x.Service] = w
		}
		w.out.Scrapes++
		if x.Error != "" {
			w.out.ScrapesFailed++
			continue
		}
		w.read(x, worker[x])
		if fds := w.gauge(x, "process_open_fds", "process_files_open_files"); fds != nil {
			if !any || x.OffsetS < loadFrom {
				w.out.OpenFDsBefore = fds
			}
			if any && x.OffsetS > loadTo {
				w.out.OpenFDsAfter = fds
			}
			w.out.OpenFDsPeak = larger(w.out.OpenFDsPeak, *fds)
		}
		if limit := w.gauge(x, "process_max_fds", "process_files_max_files"); limit != nil {
			w.out.MaxFDs = limit
		}
	}
	out := make(map[string]TargetConnections, len(services))
	for name, w := range services {
		out[name] = w.result()
		if w.out.Restarts > 0 {
			s.warn("%s restarted %d times during the run (seen in its metrics)", name, w.out.Restarts)
		}
	}
	return out
}

// workers numbers, from 1, the process behind each scrape of a service of which several answer in turn.
func (s *summary) workers() map[*Scrape]int {
	good := map[string][]*Scrape{}
	for i := range s.own.Scrapes {
		if x := &s.own.Scrapes[i]; x.Error == "" {
			good[x.Service] = append(good[x.Service], x)
		}
	}
	out := map[*Scrape]int{}
	for _, scrapes := range good {
		if ids, several := Workers(scrapes); several {
			for i, x := range scrapes {
				out[x] = ids[i] + 1
			}
		}
	}
	return out
}

// loadWindow is from the start of the first loaded frame to the end of the last.
func (s *summary) loadWindow() (from, to float64, any bool) {
	for i := range s.own.Frames {
		f := &s.own.Frames[i]
		if !f.loaded() {
			continue
		}
		if !any {
			from, any = f.OffsetS, true
		}
		to = max(to, f.OffsetS+f.Seconds)
	}
	return from, to, any
}

// serviceWatch follows one service's scrapes.
type serviceWatch struct {
	out        TargetConnections
	started    float64 // process_start_time_seconds; 0 unknown
	downstream map[string]*downstreamWatch
	good       int
}

type downstreamWatch struct {
	opened, requests, calls, callSeconds, waitSeconds counter
	peakInUse                                         *float64
}

func newServiceWatch() *serviceWatch { return &serviceWatch{downstream: map[string]*downstreamWatch{}} }

// Counters of the client side of a service, by downstream.
const (
	metricOpened   = "http_client_connections_opened_total"
	metricRequests = "http_client_requests_total"
	metricCalls    = "http_client_request_duration_seconds_count"
	metricSeconds  = "http_client_request_duration_seconds_sum"
	metricWait     = "http_client_pool_wait_seconds_total"
	metricInUse    = "http_client_connections_in_use"
	metricStarted  = "process_start_time_seconds"
)

// read takes a scrape; worker is 0 unless several processes answer in turn.
func (w *serviceWatch) read(x *Scrape, worker int) {
	sums := downstreamSums(x.Values)
	restarted := worker == 0 && w.restarted(x.Values[metricStarted], sums)
	if restarted {
		w.out.Restarts++
	}
	for to, values := range sums {
		d := w.downstream[to]
		if d == nil {
			d = &downstreamWatch{}
			w.downstream[to] = d
		}
		for _, c := range d.counters() {
			v, ok := values[c.name]
			if !ok {
				continue
			}
			if c.to.readings == 0 && w.good > 0 && worker == 0 {
				c.to.at(0, false) // it appeared during the run, so it began at 0
			}
			c.to.of(worker, v, restarted)
		}
		if v, ok := values[metricInUse]; ok {
			d.peakInUse = larger(d.peakInUse, v)
		}
	}
	w.good++
}

// restarted says whether the process is another one than at the last scrape: by a later start time, or, where a service does
// not tell its start time, by a counter that went backwards. With start times only a later one counts: a target with several
// worker processes behind one port answers with any of them.
func (w *serviceWatch) restarted(started float64, sums map[string]map[string]float64) bool {
	if started > 0 {
		later := w.started > 0 && started > w.started+startTolerance
		if w.started == 0 || later {
			w.started = started
		}
		return later
	}
	if w.started > 0 {
		return false
	}
	for to, d := range w.downstream {
		for _, c := range d.counters() {
			if v, ok := sums[to][c.name]; ok && c.to.readings > 0 && v < c.to.last[0] {
				return true
			}
		}
	}
	return false
}

// downstreamSums adds up the client-side values by downstream and name, over all other labels.
func downstreamSums(values map[string]float64) map[string]map[string]float64 {
	sums := map[string]map[string]float64{}
	for _, key := range slices.Sorted(maps.Keys(values)) { // in order: floating-point sums depend on it
		name, labels, ok := ParseMetric(key)
		if !ok || !downstreamMetric(name) {
			continue
		}
		to := labels["downstream"]
		if sums[to] == nil {
			sums[to] = map[string]float64{}
		}
		sums[to][name] += values[key]
	}
	return sums
}

// startTolerance in seconds: some clients compute the start time anew for each scrape.
const startTolerance = 1

func downstreamMetric(name string) bool {
	switch name {
	case metricOpened, metricRequests, metricCalls, metricSeconds, metricWait, metricInUse:
		return true
	}
	return false
}

type namedCounter struct {
	name string
	to   *counter
}

func (d *downstreamWatch) counters() []namedCounter {
	return []namedCounter{
		{metricOpened, &d.opened},
		{metricRequests, &d.requests},
		{metricCalls, &d.calls},
		{metricSeconds, &d.callSeconds},
		{metricWait, &d.waitSeconds},
	}
}

// gauge is the first of several names that the scrape has.
func (w *serviceWatch) gauge(x *Scrape, names ...string) *float64 {
	for _, name := range names {
		if v, ok := x.Values[name]; ok {
			return known(v)
		}
	}
	return nil
}

func (w *serviceWatch) result() TargetConnections {
	out := w.out
	out.Downstream = make(map[string]DownstreamConnections, len(w.downstream))
	for to, d := range w.downstream {
		x := DownstreamConnections{Opened: d.opened.total(), PeakInUse: d.peakInUse}
		x.Requests = cmp.Or(d.requests.total(), d.calls.total())
		if x.Requests != nil && *x.Requests > 0 {
			if x.Opened != nil {
				x.OpenedPerRequest = known(*x.Opened / *x.Requests)
			}
			if wait := d.waitSeconds.total(); wait != nil {
				x.PoolWaitMs = known(*wait * 1000 / *x.Requests)
			}
		}
		if calls, spent := d.calls.total(), d.callSeconds.total(); calls != nil && spent != nil && *calls > 0 {
			x.MeanMs = known(*spent * 1000 / *calls)
		}
		out.Downstream[to] = x
	}
	return out
}

// counter adds up the increases of a value that only grows, except when its process restarts; of several workers' each by
// itself.
type counter struct {
	last     map[int]float64 // by worker
	sum      float64
	readings int
}

// at takes a reading. After a restart the counter began again at 0, so the whole reading is increase; a reading that went
// backwards without one says nothing.
func (c *counter) at(v float64, restarted bool) { c.of(0, v, restarted) }

// of is at, of one of several workers.
func (c *counter) of(worker int, v float64, restarted bool) {
	last, had := c.last[worker]
	switch {
	case !had:
	case restarted:
		c.sum += v
	case v > last:
		c.sum += v - last
	}
	if c.last == nil {
		c.last = map[int]float64{}
	}
	c.last[worker] = v
	c.readings++
}

// total is the increase, nil before there are two readings.
func (c *counter) total() *float64 {
	if c.readings < 2 {
		return nil
	}
	return known(c.sum)
}

func larger(a *float64, b float64) *float64 {
	if a == nil || b > *a {
		return known(b)
	}
	return a
}
