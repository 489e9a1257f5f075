package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

func vegetaEngine(t testing.TB, c Config) *Vegeta {
	t.Helper()
	e, err := NewVegeta(filled(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func TestVegetaSendsEveryArrivalOfThePlan(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(30*time.Millisecond))
		e := vegetaEngine(t, Config{dial: m.dial})
		plan := fixed(t, 40, 5*time.Second)
		for range 2 { // an Attacker is single use; the engine is not
			began := time.Now()
			tally, sums := drive(t, t.Context(), e, Load{Plan: plan}, recorder(get("/")))
			if tally.Journeys != 200 || sums.OK != 200 || tally.Dropped != 0 {
				t.Errorf("%+v, %d good; the plan owes 200", tally, sums.OK)
			}
			if took := time.Since(began); took < plan.Length() || took > plan.Length()+31*time.Millisecond {
				t.Errorf("took %v of a plan of %v", took, plan.Length())
			}
			if *sums.LagP99Ms > 0.01 || !near(*sums.Latency.P50Ms, 30, 0.1) || !near(*sums.Latency.MaxMs, 30, 0.1) {
				t.Errorf("lag %v ms, latency %v to %v ms; want 0 and 30", *sums.LagP99Ms, *sums.Latency.P50Ms, *sums.Latency.MaxMs)
			}
		}
	})
}

func TestVegetaFollowsAPoissonPlanToTheInstant(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		plan := fixed(t, 30, 10*time.Second)
		plan.Arrivals = "poisson"
		var mu sync.Mutex
		var got, want []time.Duration
		began := time.Now()
		m := stub(t, func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			got = append(got, time.Since(began))
			mu.Unlock()
		})
		for c := plan.Cursor(); ; {
			at, ok := c.Next()
			if !ok {
				break
			}
			want = append(want, at)
		}
		drive(t, t.Context(), vegetaEngine(t, Config{dial: m.dial}), Load{Plan: plan}, recorder(get("/")))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d arrivals, want the %d of the plan at its instants", len(got), len(want))
		}
	})
}

// Five at a time, ten a second, 1.05 s each: see TestArrivalsBeyondTheCapAreDroppedNotDelayed, whose numbers these are.
func TestVegetaDropsBeyondTheCapAndSaysSo(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(1050*time.Millisecond))
		e := vegetaEngine(t, Config{dial: m.dial})
		tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 10, 6600*time.Millisecond), InFlightCap: 5}, recorder(get("/")))
		if tally.Journeys != 30 || tally.Dropped != 36 || sums.Dropped != 36 || sums.OK != 30 {
			t.Errorf("%+v, recorded %d good and %d dropped; want 30 and 36", tally, sums.OK, sums.Dropped)
		}
		if most := *sums.Latency.MaxMs; !near(most, 1050, 2) {
			t.Errorf("max %.0f ms: an arrival was delayed", most)
		}
	})
}

func TestVegetaEndsWhenItIsTold(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		s := get("/")
		s.Steps[0].Timeout = 2 * time.Hour
		for name, c := range map[string]struct {
			after time.Duration // the run is cancelled
			load  Load
			took  time.Duration
			n     int
		}{
			"cancelled": {1050 * time.Millisecond, Load{Plan: fixed(t, 10, time.Minute)}, 1050 * time.Millisecond, 11},
			"between":   {1500 * time.Millisecond, Load{Plan: fixed(t, 1, time.Minute)}, 1500 * time.Millisecond, 2}, // vegeta's own sleep would go on to 2 s
			"grace":     {time.Hour, Load{Plan: fixed(t, 10, time.Second), Grace: 3 * time.Second}, 4 * time.Second, 10},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.after)
			began := time.Now()
			tally, sums := drive(t, ctx, vegetaEngine(t, Config{dial: m.dial, Scenario: s}), c.load, recorder(s))
			cancel()
			if took := time.Since(began); took != c.took || sums.Errors["canceled"] != uint64(c.n) || tally.Stragglers != c.n {
				t.Errorf("%s: after %v: %+v, errors %v; want %d cancelled after %v", name, took, tally, sums.Errors, c.n, c.took)
			}
		}
	})
}

