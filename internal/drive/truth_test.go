package drive

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/scenarios"
)

type contender struct {
	name   string
	secure bool // speaks TLS, and HTTP/2
	make   func(testing.TB, Config) Engine
}

// engines are all that send. Each is held against what the stub itself saw, and so against the others.
var engines = []contender{
	{"http", true, func(t testing.TB, c Config) Engine { return httpEngine(t, c) }},
	{"native", false, func(t testing.TB, c Config) Engine { return nativeEngine(t, c) }},
	{"vegeta", true, func(t testing.TB, c Config) Engine { return vegetaEngine(t, c) }},
}

// The truth: 200 arrivals a second for 2 s, of which those that come between 1.0 and 1.4 s wait until it is 1.4 s.
const (
	truthRate  = 200
	truthFor   = 2 * time.Second
	truthN     = 400
	stallBegin = time.Second
	stallEnd   = 1400 * time.Millisecond
	usual      = 5 * time.Millisecond
	piece      = 20 * time.Millisecond // between the halves of a slow body
)

// truth is a service of known behaviour that writes down what it did: journey n decides what comes, of each twenty one of each
// kind of failure. What it saw ends just before the answer's last byte leaves, so that no client can have waited less.
type truth struct {
	plain bool // no failures, no slow bodies

	mu    sync.Mutex
	began time.Time // first request
	seen  []visit
}

type visit struct {
	n             int
	arrived, done time.Time
}

// visits is how many requests it has answered.
func (s *truth) visits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *truth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	_, _ = io.Copy(io.Discard, r.Body) // what is left unread would turn a close into a reset
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		n = -1
	}
	s.mu.Lock()
	if s.began.IsZero() {
		s.began = now
	}
	at := now.Sub(s.began)
	s.mu.Unlock()
	if at >= stallBegin && at < stallEnd {
		time.Sleep(stallEnd - at)
	}
	time.Sleep(usual)
	kind := n % 20
	if s.plain {
		kind = -1
	}
	if kind == 4 {
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, `{"success":true, "half":`)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(piece)
	}
	s.mu.Lock()
	s.seen = append(s.seen, visit{n, now, time.Now()})
	s.mu.Unlock()
	switch kind {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 1, 2: // reset and closed
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		if kind == 1 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	case 3:
		_, _ = io.WriteString(w, `{"success":false}`)
	case 4:
		_, _ = io.WriteString(w, `1}`)
	default:
		_, _ = io.WriteString(w, `{"success":true}`)
	}
}

// quantile of the visits by a measure, in ms.
func (s *truth) quantile(q float64, of func(visit) time.Duration) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]time.Duration, len(s.seen))
	for i, v := range s.seen {
		all[i] = of(v)
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)].Seconds() * 1000
}

func truthScenario(t testing.TB) *scenarios.Scenario {
	return &scenarios.Scenario{Name: "truth", Steps: []scenarios.Step{{
		Name: "get", Request: scenarios.Request{Method: "POST", Path: text(t, "/?n={{n}}"), Body: text(t, "{{unique}}")}, // a POST is never sent twice
		Expect: scenarios.Expect{Contains: `"success":true`},
	}}}
}

// TestEnginesAgreeWithTheTruth is the reason to believe any latency captest prints.
//
// Counts must be exact. A quantile must not lie below what the stub itself spent (plus the histogram's 0.1 %): nothing can
// be faster than the server that serves it. And it must not lie above what the stub saw, counted from when the schedule wanted the
// request sent, by more than truthSlack: this machine's own delays on the way to the stub are in both, and only those on the way
// back are not. A machine that is late on the way there is late on the way back: above the bound with such a lag, the attempt
// says nothing and is made again. Counts and the lower bounds hold on any machine.
func TestEnginesAgreeWithTheTruth(t *testing.T) {
	once(t)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			for range 4 {
				above, lag := agrees(t, e)
				switch {
				case above == "":
					return
				case lag <= lagSlack:
					t.Fatalf("sent on time, and yet %s", above)
				}
				t.Logf("sent up to %.0f ms late: %s", lag, above)
			}
			t.Skip("this machine is too busy: four attempts said nothing")
		})
	}
}

const (
	truthSlack = 100 // ms, of a stall of 400
	lagSlack   = 20  // ms
)

