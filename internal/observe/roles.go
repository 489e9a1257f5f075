package observe

import (
	"strings"

	"github.com/captest/captest/internal/record"
)

// aliases are the names that common libraries give to what captest calls by a role, under which the value is kept as well.
// The names the bundled services use need none: they are the dictionary everybody to the right understands.
var aliases = map[string]string{
	// go database/sql
	"go_sql_in_use_connections":                "pool.in_use",
	"go_sql_max_open_connections":              "pool.max",
	"go_sql_idle_connections":                  "pool.idle",
	"go_sql_wait_duration_seconds_total":       "pool.wait_sum",
	"hikaricp_connections_active":              "pool.in_use", // Micrometer
	"hikaricp_connections_max":                 "pool.max",
	"hikaricp_connections_idle":                "pool.idle",
	"hikaricp_connections_acquire_seconds_sum": "pool.wait_sum",
	"main.pool.ActiveConnections":              "pool.in_use", // Kill Bill's HikariCP
	"main.pool.MaxConnections":                 "pool.max",
	"main.pool.IdleConnections":                "pool.idle",
	// bulkheads and event loops
	"resilience4j_bulkhead_available_concurrent_calls":   "sem.available",
	"resilience4j_bulkhead_max_allowed_concurrent_calls": "sem.max",
	"nodejs_eventloop_lag_seconds":                       "loop.lag",
	// requests being served
	"http_requests_inprogress":    "requests.in_progress", // FastAPI instrumentators
	"tomcat_threads_busy_threads": "requests.in_progress",
	// processes
	"process_files_open_files": "process_open_fds",
	"process_files_max_files":  "process_max_fds",
}

// addRoles adds each value that plays a role again under the role's name, labels kept. given, from the target file, maps
// roles to metric names and goes before what captest knows by itself.
func addRoles(values map[string]float64, given map[string]string) {
	type value struct {
		key string
		v   float64
	}
	var found []value
	add := func(key, name, role string, v float64) {
		if _, taken := values[role]; !taken {
			found = append(found, value{role + key[len(name):], v})
		}
	}
	for key, v := range values {
		name, _, _ := strings.Cut(key, "{")
		role, ok := aliases[name]
		if _, theirs := given[role]; ok && !theirs {
			add(key, name, role, v)
		}
		for role, metric := range given {
			if metric == name || metric == key {
				add(key, name, role, v)
			}
		}
	}
	for _, x := range found {
		values[x.key] = x.v
	}
}

// understood says whether somebody in captest reads a value: these are the last to be dropped.
func understood(key string) bool {
	name, _, _ := strings.Cut(key, "{")
	if _, ok := aliases[name]; ok {
		return true
	}
	for _, prefix := range []string{
		"process_", "http_request", "http_client_", "event_loop_", "hash_", "hashes_total", "semaphore_", "circuit_breaker_", "requests_shed_",
		"hot_lock_", "request_memory_bytes", "store_session_", "accept_queue_", "connections_accepted_",
		"capacity_", "go_", "pool.", "sem.", "hash.", "loop.", "requests.", "retries", "kb_resource.", "main.pool.",
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