func TestVegetaTimesOutAtTheStepsOwnTimeout(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		s := get("/")
		s.Steps[0].Timeout = 700 * time.Millisecond
		_, sums := drive(t, t.Context(), vegetaEngine(t, Config{dial: m.dial, Scenario: s}), Load{Plan: fixed(t, 10, time.Second)}, recorder(s))
		if sums.Errors["timeout"] != 10 || !near(*sums.Latency.P50Ms, 700, 1) {
			t.Errorf("errors %v at %v ms; want 10 timeouts at 700", sums.Errors, *sums.Latency.P50Ms)
		}
	})
}

// What the target sees is what the script says, and nothing of vegeta's or of our own bookkeeping.
func TestVegetaSendsTheScriptsRequests(t *testing.T) {
	once(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	tgt := onReal(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(body)] = true
		mu.Unlock()
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Vegeta") || name == hitHeader {
				t.Errorf("header %s was sent", name)
			}
		}
		if user, _, _ := r.BasicAuth(); user != "ann" || r.Host != "other.test" || r.Header.Get("User-Agent") != "captest" || r.Method != http.MethodPut {
			t.Errorf("%s to %q with %v", r.Method, r.Host, r.Header)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, `{"success":true}`)
	}))
	s := &scenarios.Scenario{Name: "put", Steps: []scenarios.Step{{
		Name: "put", Request: scenarios.Request{
			Method: "PUT", Path: text(t, "/{{n}}"), Body: text(t, "u{{unique}}"),
			Basic: &scenarios.BasicAuth{User: scenarios.Literal("ann"), Password: scenarios.Literal("x")},
		},
		Expect: scenarios.Expect{Status: []int{http.StatusFound}, Contains: "success"},
	}}}
	var reserved []record.LedgerBlock
	id := NewIdentity(7, "put", func(b record.LedgerBlock) error { reserved = append(reserved, b); return nil })
	e := vegetaEngine(t, Config{Scenario: s, Target: tgt, Identity: id, Headers: map[string]string{"Host": "other.test"}})
	_, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 200, 100*time.Millisecond)}, recorder(s))
	if sums.OK != 20 || len(seen) != 20 || len(reserved) == 0 {
		t.Errorf("%d good (errors %v), %d different bodies, ledger %v", sums.OK, sums.Errors, len(seen), reserved)
	}
	for n := range 20 {
		if want := fmt.Sprintf("u%s-%d", id.Token(), n); !seen[want] {
			t.Errorf("no request carried %s", want)
		}
	}
}

func TestVegetaReportsConnections(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(10*time.Millisecond))
		e := vegetaEngine(t, Config{dial: m.dial})
		sum, res := frames(t, e, Load{Plan: fixed(t, 20, 5*time.Second)})
		if sum.Opened != 1 || sum.Reused != 99 || sum.Closed != 1 || sum.Open != 0 {
			t.Errorf("%+v; want one connection, used 100 times and closed", sum)
		}
		if p := res.Steps["get"]; p.N != 100 || p.OK != 100 {
			t.Errorf("%+v", p)
		}
	})
}

func TestVegetaStopsAtAMistakeOfItsOwnSide(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Millisecond))
		full := func(b record.LedgerBlock) error {
			if b.From > 0 {
				return errFull
			}
			return nil
		}
		e := vegetaEngine(t, Config{dial: m.dial, Identity: NewIdentity(1, "s", full)})
		began := time.Now()
		tally, err := e.Drive(t.Context(), Load{Plan: fixed(t, 10, time.Hour)}, recorder(get("/")))
		if !errors.Is(err, errFull) || tally.Journeys > 100 || time.Since(began) > time.Minute {
			t.Errorf("%+v, error %v, after %v; want an end after at most 100 journeys", tally, err, time.Since(began))
		}
		s := get("/")
		s.Steps[0].Request.Path = text(t, "/{{missing}}")
		bad := vegetaEngine(t, Config{dial: m.dial, Scenario: s})
		var step *StepError
		if _, err := bad.Drive(t.Context(), Load{Plan: fixed(t, 10, time.Second)}, recorder(s)); !errors.As(err, &step) {
			t.Errorf("error %v, want the step's", err)
		}
	})
}

