package killbill

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime/pprof"
	"sync"
	"time"
)

// check is one entry of /1.0/healthcheck.
type check struct {
	Healthy bool   `json:"healthy"`
	Message string `json:"message,omitempty"`
}

// healthcheck serves /1.0/healthcheck: 200 when every check is healthy, 500 when one is not.
func (s *Server) healthcheck(w http.ResponseWriter, r *http.Request) {
	const prefix = "org.killbill.billing.server.healthchecks."
	checks := map[string]check{
		prefix + "KillbillHealthcheck":       {Healthy: true, Message: "OK"},
		prefix + "KillbillQueuesHealthcheck": s.queue.check(),
		"main.pool.ConnectivityCheck":        s.connectivity(r.Context()),
	}
	status := http.StatusOK
	for _, c := range checks {
		if !c.Healthy {
			status = http.StatusInternalServerError
		}
	}
	admin(w, r, status, checks)
}

func (s *Server) connectivity(ctx context.Context) check {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var one int
	if err := s.store.one(ctx, "SELECT 1", nil, &one); err != nil {
		return check{Message: err.Error()}
	}
	return check{Healthy: true}
}

// ready serves /ready, which is this stack's and not Kill Bill's: 200 once the store answers.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	c := s.connectivity(r.Context())
	status := http.StatusOK
	if !c.Healthy {
		status = http.StatusServiceUnavailable
	}
	admin(w, r, status, map[string]any{"ready": c.Healthy, "message": c.Message})
}

// threads serves /1.0/threads: the stacks of this process, as text, equal ones grouped.
func (s *Server) threads(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "must-revalidate,no-cache,no-store")
	_ = pprof.Lookup("goroutine").WriteTo(w, 1)
}

// Kill Bill's queue check smooths the length of each of its queues and calls a queue growing when the slope of a line
// through the last window is steep. It looks once a minute over an hour; the stand-in, whose only queue is the line of
// the capacity model, looks once a second over a minute.
const (
	queueWindow  = 60
	queueSmooth  = 0.3 // weight of the newest length
	queueGrowing = 0.1 // slope per millisecond × 100
)

type queueWatch struct {
	mu       sync.Mutex
	times    []float64 // milliseconds since the first
	lengths  []float64 // smoothed
	smoothed float64
	first    time.Time
}

func newQueueWatch() *queueWatch { return &queueWatch{} }

func (q *queueWatch) record(now time.Time, length int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.times) == 0 {
		q.first, q.smoothed = now, float64(length)
	}
	q.smoothed += queueSmooth * (float64(length) - q.smoothed)
	q.times = append(q.times, float64(now.Sub(q.first))/1e6)
	q.lengths = append(q.lengths, q.smoothed)
	if over := len(q.times) - queueWindow; over > 0 {
		q.times, q.lengths = q.times[over:], q.lengths[over:]
	}
}

// slope is the least-squares slope of the smoothed lengths, Σ(t−t̄)(y−ȳ) / Σ(t−t̄)², in Kill Bill's unit, once the window is full.
func (q *queueWatch) slope() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.times) < queueWindow {
		return 0
	}
	var meanT, meanY, cross, square float64
	for i := range q.times {
		meanT += q.times[i] / queueWindow
		meanY += q.lengths[i] / queueWindow
	}
	for i := range q.times {
		cross += (q.times[i] - meanT) * (q.lengths[i] - meanY)
		square += (q.times[i] - meanT) * (q.times[i] - meanT)
	}
	if square == 0 {
		return 0
	}
	return math.Round(cross/square*100*100) / 100
}

func (q *queueWatch) check() check {
	if slope := q.slope(); slope > queueGrowing {
		return check{Message: fmt.Sprintf("Growing queues: bus (%.2f)", slope)}
	}
	return check{Healthy: true}
}