// agrees drives one engine against the truth. It gives the quantiles above their bound, in words, and the p99 of the lag, ms.
func agrees(t *testing.T, e contender) (above string, lag float64) {
	t.Helper()
	s := &truth{}
	sc := truthScenario(t)
	eng := e.make(t, Config{Scenario: sc, Target: onReal(t, s)})
	rec := recorder(sc)
	began := time.Now()
	tally, sums := drive(t, t.Context(), eng, Load{Plan: fixed(t, truthRate, truthFor)}, rec)

	if tally.Journeys != truthN || tally.Failed != 80 || tally.Dropped != 0 || sums.N != truthN || sums.OK != 320 {
		t.Errorf("%+v, recorded %d of which %d good; want 400, 80 failed, 320 good", tally, sums.N, sums.OK)
	}
	for class, want := range map[string]uint64{"status": 20, "reset": 20, "closed": 20, "check": 20} {
		if sums.Errors[class] != want {
			t.Errorf("%d %s, want %d (all: %v)", sums.Errors[class], class, want, sums.Errors)
		}
	}
	due := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second / truthRate) }
	for _, q := range []struct {
		q   float64
		got *float64
	}{{0.5, sums.Latency.P50Ms}, {0.95, sums.Latency.P95Ms}, {0.99, sums.Latency.P99Ms}} {
		low := s.quantile(q.q-1.0/truthN, func(v visit) time.Duration { return v.done.Sub(v.arrived) })
		high := s.quantile(q.q, func(v visit) time.Duration { return v.done.Sub(due(v.n)) })
		text := fmt.Sprintf("p%g is %.1f ms; the stub saw %.1f from arrival and %.1f from the schedule", q.q*100, *q.got, low, high)
		if *q.got < low*0.999 {
			t.Error(text)
		}
		if *q.got > high+truthSlack {
			above += text + "; "
		}
	}
	// A fifth of all arrivals met the stall and waited evenly from 0 to 400 ms: the slowest twentieth waited 300 and more.
	if p95 := *sums.Latency.P95Ms; p95 < 290 {
		t.Errorf("p95 is %.0f ms: the stall is hidden", p95)
	}
	return above, *sums.LagP99Ms
}

// TestABareAttackerHidesTheStall shows the mistake that the engines correct: two workers stand before the stalled service, the
// arrivals behind them are held back, and when they go at last their clock starts anew. Vegeta with workers enough does not
// make it; a generator that runs out of anything does, and does not know.
func TestABareAttackerHidesTheStall(t *testing.T) {
	once(t)
	s := &truth{plain: true}
	tgt := onReal(t, s)
	plan := fixed(t, truthRate, truthFor)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	defer client.CloseIdleConnections()
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(2), vegeta.MaxWorkers(2))
	var m vegeta.Metrics
	began := time.Now()
	var honest []time.Duration
	for res := range attacker.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: "POST", URL: tgt.Services[0].URL + "/"}), plan, 0, "") {
		m.Add(res)
		at, _ := plan.At(res.Seq)
		honest = append(honest, res.Timestamp.Add(res.Latency).Sub(began.Add(at)))
	}
	m.Close()
	if m.Requests != truthN || m.Success != 1 {
		t.Fatalf("%d requests, success %g", m.Requests, m.Success)
	}
	slices.SortFunc(honest, cmp.Compare)
	hidden, shown := m.Latencies.P95.Seconds()*1000, honest[truthN*95/100].Seconds()*1000
	if hidden > shown/2 {
		t.Errorf("the bare attacker's p95 is %.0f ms and the truth %.0f ms: nothing is hidden", hidden, shown)
	}
	if shown < 290 {
		t.Errorf("counted from the schedule p95 is %.0f ms, want 300 and more", shown)
	}

	// The same two workers under our engines: who cannot be sent on time is dropped, aloud.
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := &truth{plain: true}
			sc := truthScenario(t)
			eng := e.make(t, Config{Scenario: sc, Target: onReal(t, s)})
			tally, sums := drive(t, t.Context(), eng, Load{Plan: plan, InFlightCap: 2}, recorder(sc))
			if tally.Journeys+tally.Dropped != truthN || sums.Dropped != tally.Dropped || uint64(s.visits()) != tally.Journeys {
				t.Errorf("%+v, recorded %d dropped, the stub saw %d; want 400 in all", tally, sums.Dropped, s.visits())
			}
			if tally.Dropped < 70 {
				t.Errorf("%d dropped; some 78 arrivals came while two were stalled", tally.Dropped)
			}
		})
	}
}
