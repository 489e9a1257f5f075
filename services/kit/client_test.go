package kit

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// downstream answers /N with status N and a body, /empty with an empty 201, /slow when it is released.
type downstream struct {
	*httptest.Server
	release     chan struct{}
	inside, top atomic.Int64
}

func newDownstream(t *testing.T) *downstream {
	t.Helper()
	d := &downstream{release: make(chan struct{})}
	mux := http.NewServeMux()
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"message":"a body"}`)
		}
	}
	mux.HandleFunc("/200", answer(200))
	mux.HandleFunc("/404", answer(404))
	mux.HandleFunc("/503", answer(503))
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		n := d.inside.Add(1)
		defer d.inside.Add(-1)
		for top := d.top.Load(); n > top && !d.top.CompareAndSwap(top, n); top = d.top.Load() {
		}
		select {
		case <-d.release:
		case <-r.Context().Done():
		}
	})
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

func newTestClient(t *testing.T, d *downstream, k Knobs) (*Client, *Metrics) {
	t.Helper()
	m := NewMetrics()
	c, err := NewClient("next", d.URL, k, m, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, m
}

func get(c *Client, path string) (*Answer, error) {
	return c.Do(context.Background(), Call{Method: "GET", Path: path})
}

// cured are the knobs of a client in good health, with waits short enough to see them end.
func cured() Knobs {
	return Knobs{
		Client: Pooled, MaxConnections: 4, Keepalive: 4, KeepaliveExpiry: time.Minute, ErrorPath: Closes,
		ConnectTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, PoolTimeout: 10 * time.Second,
	}
}

func TestEachErrorWithABodyCostsALeakingClientAConnectionForEver(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.ErrorPath, k.PoolTimeout = Leaks, 200*time.Millisecond
	c, _ := newTestClient(t, d, k)
	for i := range 50 { // answers without a body never leak
		if _, err := get(c, "/empty"); err != nil {
			t.Fatalf("empty answer %d: %v", i, err)
		}
	}
	for i := range k.MaxConnections {
		if a, err := get(c, "/503"); err != nil || a.Status != 503 {
			t.Fatalf("error answer %d: %v", i, err)
		}
		if got := c.conns.inUse.Load(); got != int64(i+1) {
			t.Errorf("after %d errors %d connections are in use", i+1, got)
		}
	}
	// Nothing is under way now, the downstream is well, and still no call gets through.
	var busy *BusyError
	if _, err := get(c, "/200"); !errors.As(err, &busy) || busy.What != "connection of the pool" {
		t.Errorf("the call after %d leaks: %v, want a wait for the pool without end", k.MaxConnections, err)
	}
}

func TestALeakedConnectionIsFreedByClosingItsAnswer(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.ErrorPath = Leaks
	c, _ := newTestClient(t, d, k)
	for range 3 * k.MaxConnections {
		a, err := get(c, "/404")
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
	if n := c.conns.inUse.Load(); n != 0 {
		t.Errorf("%d connections in use", n)
	}
}

func TestAClosingClientReusesItsConnections(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	d := newDownstream(t)
	defer d.Close()
	c, m := newTestClient(t, d, cured())
	defer c.Close()
	for range 20 {
		for _, path := range []string{"/200", "/404", "/503", "/empty"} {
			if _, err := get(c, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := value(t, m.connOpened.WithLabelValues("next")); n != 1 {
		t.Errorf("80 calls one after the other opened %v connections, want 1", n)
	}
	if open, used := c.conns.open.Load(), c.conns.inUse.Load(); open != 1 || used != 0 {
		t.Errorf("open %d in use %d, want 1 and 0", open, used)
	}
	if n := value(t, m.calls.WithLabelValues("next", "503")); n != 20 {
		t.Errorf("http_client_requests_total{status=503} = %v, want 20", n)
	}
}

func TestAClientPerRequestNeverClosesWhatItOpened(t *testing.T) {
	d := newDownstream(t)
	c, m := newTestClient(t, d, Knobs{Client: PerRequest, ErrorPath: Closes})
	for range 12 {
		if _, err := get(c, "/200"); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if opened, open := value(t, m.connOpened.WithLabelValues("next")), c.conns.open.Load(); opened != 12 || open != 12 {
		t.Errorf("12 calls opened %v connections, %d still open; want 12 and 12", opened, open)
	}
	d.CloseClientConnections() // only the peer ends them
	for range 500 {
		if c.conns.open.Load() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d connections open after the peer closed them", c.conns.open.Load())
}

func TestSemaphoreBoundsTheCallsUnderWay(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.MaxConnections, k.Semaphore, k.SemaphoreWait = 0, 3, 10*time.Second
	c, m := newTestClient(t, d, k)
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			if _, err := get(c, "/slow"); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, "three calls under way and six waiting", func() bool {
		return d.inside.Load() == 3 && value(t, m.semWaiting.WithLabelValues("next")) == 6
	})
	if n := value(t, m.semInUse.WithLabelValues("next")); n != 3 {
		t.Errorf("semaphore_in_use = %v, want 3", n)
	}
	close(d.release)
	wg.Wait()
	if top := d.top.Load(); top != 3 {
		t.Errorf("at most %d calls were under way, want 3", top)
	}
	if n := value(t, m.semInUse.WithLabelValues("next")); n != 0 {
		t.Errorf("semaphore_in_use = %v after all calls", n)
	}
}

func TestWaitsThatAreTooLongEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit func(*Knobs)
		hold  int // calls that occupy what the next one waits for
		check func(error) bool
	}{
		{"semaphore", func(k *Knobs) { k.Semaphore, k.SemaphoreWait = 1, 50*time.Millisecond }, 1, func(err error) bool {
			var busy *BusyError
			return errors.As(err, &busy) && busy.What == "semaphore permit"
		}},
		{"pool", func(k *Knobs) { k.MaxConnections, k.PoolTimeout = 1, 50*time.Millisecond }, 1, func(err error) bool {
			var busy *BusyError
			return errors.As(err, &busy) && busy.What == "connection of the pool"
		}},
		{"read", func(k *Knobs) { k.ReadTimeout = 50 * time.Millisecond }, 0, func(err error) bool {
			var late *TimeoutError
			return errors.As(err, &late) && late.Phase == "read"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDownstream(t)
			k := cured()
			c.limit(&k)
			client, _ := newTestClient(t, d, k)
			var wg sync.WaitGroup
			for range c.hold {
				wg.Go(func() { _, _ = get(client, "/slow") })
			}
			waitFor(t, "the calls that hold", func() bool { return d.inside.Load() == int64(c.hold) })
			if _, err := get(client, "/slow"); !c.check(err) {
				t.Errorf("got %v", err)
			}
			close(d.release)
			wg.Wait()
			if _, err := get(client, "/200"); err != nil {
				t.Errorf("the client is not well afterwards: %v", err)
			}
			if n := client.conns.inUse.Load(); n != 0 {
				t.Errorf("%d connections in use afterwards", n)
			}
		})
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	d := newDownstream(t)
	c, _ := newTestClient(t, d, cured())
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, Call{Method: "GET", Path: "/slow"})
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return d.inside.Load() == 1 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBreakerOpensAfterFailuresInARowAndClosesAgain(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.Breaker, k.BreakerOpen = 3, 100*time.Millisecond
	c, _ := newTestClient(t, d, k)
	steps := []string{"/503", "/503", "/404", "/503", "/503"} // the 404 is an answer and ends the row
	for _, path := range steps {
		if _, err := get(c, path); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // permits that no call used say nothing
		p, err := c.Allow()
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
	}
	if c.Open() {
		t.Fatal("open before three failures in a row")
	}
	_, _ = get(c, "/503")
	var open *OpenError
	if _, err := get(c, "/200"); !errors.As(err, &open) || !c.Open() {
		t.Fatalf("after three failures in a row: %v", err)
	}
	waitFor(t, "half open", func() bool { return !c.Open() })
	first, err := c.Allow()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Allow(); !errors.As(err, &open) {
		t.Errorf("a second call while half open: %v", err)
	}
	first.Release() // never used: the next one may try
	if _, err := get(c, "/200"); err != nil {
		t.Errorf("the one call while half open: %v", err)
	}
	for range 5 {
		if _, err := get(c, "/200"); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
}

func TestBreakerDoesNotBlameTheDownstreamForOurOwnLimits(t *testing.T) {
	for name, limit := range map[string]func(*Knobs){
		"semaphore":   func(k *Knobs) { k.Semaphore, k.SemaphoreWait = 1, time.Millisecond },
		"pool":        func(k *Knobs) { k.MaxConnections, k.PoolTimeout = 1, 200*time.Millisecond },
		"client gone": func(*Knobs) {},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDownstream(t)
			k := cured()
			k.Breaker, k.BreakerOpen = 2, time.Minute
			limit(&k)
			c, _ := newTestClient(t, d, k)
			held := make(chan struct{})
			go func() {
				defer close(held)
				_, _ = get(c, "/slow")
			}()
			waitFor(t, "the call that holds", func() bool { return d.inside.Load() == 1 })
			for range 5 {
				ctx, cancel := context.WithCancel(t.Context())
				if name == "client gone" {
					cancel()
				}
				_, err := c.Do(ctx, Call{Method: "GET", Path: "/200"})
				var busy *BusyError
				if !errors.As(err, &busy) && !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v", err)
				}
				cancel()
			}
			close(d.release)
			<-held
			if c.Open() {
				t.Error("the breaker opened although the downstream never failed")
			}
		})
	}
}

func TestTheOneCallOfAHalfOpenBreakerIsNotLostInTheQueue(t *testing.T) {
	d := newDownstream(t)
	k := cured()
	k.Semaphore, k.SemaphoreWait, k.Breaker, k.BreakerOpen = 1, time.Millisecond, 1, 20*time.Millisecond
	c, _ := newTestClient(t, d, k)
	_, _ = get(c, "/503")
	waitFor(t, "half open", func() bool { return !c.Open() })
	if err := c.bulkhead.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := get(c, "/200"); !errors.As(err, &busy) {
		t.Fatalf("got %v", err)
	}
	c.bulkhead.release()
	if _, err := get(c, "/200"); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	c, err := NewClient("next", s.URL, cured(), NewMetrics(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(c, "/"); err == nil {
		t.Error("an answer of any length was accepted")
	}
}

// waitFor polls until a condition holds, for at most 20 s.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never saw %s", what)
}
