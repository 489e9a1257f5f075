package kit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Request is an HTTP request with its body read.
type Request struct {
	*http.Request
	Body []byte
}

// Handler answers one request. An error that is a *Problem is shown to the caller; http.ErrAbortHandler cuts the
// connection, where any answer might be untrue; any other is a 500.
type Handler func(ctx context.Context, r *Request) (Reply, error)

// App is what every service has around its own handlers. A request passes
//
//	metrics → event loop → admission → body → session, memory, lock → handler
//
// and /health, /health/database, /ready and /metrics pass the first two only: they are never shed, but they wait for
// their event loop as everything on it does.
type App struct {
	knobs    Knobs
	log      *slog.Logger
	m        *Metrics
	mux      *http.ServeMux
	loops    *Loops
	lock     hotLock
	memory   requestMemory
	admitted atomic.Int64
	draining atomic.Bool
}

// NewApp makes an app with the probes every service has. The clients are those without which it is not ready.
func NewApp(k Knobs, db *Store, dbName string, m *Metrics, log *slog.Logger, clients ...*Client) *App {
	a := &App{
		knobs: k, log: log, m: m, mux: http.NewServeMux(), loops: NewLoops(k.Workers, m),
		lock:   hotLock{hold: k.HotLock, waited: m.lockWait, held: m.lockHeld},
		memory: requestMemory{mebibytes: k.RequestMemory, inUse: m.requestMemory},
	}
	m.Registry.MustRegister(collectors.NewDBStatsCollector(db.DB(), dbName))
	a.probe("GET /health", func(context.Context) error { return nil })
	a.probe("GET /health/database", func(ctx context.Context) error { return ping(ctx, db) })
	a.probe("GET /ready", func(ctx context.Context) error {
		if a.draining.Load() {
			return errors.New("shutting down")
		}
		for _, c := range clients {
			if c.Open() {
				return &OpenError{Downstream: c.downstream}
			}
		}
		return ping(ctx, db)
	})
	for _, reason := range []string{"admission", "breaker"} {
		m.shed.WithLabelValues(reason) // shown as 0 before the first one
	}
	metrics := m.Handler()
	a.mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		a.onLoop(w, r, "GET /metrics", metrics.ServeHTTP)
	})
	return a
}

// ping asks the store for a sign of life, for at most two seconds.
func ping(ctx context.Context, db *Store) error {
	defer Await(ctx)()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

func (a *App) probe(pattern string, check func(context.Context) error) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a.onLoop(w, r, pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := check(r.Context()); err != nil {
				writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": err.Error()})
				return
			}
			writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		})
	})
}

// Handle adds a route of the service, written as http.ServeMux wants it: "POST /auth/register".
func (a *App) Handle(pattern string, h Handler) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a.m.inProgress.Inc()
		defer a.m.inProgress.Dec()
		a.onLoop(w, r, pattern, func(w http.ResponseWriter, r *http.Request) {
			reply, err := a.serve(w, r, h)
			if err == nil {
				writeJSON(w, reply.Status, reply.Body)
				return
			}
			if errors.Is(err, http.ErrAbortHandler) {
				a.log.Error("not answered", "route", pattern, "error", err.Error())
				panic(http.ErrAbortHandler)
			}
			if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
				w.WriteHeader(statusClientGone)
				return
			}
			p := problemOf(err)
			if p.Status >= 500 {
				a.log.Debug("request failed", "route", pattern, "status", p.Status, "error", err.Error())
			}
			p.write(w)
		})
	})
}

func (a *App) serve(w http.ResponseWriter, r *http.Request, h Handler) (Reply, error) {
	defer a.admitted.Add(-1)
	if n := a.admitted.Add(1); a.knobs.Admission > 0 && n > int64(a.knobs.Admission) {
		a.Shed("admission")
		return Reply{}, Unavailable("too many requests in flight", nil)
	}
	ctx := r.Context()
	if a.knobs.Abandoned == Continues {
		ctx = context.WithoutCancel(ctx) // the work goes on for a client that has gone
	}
	body, err := readBody(ctx, w, r)
	if err != nil {
		return Reply{}, err
	}
	if a.knobs.Session == ForRequest {
		var end func()
		ctx, end = (&session{held: a.m.sessionHeld}).open(ctx)
		defer end()
	}
	defer a.memory.take()()
	a.lock.pass(ctx)
	return h(ctx, &Request{Request: r, Body: body})
}

// onLoop runs a handler on the event loop of the request's connection, timed and counted.
func (a *App) onLoop(w http.ResponseWriter, r *http.Request, route string, h http.HandlerFunc) {
	began := time.Now()
	sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		a.m.durations.WithLabelValues(route).Observe(time.Since(began).Seconds())
		a.m.requests.WithLabelValues(route, strconv.Itoa(sw.status)).Inc()
	}()
	if loop := a.loops.of(r.Context()); loop != nil {
		loop.Enter()
		defer loop.Leave()
		r = r.WithContext(context.WithValue(r.Context(), loopKey{}, loop))
	}
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			sw.status = http.StatusInternalServerError // in the metrics only
			panic(v)
		} else if v != nil {
			a.log.Error("handler panicked", "route", route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			if !sw.wrote {
				(&Problem{Status: http.StatusInternalServerError, Message: "internal error"}).write(sw)
			}
		}
	}()
	h(sw, r)
}

// ServeHTTP makes the App an http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Loops are the event loops connections are to be pinned to.
func (a *App) Loops() *Loops { return a.loops }

// Accepting prepares the socket the App is served on.
func (a *App) Accepting(ln net.Listener) (net.Listener, error) { return Accepting(ln, a.knobs, a.m) }

// Drain makes /ready fail, so that no new work is sent here.
func (a *App) Drain() { a.draining.Store(true) }

type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (s *statusWriter) WriteHeader(status int) {
	if !s.wrote {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	s.wrote = true
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Shed counts a request that a handler refuses at once to protect the service.
func (a *App) Shed(reason string) { a.m.shed.WithLabelValues(reason).Inc() }
