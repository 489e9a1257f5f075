package experiment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/captest/captest/internal/record"
)

// simulated is a target whose gauges are known: scraped once a second through a ramp, two triggers and the rests between them.
type simulated struct {
	rng  *rand.Rand
	cool int // seconds of rest after the last trigger

	failedPatient, failedAborting uint64
	perFailed, perRequest         float64 // descriptors that stay for each
	permits                       float64 // that stay for each failed request
	pool, expiry                  float64 // idle connections that a load leaves, and how long they live, in seconds
	showsPool                     bool    // its metrics tell how many are idle
	restarts                      bool
	cycles                        int     // short loads afterwards
	perCycle                      float64 // bytes that stay after each
}

func (s *simulated) books() Books {
	b := Books{Triggers: 1}
	now, lost, permits, idleFrom, heap := 0.0, 0.0, 0.0, math.Inf(-1), 80e6
	started := 1000.0
	scrape := func(inFlight float64) {
		idle := 0.0
		if now-idleFrom < s.expiry {
			idle = s.pool
		}
		noise := func(w float64) float64 { return math.Round(w * (2*s.rng.Float64() - 1)) }
		v := map[string]float64{
			"process_start_time_seconds": started, "process_max_fds": 1024,
			"process_open_fds":                 21 + inFlight + idle + lost + noise(2),
			"go_goroutines":                    30 + 2*inFlight + 2*idle + 2*lost + noise(3),
			"http_requests_in_progress":        inFlight + math.Abs(noise(0.9)),
			"process_resident_memory_bytes":    heap + 5e6*s.rng.Float64() + 1e6*inFlight,
			`semaphore_in_use{downstream="x"}`: min(10, inFlight) + permits, `semaphore_limit{downstream="x"}`: 40,
		}
		if s.showsPool {
			v[`http_client_connections_idle{downstream="x"}`] = idle
		}
		b.Scrapes = append(b.Scrapes, record.Scrape{OffsetS: now, Service: "user", Values: v})
		now++
	}
	rest := func(seconds int) {
		from := now
		for range seconds {
			scrape(0)
		}
		b.Rests = append(b.Rests, Span{from, now})
	}
	load := func(seconds int, users float64, requests, failed uint64) {
		from := now
		for range seconds {
			lost += (s.perFailed*float64(failed) + s.perRequest*float64(requests)) / float64(seconds)
			permits += s.permits * float64(failed) / float64(seconds)
			scrape(users)
		}
		idleFrom = now
		heap = min(heap+3e6*s.rng.Float64(), max(heap, 84e6)) // what an allocator keeps
		b.Loads = append(b.Loads, LoadCount{Span: Span{from, now}, Requests: requests, Failed: failed, Aborted: failed})
	}
	rest(6)
	load(60, 16, 500, 0)
	rest(4)
	load(12, 50, 200, s.failedPatient)
	rest(9)
	if s.restarts {
		started, lost = started+500, 0
	}
	load(8, 50, 250, s.failedAborting)
	rest(s.cool)
	for range s.cycles {
		heap += s.perCycle
		load(10, 8, 50, 0)
		rest(10)
	}
	b.CooledS = now - b.Loads[len(b.Loads)-1].ToS
	return b
}

func TestAHealthyTargetLeaksNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		s := &simulated{
			rng: rand.New(rand.NewPCG(seed, 1)), cool: []int{9, 36, 76}[seed%3], failedAborting: 40 * (seed % 5), pool: float64(seed % 21),
			expiry: []float64{2, 30, 60, 90}[seed%4], showsPool: seed%2 == 0,
		}
		if s.cool == 76 && s.expiry > 75 {
			s.expiry = 60
		}
		leaks, open := s.books().Leaks()
		if len(leaks) > 0 {
			t.Errorf("seed %d (%+v): %+v", seed, *s, leaks)
		}
		if s.cool == 76 {
			for _, u := range open {
				if u.What != memoryGrowth {
					t.Errorf("seed %d: after the full rest still undecided: %+v", seed, u)
				}
			}
		}
	}
}

