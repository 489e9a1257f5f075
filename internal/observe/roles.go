package observe

import (
	"cmp"
	"strings"

	"github.com/captest/captest/internal/record"
)

// meaning says which role a metric plays. One * in a name stands for anything: what it stood for is kept under label, where
// there is one. scale turns the metric's unit into the role's; 0 is 1.
type meaning struct {
	role, name, label string
	scale             float64
}

// dictionary has the names that common libraries give to what captest calls by a role. Where several would fill the same role
// of the same labels, the first does. The names the bundled services use need none: everybody to the right understands them.
var dictionary = []meaning{
	// Go, database/sql
	{role: "pool.in_use", name: "go_sql_in_use_connections"},
	{role: "pool.max", name: "go_sql_max_open_connections"},
	{role: "pool.idle", name: "go_sql_idle_connections"},
	{role: "pool.wait_sum", name: "go_sql_wait_duration_seconds_total"},
	// JVM, HikariCP by Micrometer and by Dropwizard
	{role: "pool.in_use", name: "hikaricp_connections_active"},
	{role: "pool.max", name: "hikaricp_connections_max"},
	{role: "pool.idle", name: "hikaricp_connections_idle"},
	{role: "pool.waiting", name: "hikaricp_connections_pending"},
	{role: "pool.wait_sum", name: "hikaricp_connections_acquire_seconds_sum"},
	{role: "pool.in_use", name: "*.pool.ActiveConnections", label: "pool"},
	{role: "pool.max", name: "*.pool.MaxConnections", label: "pool"},
	{role: "pool.idle", name: "*.pool.IdleConnections", label: "pool"},
	{role: "pool.waiting", name: "*.pool.PendingConnections", label: "pool"},
	// bulkheads
	{role: "sem.available", name: "resilience4j_bulkhead_available_concurrent_calls"},
	{role: "sem.max", name: "resilience4j_bulkhead_max_allowed_concurrent_calls"},
	// event loops: Node by prom-client; asyncio has no metric of its own, services that add one name it like this
	{role: "loop.lag", name: "nodejs_eventloop_lag_seconds"},
	{role: "loop.lag", name: "nodejs_eventloop_lag_mean_seconds"},
	{role: "loop.lag", name: "nodejs_eventloop_lag_p99_seconds"},
	{role: "loop.lag", name: "nodejs_eventloop_lag_p90_seconds"},
	{role: "loop.lag", name: "nodejs_eventloop_lag_max_seconds"},
	{role: "loop.lag", name: "*event_loop_lag_seconds"},
	{role: "loop.lag", name: "*asyncio_loop_lag_seconds"},
	// requests being served
	{role: "requests.in_progress", name: "http_requests_inprogress"}, // FastAPI instrumentators
	{role: "requests.in_progress", name: "starlette_requests_in_progress"},
	{role: "requests.in_progress", name: "tomcat_threads_busy_threads"},
	{role: "requests.max", name: "tomcat_threads_config_max_threads"},
	{role: "requests.in_progress", name: "jetty_threads_busy"},
	{role: "requests.max", name: "jetty_threads_config_max"},
	{role: "requests.in_progress", name: "*.active-requests", label: "handler"}, // Dropwizard
	// time a runtime stood still to collect garbage
	{role: "gc.pause_sum", name: "jvm_gc_pause_seconds_sum"},
	{role: "gc.pauses", name: "jvm_gc_pause_seconds_count"},
	{role: "gc.pause_sum", name: "jvm_gc_collection_seconds_sum"}, // Prometheus' own client for Java
	{role: "gc.pauses", name: "jvm_gc_collection_seconds_count"},
	{role: "gc.pause_sum", name: "nodejs_gc_duration_seconds_sum"},
	{role: "gc.pauses", name: "nodejs_gc_duration_seconds_count"},
	{role: "gc.pause_sum", name: "jvm.gc.*.time", label: "gc", scale: 1e-3},
	{role: "gc.pauses", name: "jvm.gc.*.count", label: "gc"},
	{role: "gc.pause_sum", name: "gc.*.time", label: "gc", scale: 1e-3},
	{role: "gc.pauses", name: "gc.*.count", label: "gc"},
	// processes
	{role: "process_open_fds", name: "process_files_open_files"},
	{role: "process_max_fds", name: "process_files_max_files"},
	{role: "process_cpu_seconds_total", name: "process_cpu_time_ns_total", scale: 1e-9},
}