func TestVegetaRefusesWhatItCannotSend(t *testing.T) {
	once(t)
	one := scenarios.Step{Name: "a", Request: scenarios.Request{Method: "GET", Path: scenarios.Literal("/")}}
	with := func(change func(*scenarios.Step)) scenarios.Step {
		s := one
		change(&s)
		return s
	}
	for want, s := range map[string]*scenarios.Scenario{
		"2 steps": {Steps: []scenarios.Step{one, one}},
		"setup":   {Setup: []scenarios.Step{one}, Steps: []scenarios.Step{one}},
		"capture": {Steps: []scenarios.Step{with(func(s *scenarios.Step) { s.Capture = []scenarios.Capture{{Name: "x", From: "json.x"}} })}},
		"weight":  {Steps: []scenarios.Step{with(func(s *scenarios.Step) { s.Weight = 1 })}},
		"pauses":  {Steps: []scenarios.Step{with(func(s *scenarios.Step) { s.Think = 1 })}},
	} {
		var refused *VegetaError
		if _, err := NewVegeta(filled(Config{Scenario: s})); !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || !strings.Contains(refused.Hint(), "--engine http") {
			t.Errorf("%s: error %v", want, err)
		}
	}
	var refused *VegetaError
	if _, err := vegetaEngine(t, Config{}).Drive(t.Context(), Load{Users: 1, Total: 1}, recorder(get("/"))); !errors.As(err, &refused) {
		t.Errorf("a closed load: error %v", err)
	}
}

// A Location that is no URL makes vegeta's client refuse the whole answer. It is one sample like any other.
func TestVegetaCountsAnAnswerItsClientRefuses(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[")
			w.WriteHeader(http.StatusFound)
		})
		_, sums := drive(t, t.Context(), vegetaEngine(t, Config{dial: m.dial}), Load{Plan: fixed(t, 10, time.Second)}, recorder(get("/")))
		if sums.Errors["protocol"] != 10 {
			t.Errorf("errors %v, want 10 protocol", sums.Errors)
		}
	})
}

// A dispatcher that comes 2 s late (this machine stalled) is sent on at once, and its request's response time counts from when it
// was due: vegeta's own latency says 10 ms.
func TestVegetaCountsFromWhenARequestWasDue(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		e := vegetaEngine(t, Config{dial: newMemory().dial})
		rec := recorder(get("/"))
		_, err := e.drive(t.Context(), Load{Plan: fixed(t, 10, 10*time.Second)}, rec, func(r *run) {
			p := newPacer(r, 2)
			a := &attack{run: r, step: &r.script.steps[0], users: r.idle(), pacer: p, hits: &hits{run: r, sent: map[string]*hit{}}}
			for seq := range uint64(2) {
				if wait, stop := p.Pace(time.Duration(r.clock.Now()), seq); wait != 0 || stop {
					t.Errorf("arrival %d: wait %v, stop %v; want to be sent at once", seq, wait, stop)
				}
				time.Sleep(2 * time.Second)
				u := a.users.take()
				request, cancel := context.WithCancel(u.tracing(r.ctx))
				u.trace.begin(request, waits{})
				rec.Shard(u.number).Begin(r.clock.Now())
				a.hits.sent[fmt.Sprint(seq)] = &hit{user: u, cancel: cancel, status: http.StatusOK}
				a.take(&vegeta.Result{Seq: seq, Timestamp: time.Now(), Latency: 10 * time.Millisecond, Code: http.StatusOK})
			}
			r.cancel()
		})
		if err != nil {
			t.Fatal(err)
		}
		sums := rec.Cut()
		// Due at 0 and 0.1 s, sent at 2 and 4 s.
		if low, most := *sums.Latency.P50Ms, *sums.Latency.MaxMs; !near(low, 2010, 3) || !near(most, 3910, 5) || !near(*sums.LagP99Ms, 3900, 5) {
			t.Errorf("%.0f and %.0f ms, lag %.0f; want 2010, 3910 and 3900", low, most, *sums.LagP99Ms)
		}
	})
}
