package drive

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/scenarios"
)

// within is a scenario of one GET with timeouts.
func within(whole time.Duration, parts scenarios.Timeouts) *scenarios.Scenario {
	s := get("/")
	s.Steps[0].Timeout, s.Steps[0].Timeouts = whole, parts
	return s
}

// only says that every failure of an engine has one detail.
func only(t *testing.T, e tested, detail string) {
	t.Helper()
	all := e.Examples()
	if len(all) != 1 || !strings.HasPrefix(all[0].Detail, detail) {
		t.Errorf("failures %+v, want %q alone", all, detail)
	}
}

func TestEachTimeoutSaysWhichItWas(t *testing.T) {
	for name, c := range map[string]struct {
		whole time.Duration
		parts scenarios.Timeouts
		says  string
	}{
		"total":              {150 * time.Millisecond, scenarios.Timeouts{}, "total timeout"},
		"total, with others": {150 * time.Millisecond, scenarios.Timeouts{Connect: 140 * time.Millisecond, FirstByte: 149 * time.Millisecond}, ""},
		"first byte":         {20 * time.Second, scenarios.Timeouts{Connect: 19 * time.Second, FirstByte: 150 * time.Millisecond}, "first byte timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s := within(c.whole, c.parts)
			e := engine(t, Config{Scenario: s, Loops: 1, Target: onReal(t, delayed(time.Hour))})
			tally, sums := drive(t, t.Context(), e, Load{Users: 2, Total: 4}, recorder(s))
			if sums.Errors["timeout"] != 4 || tally.Failed != 4 || *sums.Latency.P50Ms < 148 || *sums.Latency.MaxMs > 15_000 {
				t.Errorf("errors %v, max %v ms; want 4 timeouts of 150 ms", sums.Errors, *sums.Latency.MaxMs)
			}
			if c.says != "" {
				only(t, e, c.says)
			}
		})
	}
}

// The first byte ends the wait for it: a body that takes longer is none of its business. It is awaited anew on a kept connection.
func TestTheFirstByteIsAllItsTimeoutWants(t *testing.T) {
	s := within(30*time.Second, scenarios.Timeouts{FirstByte: 2 * time.Second})
	e := engine(t, Config{Scenario: s, Loops: 1, Target: onReal(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2500 * time.Millisecond)
	}))})
	_, sums := drive(t, t.Context(), e, Load{Users: 1, Total: 2}, recorder(s))
	if sums.OK != 2 || *sums.Latency.MaxMs < 2500 {
		t.Errorf("%d good, errors %v, max %v ms; want 2 of 2.5 s", sums.OK, sums.Errors, *sums.Latency.MaxMs)
	}
}

// What times out in virtual time does so to the millisecond, on net/http.
func TestTimeoutsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := within(10*time.Second, scenarios.Timeouts{Connect: 2 * time.Second, FirstByte: 3 * time.Second})
		silent := stub(t, delayed(time.Hour))
		e := engine(t, Config{Scenario: s, dial: silent.dial})
		_, sums := drive(t, t.Context(), e, Load{Users: 3, Total: 6}, recorder(s))
		if sums.Errors["timeout"] != 6 || !near(*sums.Latency.MaxMs, 3000, 4) {
			t.Errorf("errors %v, max %v ms; want 6 timeouts of 3 s", sums.Errors, *sums.Latency.MaxMs)
		}
		only(t, e, "first byte timeout")

		nobody := newMemory() // nobody accepts
		defer nobody.Close()
		e = engine(t, Config{Scenario: s, dial: nobody.dial})
		_, sums = drive(t, t.Context(), e, Load{Users: 3, Total: 6}, recorder(s))
		if sums.Errors["timeout"] != 6 || !near(*sums.Latency.MaxMs, 2000, 3) {
			t.Errorf("errors %v, max %v ms; want 6 timeouts of 2 s", sums.Errors, *sums.Latency.MaxMs)
		}
		only(t, e, "connect timeout")
	})
}

// A TLS handshake that does not end is a connection that does not come to be.
func TestConnectTimeoutCoversTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		defer m.Close()
		go func() {
			for {
				c, err := m.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(io.Discard, c) }() // it listens and says nothing
			}
		}()
		s := within(10*time.Second, scenarios.Timeouts{Connect: 2 * time.Second})
		e := engine(t, Config{Scenario: s, Target: target("https://stub.test"), TLS: &tls.Config{}, dial: m.dial})
		_, sums := drive(t, t.Context(), e, Load{Users: 1, Total: 2}, recorder(s))
		if sums.Errors["timeout"] != 2 || !near(*sums.Latency.MaxMs, 2000, 3) {
			t.Errorf("errors %v, max %v ms; want 2 timeouts of 2 s", sums.Errors, *sums.Latency.MaxMs)
		}
		only(t, e, "connect timeout")
	})
}

func TestVegetaRefusesTimeoutsItDoesNotKnow(t *testing.T) {
	once(t)
	err := CheckVegeta(within(time.Second, scenarios.Timeouts{Connect: time.Millisecond}))
	if err == nil || !strings.Contains(err.Error(), "timeouts") {
		t.Errorf("error %v", err)
	}
	e, err := NewVegeta(filled(Config{}))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, l := range map[string]Load{
		"control":     {Plan: fixed(t, 1, time.Second), Control: &Throttle{}},
		"connections": {Plan: fixed(t, 1, time.Second), Connections: 3},
	} {
		if _, err := e.Drive(context.Background(), l, recorder(get("/"))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
