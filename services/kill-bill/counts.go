package killbill

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// counts are the Prometheus metrics of one stand-in, in a registry of their own.
type counts struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	progress prometheus.Gauge
	shed     *prometheus.CounterVec
	hashes   prometheus.Counter
	hashing  prometheus.Counter
}

func newCounts(s *Server) *counts {
	c := &counts{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from the request's headers to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .15, .2, .25, .3, .4, .5, .75, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		progress: prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_progress", Help: "Requests being served or waiting."}),
		shed:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_shed_total", Help: "Requests refused for lack of capacity."}, []string{"reason"}),
		hashes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "hashes_total", Help: "Tenant secrets hashed."}),
		hashing:  prometheus.NewCounter(prometheus.CounterOpts{Name: "hash_seconds_total", Help: "Time spent hashing tenant secrets."}),
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	counter := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read)
	}
	c.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(s.store.db.DB(), "main"),
		c.requests, c.duration, c.progress, c.shed, c.hashes, c.hashing,
		gauge("capacity_slots", "Calls the capacity model serves at once.", func() float64 { return float64(s.slots.servers) }),
		gauge("capacity_queue_limit", "Calls that may wait for a slot.", func() float64 { return float64(s.slots.limit) }),
		gauge("capacity_busy", "Slots in use.", func() float64 { busy, _ := s.slots.load(); return float64(busy) }),
		gauge("capacity_queued", "Calls waiting for a slot.", func() float64 { _, queued := s.slots.load(); return float64(queued) }),
		counter("capacity_wait_seconds_total", "Time served calls waited for their slot.", func() float64 { w, _ := s.slots.waits(); return w.Seconds() }),
		counter("capacity_served_total", "Calls that got a slot.", func() float64 { _, n := s.slots.waits(); return float64(n) }),
	)
	c.shed.WithLabelValues("queue_full") // shown as 0 before the first
	return c
}

// timeHash runs one hash and counts it.
func (c *counts) timeHash(hash func() []byte) []byte {
	start := time.Now()
	defer func() {
		c.hashes.Inc()
		c.hashing.Add(time.Since(start).Seconds())
	}()
	return hash()
}

// statusWriter remembers the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// setStatus gives a call that is not answered at all a status for the metrics.
func (c *counts) setStatus(w http.ResponseWriter, status int) {
	if own, ok := w.(*statusWriter); ok {
		own.status = status
	}
}

// wrap counts every request under the pattern that served it, also when the handler panics.
func (c *counts) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, own := time.Now(), &statusWriter{ResponseWriter: w}
		c.progress.Inc()
		defer func() {
			c.progress.Dec()
			pattern := r.Pattern // set by the mux
			fill(&pattern, "other")
			fill(&own.status, http.StatusOK)
			c.requests.WithLabelValues(pattern, strconv.Itoa(own.status)).Inc()
			c.duration.WithLabelValues(pattern).Observe(time.Since(start).Seconds())
		}()
		next.ServeHTTP(own, r)
	})
}