// stands says whether the meaning is that of a metric, and what its * stands for.
func (m *meaning) stands(name string) (star string, ok bool) {
	before, after, any := strings.Cut(m.name, "*")
	if !any {
		return "", name == m.name
	}
	rest, begins := strings.CutPrefix(name, before)
	star, ends := strings.CutSuffix(rest, after)
	return star, begins && ends
}

// worst is the role of which several workers' values are not added up: the loop that lags most counts.
const worst = "loop.lag"

// addRoles adds each value that plays a role again under the role's name, labels kept. given, from the target file, maps
// roles to metric names and goes before what captest knows by itself.
func addRoles(values map[string]float64, given map[string]string) {
	type value struct {
		v    float64
		rank int // place in the dictionary
	}
	found := map[string]value{}
	add := func(role, labels string, v float64, rank int) {
		if role == worst {
			labels = ""
		}
		old, had := found[role+labels]
		switch {
		case !had, rank < old.rank, rank == old.rank && v > old.v:
			found[role+labels] = value{v, rank}
		}
	}
	for key, v := range values {
		name, _, _ := strings.Cut(key, "{")
		labels := key[len(name):]
		for role, metric := range given {
			if metric == name || metric == key {
				add(role, labels, v, -1)
			}
		}
		for rank := range dictionary {
			m := &dictionary[rank]
			star, ok := m.stands(name)
			if _, theirs := given[m.role]; !ok || theirs || m.role == name {
				continue
			}
			own := labels
			if m.label != "" && star != "" && own == "" {
				own = strings.TrimPrefix(record.MetricKey(m.role, record.Label{Name: m.label, Value: star}), m.role)
			}
			add(m.role, own, v*cmp.Or(m.scale, 1), rank)
		}
	}
	taken := map[string]bool{}
	for key := range values {
		name, _, _ := strings.Cut(key, "{")
		taken[name] = true
	}
	for key, x := range found {
		if role, _, _ := strings.Cut(key, "{"); x.rank < 0 || !taken[role] { // a service that speaks captest's own names means them
			values[key] = x.v
		}
	}
}

// understood says whether somebody in captest reads a value: these are the last to be dropped.
func understood(key string) bool {
	name, _, _ := strings.Cut(key, "{")
	for i := range dictionary {
		if _, ok := dictionary[i].stands(name); ok {
			return true
		}
	}
	for _, prefix := range []string{
		"process_", "http_request", "http_client_", "event_loop_", "hash_", "hashes_total", "semaphore_", "circuit_breaker_", "requests_shed_",
		"hot_lock_", "request_memory_bytes", "store_session_", "accept_queue_", "connections_accepted_",
		"capacity_", "go_", "pool.", "sem.", "hash.", "loop.", "requests.", "retries", "gc.", "kb_resource.",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// series are a scrape's values by name.
type series map[string][]point

type point struct {
	labels map[string]string
	value  float64
}

func seriesOf(x *record.Scrape) series {
	out := make(series, len(x.Values))
	for key, v := range x.Values {
		if name, labels, ok := record.ParseMetric(key); ok {
			out[name] = append(out[name], point{labels, v})
		}
	}
	return out
}

// sum adds up all values of the first of several names that exists.
func (s series) sum(names ...string) (float64, bool) {
	for _, name := range names {
		if points := s[name]; len(points) > 0 {
			var total float64
			for _, p := range points {
				total += p.value
			}
			return total, true
		}
	}
	return 0, false
}

// by adds up a name's values for each value of a label.
func (s series) by(name, label string) map[string]float64 {
	out := make(map[string]float64, len(s[name]))
	for _, p := range s[name] {
		out[p.labels[label]] += p.value
	}
	return out
}