func TestALeakOfOneDescriptorPerFailedRequest(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		for _, cool := range []int{36, 76} {
			s := &simulated{
				rng: rand.New(rand.NewPCG(seed, 2)), cool: cool, failedPatient: 40 + seed, failedAborting: 150, perFailed: 1, pool: 8, expiry: 30, showsPool: seed%2 == 0,
			}
			leaks, _ := s.books().Leaks()
			l := find(leaks, "process_open_fds")
			if l == nil {
				t.Fatalf("seed %d, %d s: not found in %+v", seed, cool, leaks)
			}
			if l.PerFailed == nil || math.Abs(*l.PerFailed-1) > 0.1 || l.Per != perFailed {
				t.Errorf("seed %d, %d s: per failed request %v (%s), want 1 ± 10 %%", seed, cool, value(l.PerFailed), l.Per)
			}
			failed := float64(s.failedPatient + s.failedAborting)
			if want := 1000 * failed / 450; l.Per1000 == nil || math.Abs(*l.Per1000/want-1) > 0.1 {
				t.Errorf("seed %d, %d s: per 1,000 requests %v, want %.0f", seed, cool, value(l.Per1000), want)
			}
			left := 1024 - 21 - failed
			if l.Limit == nil || *l.Limit != 1024 || l.ExhaustedRequests == nil || math.Abs(*l.ExhaustedRequests/left-1) > 0.12 {
				t.Errorf("seed %d, %d s: %v failed requests to exhaustion of %v, want %.0f", seed, cool, value(l.ExhaustedRequests), value(l.Limit), left)
			}
			if want := left / (failed / 20); l.ExhaustedSeconds == nil || math.Abs(*l.ExhaustedSeconds/want-1) > 0.15 {
				t.Errorf("seed %d, %d s: %v s to exhaustion, want %.0f", seed, cool, value(l.ExhaustedSeconds), want)
			}
			if g := find(leaks, "go_goroutines"); g == nil || g.PerFailed == nil || math.Abs(*g.PerFailed-2) > 0.2 {
				t.Errorf("seed %d, %d s: goroutines %+v, want two per failed request", seed, cool, g)
			}
		}
	}
}

func TestLeaksAreToldApart(t *testing.T) {
	t.Parallel()
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(7, 7)) }
	tests := []struct {
		name  string
		s     simulated
		what  string // the leak wanted; "" for none
		per   string
		rate  float64
		open  string // the question left open; "" for none
		never string // must not be called a leak
	}{
		{name: "with every request, not only failed ones", s: simulated{cool: 76, failedAborting: 90, perRequest: 0.5}, what: "process_open_fds", per: perRequest},
		{
			name: "permits, which must be back at once", s: simulated{cool: 9, failedPatient: 5, failedAborting: 12, permits: 1},
			what: `semaphore_in_use{downstream="x"}`, per: perFailed, rate: 1,
		},
		{name: "an idle pool is none, and a short rest cannot tell", s: simulated{cool: 9, pool: 15, expiry: 300}, never: "process_open_fds"},
		{name: "a leak, but a short rest cannot tell it from a pool", s: simulated{cool: 9, failedAborting: 60, perFailed: 1, pool: 3, expiry: 30}, open: "process_open_fds", never: "process_open_fds"},
		{name: "a replaced process begins anew", s: simulated{cool: 76, failedPatient: 100, failedAborting: 100, perFailed: 1, restarts: true}, open: "leaks", never: "process_open_fds"},
		{name: "memory that grows with every load", s: simulated{cool: 9, cycles: 5, perCycle: 30e6}, what: "process_resident_memory_bytes"},
		{name: "memory that is kept", s: simulated{cool: 9, cycles: 5}, never: "process_resident_memory_bytes"},
		{name: "memory over two loads says nothing", s: simulated{cool: 76}, open: memoryGrowth, never: "process_resident_memory_bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.s.rng = rng()
			leaks, open := tt.s.books().Leaks()
			l := find(leaks, tt.what)
			if tt.what != "" && l == nil {
				t.Fatalf("no leak of %s in %+v (open: %+v)", tt.what, leaks, open)
			}
			if tt.per != "" && l.Per != tt.per {
				t.Errorf("per %q, want %q", l.Per, tt.per)
			}
			if tt.rate > 0 && (l.PerFailed == nil || math.Abs(*l.PerFailed-tt.rate) > 0.1*tt.rate) {
				t.Errorf("rate %v, want %v", value(l.PerFailed), tt.rate)
			}
			if find(leaks, tt.never) != nil {
				t.Errorf("%s is called a leak: %+v", tt.never, leaks)
			}
			found := tt.open == ""
			for _, u := range open {
				found = found || u.What == tt.open
			}
			if !found {
				t.Errorf("%s is not among the open questions %+v", tt.open, open)
			}
		})
	}
}

