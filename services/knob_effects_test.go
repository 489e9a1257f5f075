package services

import (
	"context"
	"io"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// grown gives a look: how much a metric of the service grows while something is done.
func grown(metric string, do func(r *rig, service string), labels ...string) func(*rig, string) float64 {
	return func(r *rig, service string) float64 {
		r.call(service)
		before := r.metric(service, metric, labels...)
		do(r, service)
		return r.metric(service, metric, labels...) - before
	}
}

// shows gives a look: a metric as it stands.
func shows(metric string, labels ...string) func(*rig, string) float64 {
	return func(r *rig, service string) float64 { return r.metric(service, metric, labels...) }
}

// once and refused are one request, and one whose downstream answers 503.
func once(r *rig, service string) { r.call(service) }

func refused(r *rig, service string) {
	r.fault(downstream(service), "error", `,"status":503`)
	r.call(service)
	r.clear(downstream(service))
}

// twoHeld gives a look at a metric while two requests hang in the downstream.
func twoHeld(want float64, metric string) func(*rig, string) float64 {
	return func(r *rig, service string) float64 {
		return r.held(service, 2, func([]<-chan int) float64 {
			r.must(2, "requests in progress", func() float64 { return r.metric(service, "http_requests_in_progress") })
			return r.reach(want, brief, func() float64 { return r.metric(service, metric) })
		})
	}
}

// over gives a look: how many of n requests are over soon although the downstream hangs.
func over(n int) func(*rig, string) float64 {
	return func(r *rig, service string) float64 {
		return r.held(service, n, func(done []<-chan int) float64 {
			if n == 1 {
				return answered(done, 3*time.Second)
			}
			// Whichever of them waits.
			first := make(chan float64, n)
			for _, d := range done {
				go func() { first <- float64(<-d) }()
			}
			select {
			case status := <-first:
				return status
			case <-time.After(3 * time.Second / 2):
				return 0
			}
		})
	}
}

// idleEnds gives 1 when the service closes a connection that has nothing to do, 0 when it keeps it.
func idleEnds(r *rig, service string) float64 {
	c := r.dial(service)
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(4 * brief))
	if _, err := io.Copy(io.Discard, c); err == nil {
		return 1
	}
	return 0
}

// stopped gives the status of a request that is under way when its service is stopped.
func stopped(r *rig, service string) float64 {
	r.call(service)
	r.fault(downstream(service), "delay", `,"delay":"700ms"`)
	done := r.start(r.t.Context(), service)
	r.must(1, "requests in progress", func() float64 { return r.metric(service, "http_requests_in_progress") })
	http.DefaultClient.CloseIdleConnections()
	_ = r.stop[service]()
	return float64(<-done)
}

// creation times account creations at Kill Bill, in seconds.
func creation(r *rig, _ string) float64 { return quickest(func() { r.call("kill-bill") }) }

// hashing gives the time one request hashes for, in seconds: the least of five, which noise cannot make longer.
func hashing(r *rig, service string) float64 {
	best := math.Inf(1)
	for range 5 {
		best = min(best, grown("hash_seconds_total", once)(r, service))
	}
	return best
}

