package kit

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Latency buckets in seconds: fine where a healthy service answers, and far enough for one that is drowning.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Metrics are one service's, on a registry of their own.
type Metrics struct {
	Registry *prometheus.Registry

	requests   *prometheus.CounterVec   // route, status
	durations  *prometheus.HistogramVec // route
	inProgress prometheus.Gauge
	shed       *prometheus.CounterVec // reason

	loopBusy, loopWait *prometheus.CounterVec // worker

	hashSize, hashBusy, hashQueue    prometheus.Gauge
	hashSeconds, hashWait, hashCount prometheus.Counter

	semLimit, semInUse, semWaiting *prometheus.GaugeVec   // downstream
	semWait                        *prometheus.CounterVec // downstream

	connOpened, connWait *prometheus.CounterVec   // downstream
	clientBuild          *prometheus.CounterVec   // downstream
	callDuration         *prometheus.HistogramVec // downstream
	calls                *prometheus.CounterVec   // downstream, status
	retries              *prometheus.CounterVec   // downstream

	lockWait, lockHeld prometheus.Counter
	requestMemory      prometheus.Gauge
	sessionHeld        prometheus.Counter
	accepted           prometheus.Counter
}

// runtimeMetrics are those of the Go runtime that its collector does not show by itself: what waiting for mutexes and
// collecting garbage cost.
var runtimeMetrics = regexp.MustCompile(`^(/sync/mutex/wait/total:seconds|/cpu/classes/gc/total:cpu-seconds|/cpu/classes/total:cpu-seconds|/gc/limiter/last-enabled:gc-cycle)$`)

// NewMetrics registers everything a service can show, with the Go runtime's and the process's own metrics.
func NewMetrics() *Metrics {
	reg := prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencyBuckets}, labels)
		reg.MustRegister(v)
		return v
	}
	reg.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: runtimeMetrics})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return &Metrics{
		Registry:   reg,
		requests:   counter("http_requests_total", "Requests answered.", "route", "status"),
		durations:  histogram("http_request_duration_seconds", "Time from request to answer, waiting included.", "route"),
		inProgress: gauge("http_requests_in_progress", "Requests being served, probes and scrapes left out.").WithLabelValues(),
		shed:       counter("requests_shed_total", "Requests refused at once to protect the service.", "reason"),

		loopBusy: counter("event_loop_busy_seconds_total", "Time an event loop was held by a request.", "worker"),
		loopWait: counter("event_loop_wait_seconds_total", "Time requests waited for their event loop.", "worker"),

		hashSize:    gauge("hash_pool_size", "Password hashes the pool computes at a time; 0 without a pool.").WithLabelValues(),
		hashBusy:    gauge("hash_pool_busy", "Password hashes being computed.").WithLabelValues(),
		hashQueue:   gauge("hash_pool_queue", "Password hashes waiting for the pool.").WithLabelValues(),
		hashSeconds: counter("hash_seconds_total", "Time spent computing password hashes.").WithLabelValues(),
		hashWait:    counter("hash_wait_seconds_total", "Time password hashes waited for the pool.").WithLabelValues(),
		hashCount:   counter("hashes_total", "Password hashes computed.").WithLabelValues(),

		semLimit:   gauge("semaphore_limit", "Calls allowed at a time.", "downstream"),
		semInUse:   gauge("semaphore_in_use", "Calls holding a permit.", "downstream"),
		semWaiting: gauge("semaphore_waiting", "Calls waiting for a permit.", "downstream"),
		semWait:    counter("semaphore_wait_seconds_total", "Time calls waited for a permit.", "downstream"),

		connOpened:   counter("http_client_connections_opened_total", "Connections ever opened.", "downstream"),
		connWait:     counter("http_client_pool_wait_seconds_total", "Time calls waited for a connection of the pool, dialling left out.", "downstream"),
		clientBuild:  counter("http_client_build_seconds_total", "Time spent making clients, one for each call.", "downstream"),
		callDuration: histogram("http_client_request_duration_seconds", "Duration of a call as the caller sees it, pool wait included, semaphore wait left out.", "downstream"),
		calls:        counter("http_client_requests_total", "Calls made, by status or by how they failed; each attempt is one.", "downstream", "status"),
		retries:      counter("http_client_retries_total", "Calls repeated because the attempt before failed.", "downstream"),

		lockWait:      counter("hot_lock_wait_seconds_total", "Time requests waited for the lock they all share.").WithLabelValues(),
		lockHeld:      counter("hot_lock_held_seconds_total", "Time that lock was held.").WithLabelValues(),
		requestMemory: gauge("request_memory_bytes", "Memory that requests keep alive until they end.").WithLabelValues(),
		sessionHeld:   counter("store_session_seconds_total", "Time requests kept a store connection from their first statement to their end.").WithLabelValues(),
		accepted:      counter("connections_accepted_total", "Connections taken from the accept queue.").WithLabelValues(),
	}
}

// Handler serves the registry as Prometheus text.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})
}