// What a caller leaks is told at the caller; what plays a role is told under its own name.
func TestALeakIsToldOnceAndWhereItIs(t *testing.T) {
	t.Parallel()
	b := Books{Triggers: 1, CooledS: 80, Rests: []Span{{0, 5}, {10, 15}, {20, 25}}, Loads: []LoadCount{{Requests: 100}, {Requests: 100, Failed: 20}}}
	for i := range 25 {
		leaked := 0.0
		if i >= 15 {
			leaked = 20
		}
		b.Scrapes = append(
			b.Scrapes, record.Scrape{OffsetS: float64(i), Service: "user", Values: map[string]float64{
				`http_client_connections_open{downstream="billing"}`: leaked, `http_client_connections_idle{downstream="billing"}`: 0, "process_open_fds": 20 + leaked,
				"hikaricp_connections_active": 1 + leaked, "pool.in_use": 1 + leaked,
			}},
			record.Scrape{OffsetS: float64(i), Service: "billing", Values: map[string]float64{"process_open_fds": 15 + leaked, "go_goroutines": 9 + leaked}},
		)
	}
	leaks, _ := b.Leaks()
	got := ""
	for _, l := range leaks {
		got += fmt.Sprintf("%s %s %v; ", l.Where, l.What, l.After-l.Before)
	}
	if want := `user hikaricp_connections_active 20; user http_client_connections_open{downstream="billing"} 20; user process_open_fds 20; `; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func find(leaks []record.Leak, what string) *record.Leak {
	for i := range leaks {
		if leaks[i].What == what {
			return &leaks[i]
		}
	}
	return nil
}

func TestRisingP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, 1.0 / 24},
		{[]float64{1, 2, 3, 4, 5}, 1.0 / 120},
		{[]float64{1, 2, 3, 5, 4}, 5.0 / 120},
		{[]float64{5, 4, 3, 2, 1}, 1},
		{[]float64{1, 1, 1}, 1},
		{[]float64{1}, 1},
		{nil, 1},
	} {
		if got := risingP(tt.x); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("risingP(%v) = %v, want %v", tt.x, got, tt.want)
		}
	}
	if got := theilSen([]float64{1, 3, 5, 100}); got != 17.5 {
		t.Errorf("theilSen = %v", got)
	}
}

// What is still going away when a short rest is over is no leak yet.
func TestWhatIsStillFallingIsNoLeakYet(t *testing.T) {
	t.Parallel()
	for _, falls := range []float64{0, 3} {
		b := Books{Triggers: 1, CooledS: 36, Rests: []Span{{0, 5}, {10, 15}, {20, 56}}, Loads: []LoadCount{{Requests: 100}, {Requests: 300, Failed: 200}}}
		for i := range 56 {
			fds := 20.0
			if i >= 20 {
				fds += 200 - falls*float64(i-20)
			}
			b.Scrapes = append(b.Scrapes, record.Scrape{OffsetS: float64(i), Service: "user", Values: map[string]float64{"process_open_fds": fds, "http_requests_in_progress": min(50, float64(i))}})
		}
		leaks, open := b.Leaks()
		if leaked := find(leaks, "process_open_fds") != nil; leaked == (falls > 0) {
			t.Errorf("falling by %v a second: leaks %+v, open %+v", falls, leaks, open)
		}
	}
}

