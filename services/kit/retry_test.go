package kit

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// flaky answers 503 so many times, then 200; with reset it closes the connection instead.
func flaky(t *testing.T, failures int64, reset bool) (*downstream, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	d := &downstream{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n := asked.Add(1); {
		case n <= failures && reset:
			resetConnection(w)
		case n <= failures:
			faultAnswer(w, http.StatusServiceUnavailable, "full", "come back later")
		}
	}))}
	t.Cleanup(d.Close)
	return d, &asked
}

func TestAFailedCallIsRepeatedAtOnceUntilItSucceeds(t *testing.T) {
	for _, reset := range []bool{false, true} {
		d, asked := flaky(t, 2, reset)
		k := cured()
		k.Retries = 5
		c, m := newTestClient(t, d, k)
		a, err := c.Do(t.Context(), Call{Method: "POST", Path: "/", Body: []byte("{}")})
		if err != nil || a.Status != 200 {
			t.Fatalf("reset %v: %v, %v", reset, a, err)
		}
		if got := value(t, m.retries.WithLabelValues("next")); asked.Load() != 3 || got != 2 {
			t.Errorf("reset %v: asked %d times, %v retries, want 3 and 2", reset, asked.Load(), got)
		}
		failed := map[bool]string{false: "503", true: "error"}[reset]
		if n := value(t, m.calls.WithLabelValues("next", failed)); n != 2 {
			t.Errorf("reset %v: %v failed attempts counted, want 2", reset, n)
		}
	}
}

func TestRepeatedAttemptsGiveTheirConnectionsBackUnlessTheErrorPathLeaks(t *testing.T) {
	for path, want := range map[string]int64{Closes: 0, Leaks: 4} {
		d, _ := flaky(t, 1000, false)
		k := cured()
		k.Retries, k.ErrorPath, k.MaxConnections = 3, path, 10
		c, _ := newTestClient(t, d, k)
		if a, err := get(c, "/"); err != nil || a.Status != 503 {
			t.Fatalf("%s: %v, %v", path, a, err)
		}
		if got := c.conns.inUse.Load(); got != want {
			t.Errorf("%s: %d connections in use after four attempts, want %d", path, got, want)
		}
	}
}

func TestWhatTheDownstreamIsNotToBlameForIsNotRepeated(t *testing.T) {
	d, asked := flaky(t, 1000, false)
	k := cured()
	k.Retries, k.Breaker, k.BreakerOpen = 10, 3, time.Hour
	c, m := newTestClient(t, d, k)
	a, err := get(c, "/")
	if err != nil || a.Status != 503 || asked.Load() != 3 {
		t.Errorf("%v, %v after %d attempts; want the downstream's 503 once the third has opened the breaker", a, err, asked.Load())
	}
	var open *OpenError
	if _, err := get(c, "/"); !errors.As(err, &open) || asked.Load() != 3 {
		t.Errorf("with an open breaker: %v after %d attempts", err, asked.Load())
	}
	if got := value(t, m.retries.WithLabelValues("next")); got != 2 {
		t.Errorf("%v retries, want 2", got)
	}

	d, asked = flaky(t, 1000, false)
	k = cured()
	k.Retries = 10
	c, _ = newTestClient(t, d, k)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.Do(ctx, Call{Method: "GET", Path: "/"}); !errors.Is(err, context.Canceled) || asked.Load() > 1 {
		t.Errorf("for a caller that has gone: %v after %d attempts", err, asked.Load())
	}
}

func TestAnAttemptWaitsForAPermitBehindTheOthers(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.Semaphore, k.SemaphoreWait, k.Retries, k.ReadTimeout = 1, 10*time.Second, 1, 100*time.Millisecond
	c, _ := newTestClient(t, d, k)
	slow := make(chan error, 1)
	go func() {
		_, err := get(c, "/slow") // times out, gives its permit up, and asks for another
		slow <- err
	}()
	waitFor(t, "the slow call", func() bool { return d.inside.Load() == 1 })
	if a, err := get(c, "/200"); err != nil || a.Status != 200 {
		t.Errorf("the call behind it: %v, %v", a, err)
	}
	var late *TimeoutError
	if err := <-slow; !errors.As(err, &late) || d.top.Load() != 1 {
		t.Errorf("%v with %d calls at once, want a timeout and one", err, d.top.Load())
	}
}

// A refused connection is a failure of the downstream like any other.
func TestARefusedConnectionIsRepeated(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &downstream{Server: &httptest.Server{URL: "http://" + ln.Addr().String()}}
	_ = ln.Close()
	k := cured()
	k.Retries = 2
	c, m := newTestClient(t, d, k)
	if _, err := get(c, "/"); err == nil {
		t.Error("somebody answered")
	}
	if got := value(t, m.retries.WithLabelValues("next")); got != 2 {
		t.Errorf("%v retries, want 2", got)
	}
}