var effects = []effect{
	{
		knob: "workers", to: "1", was: exactly(4), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			return float64(strings.Count(scrape(r.t, r.url[service]), "\nevent_loop_wait_seconds_total{"))
		},
	},
	{knob: "hash", to: "loop", was: atLeast(1), becomes: exactly(0), look: shows("hash_pool_size")},
	{
		knob: "hash_cost", to: "10", was: atMost(.02), becomes: atLeast(.025), // 64 times the work of cost 4
		look: hashing,
	},
	{
		knob: "hash_pool", to: strconv.Itoa(runtime.GOMAXPROCS(0) + 1),
		was: exactly(float64(runtime.GOMAXPROCS(0))), becomes: exactly(float64(runtime.GOMAXPROCS(0) + 1)), look: shows("hash_pool_size"),
	},
	{
		knob: "hash_queue", to: "1", on: map[string]string{"hash_cost": "11", "hash_pool": "1"}, was: exactly(0), becomes: atLeast(1),
		look: grown("requests_shed_total", func(r *rig, service string) {
			var done []<-chan int
			for range 6 {
				done = append(done, r.start(r.t.Context(), service))
			}
			answered(done, patience)
		}, `reason="hash_queue"`),
	},

	{
		knob: "client", to: "per-request", was: exactly(0), becomes: atLeast(1), frees: []string{"connection for each call of SERVICE"},
		look: grown("http_client_connections_opened_total", once),
	},
	{
		knob: "client_build", to: "30ms", on: map[string]string{"SERVICE.client": "per-request"}, was: exactly(0), becomes: atLeast(.03),
		look: grown("http_client_build_seconds_total", once),
	},
	{knob: "max_connections", to: "1", was: exactly(2), becomes: exactly(1), look: twoHeld(2, "http_client_connections_in_use")},
	{
		knob: "keepalive", to: "0", was: exactly(0), becomes: atLeast(1), frees: []string{"connection for each call of SERVICE"},
		look: grown("http_client_connections_opened_total", once),
	},
	{
		knob: "keepalive_expiry", to: "50ms", was: atLeast(1), becomes: exactly(0), frees: []string{"connection for each call of SERVICE"},
		look: func(r *rig, service string) float64 {
			r.call(service)
			return -r.reach(0, 2*brief, func() float64 { return -r.metric(service, "http_client_connections_open") })
		},
	},
	{
		knob: "connect_timeout", to: "1s", was: exactly(0), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			alone := lone(r.t, service, r.set, blackhole(r.t))
			return answered([]<-chan int{alone.start(r.t.Context(), service)}, 3*time.Second)
		},
	},
	{knob: "read_timeout", to: "1s", was: exactly(0), becomes: exactly(1), look: over(1)},
	{
		// The services' requests are small: they fit into the buffers of any socket, so that sending never waits. What the
		// knob does to a large one is in kit (TestWaitsThatAreTooLongEnd); here it must only do no harm.
		knob: "write_timeout", to: "1s", was: exactly(0), becomes: exactly(0),
		look: grown("http_client_requests_total", once, `status="timeout"`),
	},
	{
		knob: "pool_timeout", to: "100ms", on: map[string]string{"SERVICE.max_connections": "1"},
		was: exactly(0), becomes: exactly(503), look: over(2),
	},
	{knob: "semaphore", to: "1", was: exactly(0), becomes: exactly(1), look: twoHeld(1, "semaphore_waiting")},
	{
		knob: "semaphore_wait", to: "100ms", on: map[string]string{"SERVICE.semaphore": "1"},
		was: exactly(0), becomes: exactly(503), look: over(2),
	},
	{
		// Also the 409 to the tenant that is there already is closed unread, which costs its connection.
		knob: "error_path", to: "leaks", was: exactly(0), becomes: exactly(1), frees: []string{"connection for each call of SERVICE"},
		look: grown("http_client_connections_in_use", refused),
	},
	{knob: "retries", to: "2", was: exactly(0), becomes: exactly(2), look: grown("http_client_retries_total", refused)},
	{
		knob: "undo", to: "leaks", was: exactly(0), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			r.call(service)
			refused(r, service)
			return r.least(func() float64 { return r.metric(service, "go_sql_in_use_connections") })
		},
	},
	{
		knob: "kill_bill_calls", to: "4", was: exactly(2), becomes: exactly(4), frees: []string{"calls of billing"},
		look: grown("http_client_requests_total", once),
	},
	{
		// What is under way for longer than that is taken for left behind.
		knob: "settle_after", to: "1s", only: "user", was: exactly(0), becomes: atLeast(1),
		look: func(r *rig, service string) float64 {
			left := func() float64 { return r.metric(service, "registrations_settled_total", `outcome="left_pending"`) }
			before := left()
			return r.held(service, 1, func([]<-chan int) float64 { return r.reach(before+1, 4*brief, left) - before })
		},
	},
	{
		// An account whose creation failed is looked for, and found missing.
		knob: "settle_after", to: "1s", only: "billing", was: exactly(0), becomes: atLeast(1),
		look: func(r *rig, service string) float64 {
			settled := func() float64 {
				return r.metric(service, "accounts_settled_total", `outcome="never_made"`) + r.metric(service, "accounts_settled_total", `outcome="closed"`)
			}
			r.call(service)
			before := settled()
			refused(r, service)
			return r.reach(before+1, 4*brief, settled) - before
		},
	},
	{
		knob: "breaker", to: "1", was: exactly(0), becomes: exactly(2),
		look: func(r *rig, service string) float64 {
			r.call(service)
			refused(r, service)
			return r.metric(service, "circuit_breaker_state")
		},
	},
	{
		knob: "breaker_open", to: "50ms", on: map[string]string{"SERVICE.breaker": "1"}, was: exactly(2), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			r.call(service)
			refused(r, service)
			return -r.reach(-1, brief, func() float64 { return -r.metric(service, "circuit_breaker_state") })
		},
	},

	{
		knob: "admission", to: "1", was: exactly(0), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			shed := func() float64 { return r.metric(service, "requests_shed_total", `reason="admission"`) }
			before := shed()
			return r.held(service, 2, func([]<-chan int) float64 {
				r.reach(2, patience, func() float64 { return 2*(shed()-before) + r.metric(service, "semaphore_in_use") })
				return shed() - before
			})
		},
	},
	{
		knob: "abandoned", to: "continues", was: exactly(0), becomes: exactly(1),
		look: func(r *rig, service string) float64 {
			busy := func() float64 { return r.metric(service, "http_requests_in_progress") }
			return r.held(service, 0, func([]<-chan int) float64 {
				ctx, leave := context.WithCancel(r.t.Context())
				gone := r.start(ctx, service)
				r.must(1, "requests in progress", busy)
				leave()
				<-gone
				return -r.reach(0, brief, func() float64 { return -busy() })
			})
		},
	},
	{
		knob: "idle_timeout", to: "1s", was: exactly(0), becomes: exactly(1), frees: []string{"connection for each call of "}, look: idleEnds,
	},
	{
		knob: "shutdown", to: "abrupt", fresh: true, was: span{200, 299}, becomes: exactly(0), look: stopped,
	},
	{
		knob: "shutdown_timeout", to: "50ms", fresh: true, was: span{200, 299}, becomes: exactly(0), look: stopped,
	},
	{
		knob: "db_pool", to: "1", was: exactly(5), becomes: exactly(1), look: shows("go_sql_max_open_connections"),
	},
	{
		// billing looks its customer up before it calls; user has looked the address up and kept the customer.
		knob: "session", to: "request", was: exactly(0), becomes: atLeast(1e-9),
		look: grown("store_session_seconds_total", once),
	},
	{
		knob: "hot_lock", to: "20ms", was: exactly(0), becomes: atLeast(.04),
		look: grown("hot_lock_held_seconds_total", func(r *rig, service string) {
			r.call(service)
			r.call(service)
		}),
	},
	{knob: "request_memory", to: "2", was: exactly(0), becomes: exactly(4 << 20), look: twoHeld(4<<20, "request_memory_bytes")},
	{knob: "memory_limit", to: "4096", processes: true, was: atLeast(1 << 62), becomes: exactly(4096 << 20), look: shows("go_gc_gomemlimit_bytes")},
	{knob: "backlog", to: "3", was: atLeast(100), becomes: exactly(3), look: shows("accept_queue_limit")},
	{
		knob: "accept_delay", to: "200ms", was: atMost(.19), becomes: atLeast(.2),
		look: func(r *rig, service string) float64 {
			return quickest(func() { _ = r.dial(service).Close() })
		},
	},
	{knob: "nofile", to: "128", processes: true, was: atLeast(129), becomes: exactly(128), look: shows("process_max_fds")},

	{
		knob: "model", to: "hash", was: atMost(.005), becomes: atLeast(.006), look: hashing, // 1 round, 200,000 rounds
	},
	{knob: "slots", to: "3", was: exactly(27), becomes: exactly(3), look: shows("capacity_slots")},
	{
		knob: "refuse", to: "40", on: map[string]string{"kill-bill.service_time": "1ms"}, was: exactly(0), becomes: exactly(1),
		look: grown("requests_shed_total", func(r *rig, service string) {
			for range 45 {
				r.call(service)
			}
		}, `reason="planted"`),
	},
	{knob: "queue", to: "3", was: exactly(100), becomes: exactly(3), look: shows("capacity_queue_limit")},
	{
		knob: "service_time", to: "400ms", on: map[string]string{"kill-bill.service_cv": "0.01"}, was: atMost(.3), becomes: atLeast(.3), look: creation,
	},
	{
		// The same mean with rare long times and many short ones.
		knob: "service_cv", to: "10.0", on: map[string]string{"kill-bill.service_time": "300ms"}, was: atLeast(.1), becomes: atMost(.09), look: creation,
	},
	{
		knob: "hash_rounds", to: "300000", on: map[string]string{"kill-bill.model": "hash", "kill-bill.hash_rounds": "1"},
		was: atMost(.02), becomes: atLeast(.025), look: hashing,
	},
}