// A service without metrics is known by its process: sockets by peer, descriptors.
func TestALeakOfSocketsIsSeenFromOutside(t *testing.T) {
	t.Parallel()
	b := Books{Triggers: 1, CooledS: 80, Rests: []Span{{0, 5}, {10, 15}, {20, 25}}, Loads: []LoadCount{{Requests: 100}, {Requests: 100, Failed: 20}}}
	for i := range 25 {
		closed, fds, before := 0, 30.0, map[string]int{"ESTABLISHED": 9}
		if i >= 15 {
			closed, fds, before = 20, 50, nil
		}
		b.Scrapes = append(b.Scrapes, joined(record.Scrape{}, record.ProcessReading{
			OffsetS: float64(i) + 3, Service: "user", FDs: &fds, Outbound: map[string]map[string]int{"billing": {"CLOSE_WAIT": closed, "ESTABLISHED": 2, "TIME_WAIT": 40}, "before": before},
		}))
	}
	leaks, open := b.Leaks()
	for _, u := range open {
		if u.What != memoryGrowth {
			t.Errorf("left open: %+v", u)
		}
	}
	l := find(leaks, `tcp_sockets{peer="billing",state="CLOSE_WAIT"}`)
	if l == nil || l.After-l.Before != 20 || value(l.PerFailed) != 1 || find(leaks, "process_open_fds") == nil || len(leaks) != 2 {
		t.Errorf("leaks %+v", leaks)
	}
}

// A process with too many descriptors to look at each of has no sockets listed, which does not mean that it has none.
func TestSocketsNobodyLookedAtAreNotGone(t *testing.T) {
	t.Parallel()
	b := Books{Triggers: 1, CooledS: 80, Rests: []Span{{0, 5}, {10, 15}, {20, 25}}, Loads: []LoadCount{{Requests: 100}, {Requests: 100, Failed: 20}}}
	for i := range 25 {
		fds, peers := 30.0, map[string]map[string]int{"billing": {"CLOSE_WAIT": 0}}
		if i >= 7 {
			fds, peers = 5000, map[string]map[string]int{"billing": {"CLOSE_WAIT": 4970}}
		}
		if i >= 17 {
			fds, peers = 9000, nil
		}
		b.Scrapes = append(b.Scrapes, joined(record.Scrape{}, record.ProcessReading{OffsetS: float64(i) + 3, Service: "user", FDs: &fds, Outbound: peers}))
	}
	if l := b.account("user", `tcp_sockets{peer="billing",state="CLOSE_WAIT"}`); l == nil || l.after != 4970 {
		t.Errorf("sockets %+v, want what was last seen of them", l)
	}
}

// Metrics that hang after the load leave what only they could tell open, and do not pass for zero.
func TestMetricsThatHangLeaveTheQuestionOpen(t *testing.T) {
	t.Parallel()
	b := Books{Triggers: 1, CooledS: 80, Rests: []Span{{0, 5}, {10, 15}, {20, 25}}, Loads: []LoadCount{{Requests: 100}, {Requests: 100}}}
	fds := 30.0
	for i := range 25 {
		s := record.Scrape{}
		if i < 12 {
			s = record.Scrape{OffsetS: float64(i), Service: "user", Values: map[string]float64{"http_requests_in_progress": 0}}
		}
		b.Scrapes = append(b.Scrapes, joined(s, record.ProcessReading{OffsetS: float64(i) + 0.5, Service: "user", FDs: &fds}))
	}
	leaks, open := b.Leaks()
	if len(leaks) > 0 || len(open) < 1 || open[0].What != "leaks" || open[0].Where != "user" {
		t.Errorf("leaks %+v, open %+v", leaks, open)
	}
}
