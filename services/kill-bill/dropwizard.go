package killbill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// registry holds what /1.0/metrics prints in Dropwizard's form.
type registry struct {
	start  time.Time
	mu     sync.Mutex
	timers map[string]*timer
	shed   *meter
}

// timer measures durations in seconds and the rate of calls.
type timer struct {
	mu     sync.Mutex
	values *reservoir
	meter  *meter
}

func newRegistry(now time.Time) *registry {
	return &registry{start: now, timers: map[string]*timer{}, shed: newMeter(now)}
}

// timerName is Kill Bill's name for the timer of a resource method; dots within a part become underscores, as in
// kb_resource./1_0/kb/accounts.createAccount.POST.2xx.201.
func timerName(rt route, httpMethod string, status int) string {
	return fmt.Sprintf("kb_resource.%s.%s.%s.%dxx.%d", strings.ReplaceAll(rt.resource, ".", "_"), rt.method, httpMethod, status/100, status)
}

// timer returns the timer of that name. Names are made of routes and statuses, so there are few.
func (g *registry) timer(name string) *timer {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.timers[name]
	if t == nil {
		now := time.Now()
		t = &timer{values: newReservoir(now), meter: newMeter(now)}
		g.timers[name] = t
	}
	return t
}

func (t *timer) update(d time.Duration) {
	t.meter.mark(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values.add(time.Now(), d.Seconds())
}

type timerJSON struct {
	Count uint64 `json:"count"`
	summary
	rates
	DurationUnits string `json:"duration_units"`
	RateUnits     string `json:"rate_units"`
}

type meterJSON struct {
	Count uint64 `json:"count"`
	rates
	Units string `json:"units"`
}

type gaugeJSON struct {
	Value float64 `json:"value"`
}

type metricsJSON struct {
	Gauges     map[string]gaugeJSON `json:"gauges"`
	Counters   map[string]any       `json:"counters"`
	Histograms map[string]any       `json:"histograms"`
	Meters     map[string]meterJSON `json:"meters"`
	Timers     map[string]timerJSON `json:"timers"`
}

// metrics serves /1.0/metrics. It has no counters or histograms of its own: nothing Kill Bill counts there exists here.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	gauges, err := s.gauges()
	if err != nil {
		caused("java.lang.IllegalStateException", err.Error()).reply().write(w)
		return
	}
	m := metricsJSON{Gauges: gauges, Counters: map[string]any{}, Histograms: map[string]any{}, Meters: map[string]meterJSON{}, Timers: map[string]timerJSON{}}
	count, rate := s.registry.shed.read(now)
	m.Meters["requests_shed"] = meterJSON{Count: count, rates: rate, Units: "events/second"}
	s.registry.mu.Lock()
	timers := make(map[string]*timer, len(s.registry.timers))
	for name, t := range s.registry.timers {
		timers[name] = t
	}
	s.registry.mu.Unlock()
	for name, t := range timers {
		count, rate := t.meter.read(now)
		t.mu.Lock()
		sum := t.values.summary()
		t.mu.Unlock()
		m.Timers[name] = timerJSON{Count: count, summary: sum, rates: rate, DurationUnits: "seconds", RateUnits: "calls/second"}
	}
	admin(w, r, http.StatusOK, m)
}

// gauges are true values of this process under the names the Prometheus side gives them, plus those Kill Bill's own
// names that have a true value here: its database pool, its heap and its threads.
func (s *Server) gauges() (map[string]gaugeJSON, error) {
	families, err := s.counts.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather: %w", err)
	}
	g := map[string]gaugeJSON{}
	for _, f := range families {
		metrics := f.GetMetric()
		if len(metrics) != 1 || len(metrics[0].GetLabel()) > 0 || strings.HasPrefix(f.GetName(), "go_memstats") {
			continue
		}
		switch m := metrics[0]; {
		case m.GetGauge() != nil:
			g[f.GetName()] = gaugeJSON{m.GetGauge().GetValue()}
		case m.GetCounter() != nil:
			g[f.GetName()] = gaugeJSON{m.GetCounter().GetValue()}
		}
	}
	pool := s.store.db.DB().Stats()
	g["main.pool.ActiveConnections"] = gaugeJSON{float64(pool.InUse)}
	g["main.pool.IdleConnections"] = gaugeJSON{float64(pool.Idle)}
	g["main.pool.TotalConnections"] = gaugeJSON{float64(pool.OpenConnections)}
	g["main.pool.MaxConnections"] = gaugeJSON{float64(pool.MaxOpenConnections)}
	for _, f := range families {
		switch f.GetName() {
		case "go_memstats_heap_alloc_bytes":
			g["memory.heap.used"] = gaugeJSON{f.GetMetric()[0].GetGauge().GetValue()}
		case "go_threads":
			g["threads.count"] = gaugeJSON{f.GetMetric()[0].GetGauge().GetValue()}
		}
	}
	return g, nil
}

// admin writes the JSON of an administrative servlet, indented when the query asks for pretty=true.
func admin(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		caused("com.fasterxml.jackson.databind.JsonMappingException", err.Error()).reply().write(w)
		return
	}
	if r.URL.Query().Get("pretty") == "true" {
		var b bytes.Buffer
		_ = json.Indent(&b, body, "", "  ")
		body = b.Bytes()
	}
	a := reply{status: status, body: body}
	a.set("Cache-Control", "must-revalidate,no-cache,no-store")
	a.write(w)
}
