package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// Gauges whose level after the load tells what was not given back. Names end where labels begin. The roles ("pool.in_use")
// that a target file or a known library's name stands for come after the names themselves.
var (
	// atOnce must be back at their idle value as soon as nothing is in flight.
	atOnce = []string{
		"http_requests_in_progress", "semaphore_in_use", "semaphore_waiting", "http_client_connections_in_use", "hash_pool_busy", "hash_pool_queue",
		"hikaricp_connections_active", "hikaricp_connections_pending", "go_sql_in_use_connections", "http_requests_inprogress",
		"requests.in_progress", "pool.in_use", "sem.in_use", "hash.busy", "hash.queue",
	}
	// withIdle also hold what idle connections need, until those expire.
	withIdle = []string{"process_open_fds", "process_files_open_files", "go_goroutines", "http_client_connections_open", "jvm_threads_live_threads", "nodejs_active_handles_total", tcpSockets}
	// memory is kept by allocators and says nothing before it has grown over several cycles.
	memory = []string{"process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "jvm_memory_used_bytes"}
	// needed besides, to judge those.
	besides = []string{"process_start_time_seconds", "process_max_fds", "process_files_max_files", "http_client_connections_idle", "semaphore_limit", "go_sql_max_open_connections", "hikaricp_connections_max", "pool.max", "sem.max", "hash_pool_size"}
	// calls are counters of what a service waits for its downstreams: how many are with one at a time.
	calls = []string{callSeconds, callCount, poolWait}
)

// limitOf names the gauge that bounds another.
var limitOf = map[string]string{
	"process_open_fds": "process_max_fds", "process_files_open_files": "process_files_max_files",
	"semaphore_in_use": "semaphore_limit", "sem.in_use": "sem.max", "pool.in_use": "pool.max",
	"go_sql_in_use_connections": "go_sql_max_open_connections", "hikaricp_connections_active": "hikaricp_connections_max", "hash_pool_busy": "hash_pool_size",
}

func split(key string) (name, labels string) {
	at := strings.IndexByte(key, '{')
	if at < 0 {
		return key, ""
	}
	return key[:at], key[at:]
}

// watched keeps of a scrape what the leak verdicts and the tests read.
func watched(s record.Scrape) record.Scrape {
	out := s
	out.Values = map[string]float64{}
	for key, v := range s.Values {
		name, _ := split(key)
		for _, list := range [][]string{atOnce, withIdle, memory, besides, calls} {
			if slices.Contains(list, name) {
				out.Values[key] = v
			}
		}
	}
	return out
}

// tcpSockets are the sockets that a service's process holds to others, from the kernel's tables.
const tcpSockets = "tcp_sockets"

// socketsRead is there when the kernel's tables were: a peer that is then not listed has no sockets. A process with too many
// descriptors to look at each has none listed either.
const socketsRead = "tcp_sockets_read"

// joined adds what the kernel says of a service's process to a scrape that has been read not long before; what the service
// tells of itself goes first. A service without metrics, or whose metrics hang, is known by its process alone.
func joined(s record.Scrape, p record.ProcessReading) record.Scrape {
	if p.Error != "" || p.OffsetS == 0 {
		return s
	}
	if s.OffsetS < p.OffsetS-staleS {
		s = record.Scrape{OffsetS: p.OffsetS, Service: p.Service, Values: map[string]float64{}}
	}
	put := func(name string, v *float64) {
		if _, told := s.Values[name]; !told && v != nil {
			s.Values[name] = *v
		}
	}
	put("process_open_fds", p.FDs)
	put("process_max_fds", p.FDLimit)
	put("process_resident_memory_bytes", p.RSSBytes)
	if p.Outbound != nil {
		s.Values[socketsRead] = 1
	}
	for peer, states := range p.Outbound {
		if _, told := s.Values[fmt.Sprintf("http_client_connections_open{downstream=%q}", peer)]; told {
			continue
		}
		for _, state := range []string{"ESTABLISHED", "CLOSE_WAIT"} { // TIME_WAIT is the kernel's, not the process's
			if n, ok := states[state]; ok {
				s.Values[fmt.Sprintf("%s{peer=%q,state=%q}", tcpSockets, peer, state)] = float64(n)
			}
		}
	}
	return s
}

// staleS is how old a scrape may be to stand beside a reading of the process, in seconds: both come once a second.
const staleS = 2
