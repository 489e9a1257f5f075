package killbill

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMetricsAreDropwizards(t *testing.T) {
	s := serveSite(t, quick(t))
	for range 3 {
		s.create(`{}`)
	}
	s.ask("GET", "/1.0/kb/accounts?externalKey=x", "", nil)
	a := s.ask("GET", "/1.0/metrics?pretty=true", "", nil)
	var m struct {
		Gauges                       map[string]struct{ Value *float64 }
		Counters, Histograms, Meters map[string]any
		Timers                       map[string]map[string]any
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if m.Counters == nil || m.Histograms == nil || m.Meters["requests_shed"] == nil {
		t.Errorf("a section is missing: %s", a.body)
	}
	created := m.Timers["kb_resource./1_0/kb/accounts.createAccount.POST.2xx.201"]
	var names []string
	for name := range created {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{
		"count", "duration_units", "m15_rate", "m1_rate", "m5_rate", "max", "mean", "mean_rate", "min", "p50", "p75", "p95", "p98", "p99",
		"p999", "rate_units", "stddev",
	}
	if !slices.Equal(names, want) || created["count"] != 3.0 || created["duration_units"] != "seconds" || created["rate_units"] != "calls/second" {
		t.Errorf("timer %v", created)
	}
	if m.Timers["kb_resource./1_0/kb/accounts.getAccountByKey.GET.4xx.404"]["count"] != 1.0 {
		t.Errorf("timers %v", m.Timers)
	}
	for _, name := range []string{
		"process_open_fds", "process_max_fds", "process_start_time_seconds", "process_cpu_seconds_total", "go_goroutines", "memory.heap.used",
		"threads.count", "main.pool.MaxConnections", "capacity_slots", "capacity_queue_limit",
	} {
		if g := m.Gauges[name]; g.Value == nil || *g.Value <= 0 {
			t.Errorf("gauge %s = %v", name, g.Value)
		}
	}
	if busy := m.Gauges["capacity_busy"].Value; busy == nil || *busy != 0 {
		t.Errorf("capacity_busy %v", busy)
	}
	text := s.ask("GET", "/metrics", "", nil).body
	for _, line := range []string{
		`http_requests_total{route="POST /1.0/kb/accounts",status="201"} 3`, `http_request_duration_seconds_count{route="POST /1.0/kb/accounts"} 3`,
		`http_requests_in_progress 1`, `requests_shed_total{reason="queue_full"} 0`, `capacity_slots 27`, `go_sql_max_open_connections{db_name="main"} 4`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

func TestProfileSaysWhereTheTimeWent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		_, profiled := postProfiled(t, s, "JAXRS,API,DAO")
		var p struct{ RawData []*span }
		if err := json.Unmarshal([]byte(profiled), &p); err != nil {
			t.Fatalf("%q: %v", profiled, err)
		}
		for _, want := range []string{"JAXRS:1.0/kb/accounts", "API:createAccount", "DAO:AccountSqlDao: create"} {
			if len(p.RawData) != 1 || p.RawData[0].Name != want || p.RawData[0].Duration < 50_000 {
				t.Fatalf("%s at %s", profiled, want)
			}
			p.RawData = p.RawData[0].Calls
		}
		if len(p.RawData) != 0 {
			t.Errorf("below the database: %s", profiled)
		}
		if _, p := postProfiled(t, s, "DAO"); !strings.HasPrefix(p, `{"rawData":[{"name":"DAO:`) || strings.Contains(p, "calls") {
			t.Errorf("DAO alone: %s", p)
		}
		if _, p := postProfiled(t, s, "JAXRS,NONSENSE"); p != "" {
			t.Errorf("an unknown feature does not switch profiling off: %s", p)
		}
		if _, p := postProfiled(t, s, ""); p != "" {
			t.Errorf("profiled without being asked: %s", p)
		}
	})
}

// The time a call waits in line is Kill Bill's too: it shows in the outermost span and the timer, not in the database's.
func TestWaitingIsInsideTheProfile(t *testing.T) {
	inBubble(t, func(c *Config) { c.Slots, c.CV = 1, 0.001 }, func(t *testing.T, s *Server) {
		go post(t.Context(), s, "/1.0/kb/accounts", `{}`)
		synctest.Wait()
		_, text := postProfiled(t, s, "JAXRS,DAO")
		var p struct{ RawData []*span }
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		outer, inner := p.RawData[0].Duration, p.RawData[0].Calls[0].Duration
		if outer < 390_000 || outer > 410_000 || inner < 195_000 || inner > 205_000 {
			t.Errorf("outer %d µs, database %d µs; want 400 and 200 ms", outer, inner)
		}
		sum := s.registry.timer("kb_resource./1_0/kb/accounts.createAccount.POST.2xx.201").values.summary()
		if sum.Max < 0.39 || sum.Max > 0.41 {
			t.Errorf("timer's max %v s, want 0.4", sum.Max)
		}
	})
}

func TestReservoirSummarises(t *testing.T) {
	start := time.Unix(1e9, 0)
	r := newReservoir(start)
	if got := r.summary(); got != (summary{}) {
		t.Errorf("empty: %+v", got)
	}
	values := rand.New(rand.NewPCG(1, 1)).Perm(1000)
	for _, v := range values {
		r.add(start, float64(v+1))
	}
	got := r.summary()
	for name, pair := range map[string][2]float64{
		"min": {got.Min, 1}, "max": {got.Max, 1000}, "mean": {got.Mean, 500.5}, "p50": {got.P50, 500}, "p95": {got.P95, 950},
		"p99": {got.P99, 990}, "stddev": {got.Dev, 288.7},
	} {
		if math.Abs(pair[0]-pair[1]) > 1 {
			t.Errorf("%s = %v, want %v", name, pair[0], pair[1])
		}
	}
	// Ten minutes on (a weight of e^9), new values dominate; two hours on, the old landmark would be e^108.
	for i := range 5000 {
		r.add(start.Add(10*time.Minute), 2000+float64(i%10))
	}
	if got := r.summary(); got.P50 < 2000 || len(r.kept) != reservoirSize {
		t.Errorf("old values still dominate: p50 %v of %d", got.P50, len(r.kept))
	}
	for range 2000 {
		r.add(start.Add(100*time.Hour), 7)
	}
	if got := r.summary(); got.P50 != 7 || math.IsNaN(got.Mean) || math.IsInf(got.Mean, 0) {
		t.Errorf("after a rescale: %+v", got)
	}
}

func TestMeterAverages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(time.Now())
		for range 3600 { // ten a second for an hour
			m.mark(10)
			time.Sleep(time.Second)
		}
		count, r := m.read(time.Now())
		if count != 36000 || math.Abs(r.Mean-10) > 0.01 || math.Abs(r.M1-10) > 0.01 || math.Abs(r.M5-10) > 0.01 || math.Abs(r.M15-10) > 0.05 {
			t.Errorf("steady: %d %+v", count, r)
		}
		time.Sleep(time.Minute) // of nothing: the one-minute average falls to 1/e
		if _, r := m.read(time.Now()); math.Abs(r.M1-10/math.E) > 0.1 || r.M15 < 9 {
			t.Errorf("a minute later: %+v", r)
		}
		time.Sleep(100 * time.Hour)
		if _, r := m.read(time.Now()); r.M1 > 1e-6 || r.M15 > 1e-6 {
			t.Errorf("days later: %+v", r)
		}
	})
}
