package drive

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

func prober(t *testing.T, c Config) *Prober {
	t.Helper()
	if c.Scenario == nil {
		c.Scenario = get("/")
	}
	if c.Target == nil {
		c.Target = target("http://stub.test")
	}
	c.Identity = NewIdentity(1, "probe", nil)
	c.Clock = record.NewClock()
	p, err := NewProber(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestAKeptProbeStaysOnItsConnectionAndAFreshOneNever(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	p := prober(t, Config{Target: target(s.URL)})
	ask := map[string]func(fresh bool) record.Probe{
		"functional": func(fresh bool) record.Probe { return p.Journey(t.Context(), fresh, time.Minute) },
		"health":     func(fresh bool) record.Probe { return p.Get(t.Context(), "", "/health", fresh, 0) },
	}
	for kind, ask := range ask {
		before := opened.Load()
		for range 3 {
			got := ask(false)
			if !got.OK || got.Redialled || got.Probe != kind || got.Connection != "kept" || got.Service != "main" || got.Error != "" || got.Ms <= 0 {
				t.Errorf("%s, kept: %+v", kind, got)
			}
		}
		if n := opened.Load() - before; n != 1 {
			t.Errorf("%s: three kept probes opened %d connections", kind, n)
		}
		for range 3 {
			if got := ask(true); !got.OK || got.Redialled || got.Connection != "fresh" {
				t.Errorf("%s, fresh: %+v", kind, got)
			}
		}
		if n := opened.Load() - before; n != 4 {
			t.Errorf("%s: three fresh probes opened %d connections", kind, n-1)
		}
		s.CloseClientConnections()
		time.Sleep(20 * time.Millisecond) // until the kept connection has noticed; if it has not, the probe itself fails or retries
		first, second := ask(false), ask(false)
		if !first.Redialled && !second.Redialled {
			t.Errorf("%s: the kept connection broke, and neither %+v nor %+v says so", kind, first, second)
		}
		if third := ask(false); !third.OK || third.Redialled {
			t.Errorf("%s, kept again: %+v", kind, third)
		}
	}
}

func TestAProbeThatHangsTimesOutAndTheKeptConnectionIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wedged atomic.Bool
		m := stub(t, func(_ http.ResponseWriter, r *http.Request) {
			if wedged.Load() {
				<-r.Context().Done()
			}
		})
		p := prober(t, Config{dial: m.dial})
		time.Sleep(5 * time.Second)
		first := p.Get(t.Context(), "", "/", false, 2*time.Second)
		wedged.Store(true)
		second := p.Get(t.Context(), "", "/", false, 2*time.Second)
		wedged.Store(false)
		third := p.Get(t.Context(), "", "/", false, 2*time.Second)
		if !first.OK || first.OffsetS != 5 {
			t.Errorf("first: %+v, want good at 5 s", first)
		}
		if second.OK || second.Error != "timeout" || !near(second.Ms, 2000, 1) || second.Redialled {
			t.Errorf("second: %+v, want a timeout on the same connection", second)
		}
		if !third.OK || !third.Redialled || third.OffsetS != 7 {
			t.Errorf("third: %+v, want good at 7 s on a new connection", third)
		}
	})
}

func TestTheFunctionalProbeIsJudgedAsTheLoadIs(t *testing.T) {
	var h heard
	s := scenario(t, `
name: flow
steps:
  - {name: first, request: {method: POST, path: "/{{unique}}"}, expect: {status: 201, json: {success: true}}}
  - {name: second, request: {path: /second}}
`)
	p := prober(t, Config{Scenario: s, Target: onReal(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.note("%s", r.URL.Path)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"success":false}`))
	}))})
	a, b := p.Journey(t.Context(), true, 0), p.Journey(t.Context(), false, 0)
	for _, got := range []record.Probe{a, b} {
		if got.OK || got.Error != "check" || got.Status != 201 {
			t.Errorf("%+v, want a check failure", got)
		}
	}
	if len(h.list) != 2 || h.list[0] == h.list[1] {
		t.Errorf("sent %q, want the first step only, with unique data", h.list)
	}
}

func TestProbesThatCannotBeSentFail(t *testing.T) {
	p := prober(t, Config{Target: target(nobody(t))})
	if got := p.Get(t.Context(), "", "/", true, time.Minute); got.OK || got.Error != "refused" {
		t.Errorf("nobody listens: %+v", got)
	}
	if got := p.Get(t.Context(), "nowhere", "/", true, 0); got.OK || got.Error != "other" || got.Service != "nowhere" {
		t.Errorf("no such service: %+v", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.Journey(over, true, 0); got.OK || got.Error != "canceled" {
		t.Errorf("cancelled: %+v", got)
	}
	p = prober(t, Config{Target: target("http://192.0.2.1"), Guard: &targets.Guard{}})
	if got := p.Journey(t.Context(), true, time.Minute); got.OK || got.Error != "other" {
		t.Errorf("refused by the guard: %+v", got)
	}
	if _, err := NewProber(Config{Scenario: get("/"), Target: target("http://x"), Identity: NewIdentity(1, "", nil)}); err == nil {
		t.Error("a prober without a clock")
	}
}
