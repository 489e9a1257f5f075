package observe

import (
	"maps"
	"slices"

	"github.com/captest/captest/internal/record"
)

// Gauges are the target's vital signs for the screen: services in target order, the readings of each in a fixed order. A
// reading the last scrape could not renew is stale.
func (o *Observer) Gauges() []record.Gauge {
	var out []record.Gauge
	for _, s := range o.scrapers {
		before, last, stale := s.readings()
		if last == nil {
			continue
		}
		g := gauger{service: s.service.Name, stale: stale, now: seriesOf(last)}
		if before != nil && before.Values["process_start_time_seconds"] == last.Values["process_start_time_seconds"] {
			g.before, g.seconds = seriesOf(before), last.OffsetS-before.OffsetS
		}
		out = append(out, g.all()...)
	}
	return out
}

// gauger turns two scrapes of a service into gauges.
type gauger struct {
	service     string
	stale       bool
	now, before series  // before is nil when there is none of the same process
	seconds     float64 // between them
	out         []record.Gauge
}

func (g *gauger) put(name string, value, limit float64, unit string) {
	g.out = append(g.out, record.Gauge{Service: g.service, Name: name, Value: value, Max: max(0, limit), Unit: unit, Stale: g.stale})
}

func (g *gauger) all() []record.Gauge {
	if busy, ok := g.busiest("event_loop_busy_seconds_total", "worker"); ok {
		g.put("event loop busy", busy, 100, "%")
	} else if busy, ok := g.rate("loop.busy_sum"); ok {
		g.put("event loop busy", 100*busy, 100, "%")
	}
	if lag, ok := g.now.sum("loop.lag"); ok {
		g.put("event loop lag", 1000*lag, 0, "ms")
	}
	if size, ok := g.now.sum("hash_pool_size", "hash.max"); ok && size > 0 {
		g.ratio("hash pool", []string{"hash_pool_busy", "hash.busy"}, []string{"hash_pool_size", "hash.max"})
		g.ratio("hash queue", []string{"hash_pool_queue", "hash.queue"}, nil)
	}
	g.perDownstream("semaphore", "semaphore_in_use", "semaphore_limit")
	g.semaphores()
	g.perDownstream("pool", "http_client_connections_in_use", "")
	g.breakers()
	g.ratio("in progress", []string{"http_requests_in_progress", "requests.in_progress"}, []string{"requests.max"})
	g.ratio("slots", []string{"capacity_busy"}, []string{"capacity_slots"})
	g.ratio("queue", []string{"capacity_queued"}, []string{"capacity_queue_limit"})
	g.ratio("database pool", []string{"pool.in_use"}, []string{"pool.max"})
	g.ratio("open fds", []string{"process_open_fds"}, []string{"process_max_fds"})
	if cpu, ok := g.rate("process_cpu_seconds_total"); ok {
		g.put("cpu", 100*cpu, 0, "%")
	}
	return g.out
}

// ratio shows a value out of its limit, if the service has it.
func (g *gauger) ratio(name string, value, limit []string) {
	if v, ok := g.now.sum(value...); ok {
		most, _ := g.now.sum(limit...)
		g.put(name, v, most, "")
	}
}

// perDownstream shows a value for each downstream, in order of name. With a limit's name only those that have a limit.
func (g *gauger) perDownstream(name, value, limit string) {
	values, limits := g.now.by(value, "downstream"), g.now.by(limit, "downstream")
	for _, to := range slices.Sorted(maps.Keys(values)) {
		if limit == "" || limits[to] > 0 {
			g.put(joined(name, to), values[to], limits[to], "")
		}
	}
}

// semaphores of a kind captest knows by role only.
func (g *gauger) semaphores() {
	limit, _ := g.now.sum("sem.max")
	if free, ok := g.now.sum("sem.available"); ok && limit > 0 {
		g.put("semaphore", limit-free, limit, "")
	} else {
		g.ratio("semaphore", []string{"sem.in_use"}, []string{"sem.max"})
	}
}

// breakers show 0 closed, 1 half-open, 2 open: a full gauge is an open breaker.
func (g *gauger) breakers() {
	states := g.now.by("circuit_breaker_state", "downstream")
	for _, to := range slices.Sorted(maps.Keys(states)) {
		g.put(joined("breaker", to), states[to], 2, "")
	}
}

// rate is how fast a counter grew between the two scrapes, per second.
func (g *gauger) rate(name string) (float64, bool) {
	now, ok := g.now.sum(name)
	before, had := g.before.sum(name)
	if !ok || !had || g.seconds <= 0 || now < before {
		return 0, false
	}
	return (now - before) / g.seconds, true
}

// busiest is the highest share of time, in percent, that any one of several workers was busy: connections are pinned to
// workers, so the mean would hide a blocked one.
func (g *gauger) busiest(name, label string) (float64, bool) {
	now, before := g.now.by(name, label), g.before.by(name, label)
	found, highest := false, 0.0
	for worker, v := range now {
		was, had := before[worker]
		if had && v >= was && g.seconds > 0 {
			found, highest = true, max(highest, min(100, 100*(v-was)/g.seconds))
		}
	}
	return highest, found
}

func joined(name, downstream string) string {
	if downstream == "" {
		return name
	}
	return name + " " + downstream
}
