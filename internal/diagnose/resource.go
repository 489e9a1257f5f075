package diagnose

import (
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// kind of a resource.
type kind string

const (
	cpu        kind = "CPU"
	machine    kind = "all CPU" // of the machine that captest and the services share
	loop       kind = "event loop"
	hashPool   kind = "hash pool"
	semaphore  kind = "semaphore"
	clientPool kind = "connection pool"
	database   kind = "database pool"
	lock       kind = "lock"
	slots      kind = "capacity" // of a service that says how many calls it serves at a time
	downstream kind = "downstream"
)

// resource is something of a service that journeys hold for a while. busy is its holders, by Little's law the busy
// server-seconds a second; wait is those who wait for it, which is evidence and never demand.
type resource struct {
	kind   kind
	where  string
	to     string // the service behind a semaphore, pool or downstream; a database's name
	labels []pair // of a database pool's metrics
	// metrics that show who holds it and who waits, where the cause's file does not know them
	shown, queued string
	servers       float64 // 0: no bound is known
	several       bool    // a service's database pools are more than one
	// overlaps: its seconds are in another resource's too, such as a permit's in those of the service it is for.
	overlaps bool
	// idle says that nothing but journeys can hold it: without load its busy time is 0, measured or not.
	idle bool
	busy func(window) (float64, bool)
	wait func(window) (float64, bool)
	// work is the same by counters, where they tell better what a journey takes than readings of a gauge do; nil: busy.
	work func(window) (float64, bool)
}

// name within its service.
func (r *resource) name() string {
	switch r.kind {
	case semaphore, clientPool:
		return string(r.kind) + " to " + r.to
	case database:
		if r.several {
			return string(database) + " " + r.to
		}
		return string(database)
	case downstream:
		return r.to
	case machine:
		return string(cpu)
	default:
		return string(r.kind)
	}
}

// said is the name in a sentence.
func (r *resource) said() string {
	if r.kind == machine {
		return "the CPU of " + r.where
	}
	return r.where + "'s " + r.name()
}

// full is the name over all services.
func (r *resource) full() string { return r.where + " " + r.name() }

// use of a resource within a window.
type use struct {
	busy        float64 // servers
	utilization float64 // 0 to 1; 0 without a bound
	waiting     float64 // mean number
	waits       bool    // it is known how many wait
}

// fullFrom is the utilization from which a resource counts as full, and queueFrom the mean number of waiters from which
// somebody waits for it (measurement by one scrape a second cannot tell less from none).
const (
	fullFrom  = 0.9
	queueFrom = 0.5
)

func (r *resource) use(w window) (use, bool) {
	b, ok := r.busy(w)
	if !ok {
		return use{}, false
	}
	u := use{busy: b}
	if r.servers > 0 {
		u.utilization = b / r.servers
	}
	if r.wait != nil {
		u.waiting, u.waits = r.wait(w)
	}
	return u, true
}

// worked is busy as a demand is measured by.
func (r *resource) worked(w window) (float64, bool) {
	if r.work != nil {
		if v, ok := r.work(w); ok {
			return v, ok
		}
	}
	return r.busy(w)
}

// isFull says whether it limits in this window: busy nearly always, while somebody waits.
func (u use) isFull() bool { return u.utilization >= fullFrom && u.waits && u.waiting >= queueFrom }

// of finds resources of a kind at a service; "" is any service.
func (s *sight) of(k kind, where string) []*resource {
	var out []*resource
	for i := range s.resources {
		if r := &s.resources[i]; r.kind == k && (where == "" || r.where == where) {
			out = append(out, r)
		}
	}
	return out
}

// fullAt gives the first of the loads in which a resource limits, best first.
func (s *sight) fullAt(r *resource) (load, use, bool) {
	for _, l := range s.loads {
		if u, ok := r.use(l.window); ok && u.isFull() && !s.sparse(l, r) {
			return l, u, true
		}
	}
	return load{}, use{}, false
}

// sparse says whether too few scrapes of a load succeeded for a gauge to mean anything: a service that answers one in
// several shows the instants at which it came free.
func (s *sight) sparse(l load, r *resource) bool {
	switch r.kind {
	case semaphore, slots, database:
	default:
		return false
	}
	_, failed, ok := l.scrapeMs(r.where)
	return !ok || failed > 0.5
}

// measured lists every resource that the scrapes show.
func (s *sight) measured() []resource {
	var out []resource
	var processors []resource
	for _, name := range s.index.services {
		all := s.ofService(name)
		out = append(out, all...)
		processors = append(processors, slices.DeleteFunc(all, func(r resource) bool { return r.kind != cpu })...)
	}
	if len(processors) == len(s.index.services) {
		if r, ok := s.machineCPU(processors); ok {
			out = append(out, r)
		}
	}
	return out
}

func rateOf(service, name string, pairs ...pair) func(window) (float64, bool) {
	return func(w window) (float64, bool) { return w.rate(service, name, pairs...) }
}

func meanOf(service, name string, pairs ...pair) func(window) (float64, bool) {
	return func(w window) (float64, bool) { return w.mean(service, name, pairs...) }
}

func (s *sight) ofService(name string) []resource {
	x := s.index
	var out []resource
	loops := x.matching(name, "event_loop_busy_seconds_total", nil)
	pool := s.all.highest(name, "hash_pool_size")
	hashes := resource{
		kind: hashPool, where: name, idle: true, shown: "hash_seconds_total", queued: "hash_pool_queue",
		busy: rateOf(name, "hash_seconds_total"), wait: meanOf(name, "hash_pool_queue"),
	}
	if pool == 0 && x.has(name, "hash.busy") { // another service's, by the roles its target file gives
		pool = s.all.highest(name, "hash.max")
		hashes.shown, hashes.queued = "hash.busy", "hash.queue"
		hashes.busy, hashes.wait = meanOf(name, "hash.busy"), meanOf(name, "hash.queue")
	}
	if r, ok := s.processor(name); ok {
		r.overlaps = len(loops) > 0 || pool > 0 || x.has(name, "capacity_slots")
		out = append(out, r)
	}
	if len(loops) > 0 {
		out = append(out, resource{
			kind: loop, where: name, servers: float64(len(loops)),
			busy: rateOf(name, "event_loop_busy_seconds_total"), wait: rateOf(name, "event_loop_wait_seconds_total"),
		})
	}
	if pool > 0 {
		if cores, ok := s.cores(); ok {
			pool = math.Min(pool, cores)
		}
		// Wall time of hashes: on a saturated machine it holds the wait for a core too.
		hashes.servers = pool
		out = append(out, hashes)
	}
	if x.has(name, "hot_lock_held_seconds_total") && s.all.highest(name, "hot_lock_held_seconds_total") > 0 {
		out = append(out, resource{
			kind: lock, where: name, servers: 1, idle: true,
			busy: rateOf(name, "hot_lock_held_seconds_total"), wait: rateOf(name, "hot_lock_wait_seconds_total"),
		})
	}
	if n := s.all.highest(name, "capacity_slots"); n > 0 {
		out = append(out, resource{
			kind: slots, where: name, servers: n, idle: true,
			busy: meanOf(name, "capacity_busy"), wait: meanOf(name, "capacity_queued"),
		})
	}
	out = append(out, s.databases(name)...)
	for _, to := range x.values(name, "semaphore_limit", "downstream") {
		out = append(out, resource{
			kind: semaphore, where: name, to: to, servers: s.all.highest(name, "semaphore_limit", label("downstream", to)), overlaps: true, idle: true,
			busy: meanOf(name, "semaphore_in_use", label("downstream", to)), wait: meanOf(name, "semaphore_waiting", label("downstream", to)),
			work: rateOf(name, callSeconds, label("downstream", to)),
		})
	}
	if n := s.all.highest(name, "sem.max"); n > 0 { // a bulkhead of another library, all of them together
		taken := meanOf(name, "sem.in_use")
		if !x.has(name, "sem.in_use") {
			taken = func(w window) (float64, bool) {
				free, ok := w.mean(name, "sem.available")
				return math.Max(0, n-free), ok
			}
		}
		wait, queued := s.waiters(name, "sem.waiting", "sem.wait_sum")
		out = append(out, resource{
			kind: semaphore, where: name, to: allDownstreams, shown: "sem.in_use", servers: n, overlaps: true, idle: true,
			busy: taken, wait: wait, queued: queued,
		})
	}
	for _, to := range s.calls(name) {
		out = append(out, s.clients(name, to)...)
	}
	return out
}

// processor is a process's CPU: its own account, or the kernel's where it has none.
func (s *sight) processor(name string) (resource, bool) {
	r := resource{kind: cpu, where: name, servers: math.Inf(1)}
	if n := s.all.highest(name, "go_sched_gomaxprocs_threads"); n > 0 {
		r.servers = n
	}
	if cores, ok := s.cores(); ok && (len(s.run.Procs) == 0 || len(s.processes(s.all, name)) > 0) { // what is forwarded has others
		r.servers = math.Min(r.servers, cores)
	}
	if math.IsInf(r.servers, 1) {
		return r, false // nobody knows how many cores it may use
	}
	r.busy = func(w window) (float64, bool) {
		// Scrapes on one connection meet one worker of several.
		several := slices.ContainsFunc(s.processes(w, name), func(p *record.ProcessReading) bool { return len(p.PIDs) > 1 })
		if all, ok := s.kernelCPU(w, name); ok && several {
			return all, ok
		}
		if own, ok := w.rate(name, "process_cpu_seconds_total"); ok {
			return own, ok
		}
		return s.kernelCPU(w, name) // it shows none, or its scrapes hang while it is busy
	}
	_, ok := r.busy(s.loads[0].window)
	return r, ok
}

func (s *sight) kernelCPU(w window, name string) (float64, bool) {
	p := s.processes(w, name)
	if len(p) < 2 || p[0].CPUSeconds == nil || p[len(p)-1].CPUSeconds == nil {
		return 0, false
	}
	first, last := p[0], p[len(p)-1]
	used := *last.CPUSeconds - *first.CPUSeconds
	return used / (last.OffsetS - first.OffsetS), used >= 0 && last.OffsetS > first.OffsetS
}

func (s *sight) databases(name string) []resource {
	var out []resource
	by := "db_name"
	if len(s.index.values(name, "pool.max", by)) == 0 {
		by = "pool" // HikariCP's
	}
	names := s.index.values(name, "pool.max", by)
	if len(s.index.values(name, "pool.in_use", by)) == 0 {
		names = nil
	}
	if len(names) == 0 && s.index.has(name, "pool.max") {
		names = []string{""}
	}
	for _, db := range names {
		var pairs []pair
		if db != "" {
			pairs = []pair{label(by, db)}
		}
		if n := s.all.highest(name, "pool.max", pairs...); n > 0 {
			wait, queued := s.waiters(name, "pool.waiting", "pool.wait_sum", pairs...)
			out = append(out, resource{
				kind: database, where: name, to: db, labels: pairs, servers: n, several: len(names) > 1, overlaps: true, idle: true,
				busy: meanOf(name, "pool.in_use", pairs...), wait: wait, queued: queued,
			})
		}
	}
	return out
}

// waiters is how many wait, by a gauge of them, or by the time they waited where there is none; and which it is.
func (s *sight) waiters(name, gauge, seconds string, pairs ...pair) (wait func(window) (float64, bool), shown string) {
	if s.index.has(name, gauge, pairs...) {
		return meanOf(name, gauge, pairs...), gauge
	}
	return rateOf(name, seconds, pairs...), seconds
}

const (
	callSeconds = "http_client_request_duration_seconds_sum"
	callCount   = "http_client_request_duration_seconds_count"
	poolWait    = "http_client_pool_wait_seconds_total"
	connsInUse  = "http_client_connections_in_use"
	connsOpen   = "http_client_connections_open"
	connsOpened = "http_client_connections_opened_total"
	callResults = "http_client_requests_total"
	callRetries = "http_client_retries_total"
)

// calls lists whom a service calls.
func (s *sight) calls(name string) []string { return s.index.values(name, callCount, "downstream") }

// clients are the pool of connections to a downstream, and the downstream itself where it shows nothing of its own.
func (s *sight) clients(name, to string) []resource {
	d := label("downstream", to)
	// What a call holds a connection for: its duration less its wait for the pool.
	held := func(w window) (float64, bool) {
		all, ok := w.rate(name, callSeconds, d)
		wait, _ := w.rate(name, poolWait, d)
		return math.Max(0, all-wait), ok
	}
	pool := resource{kind: clientPool, where: name, to: to, overlaps: true, idle: true, busy: held, wait: rateOf(name, poolWait, d)}
	// No metric says how large the pool may grow: that calls wait for it does, for then all of it is open.
	for _, l := range s.loads {
		if wait, ok := l.rate(name, poolWait, d); ok && wait >= queueFrom {
			pool.servers = math.Max(pool.servers, l.highest(name, connsOpen, d))
		}
	}
	out := []resource{pool}
	if s.index.by[to] == nil {
		out = append(out, resource{kind: downstream, where: name, to: to, idle: true, busy: held})
	} else if len(s.of(slots, to)) == 0 && !s.index.has(to, "capacity_slots") && !s.index.has(to, "event_loop_busy_seconds_total") && len(s.calls(to)) == 0 {
		out = append(out, resource{kind: downstream, where: name, to: to, idle: true, busy: held})
	}
	return out
}

// call is what a service sees of its calls to a downstream in a window.
type call struct {
	rate    float64 // 1/s, attempts
	seconds float64 // mean duration, waiting for the pool included
	pool    float64 // mean of that wait
	failed  float64 // share answered by 5xx, timed out, refused or cut off
	retried float64 // share that repeat another
	opened  float64 // connections opened a call
	calls   float64
}

// hold is what a call takes once it has its connection.
func (c call) hold() float64 { return math.Max(0, c.seconds-c.pool) }

func (w window) call(name, to string) (call, bool) {
	d := label("downstream", to)
	n, ok := w.delta(name, callCount, d)
	span, _ := w.span(name)
	if !ok || n <= 0 {
		return call{}, false
	}
	c := call{rate: n / span, calls: n}
	sum, _ := w.delta(name, callSeconds, d)
	wait, _ := w.delta(name, poolWait, d)
	c.seconds, c.pool = sum/n, wait/n
	for _, status := range w.index.values(name, callResults, "status") {
		if strings.HasPrefix(status, "1") || strings.HasPrefix(status, "2") || strings.HasPrefix(status, "3") || strings.HasPrefix(status, "4") || status == "canceled" {
			continue
		}
		bad, _ := w.delta(name, callResults, d, label("status", status))
		c.failed += bad / n
	}
	again, _ := w.delta(name, callRetries, d)
	opened, _ := w.delta(name, connsOpened, d)
	c.retried, c.opened = again/n, opened/n
	return c, true
}
