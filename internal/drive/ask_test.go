package drive

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
)

const oneJSON = `
name: one
steps:
  - {name: work, request: {method: POST, path: /work, json: {id: "{{unique}}"}}, expect: {status: 201}}
`

// TestBurst: requests that are released at once come on connections that are open already, with data of their own, and the answers of
// a station of two servers come in steps of two.
func TestBurst(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 2)
		var opened atomic.Int64
		var h heard
		m := stub(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				opened.Add(1)
				return
			}
			body := make([]byte, 200)
			n, _ := r.Body.Read(body)
			h.note("%s", body[:n])
			places <- struct{}{}
			time.Sleep(100 * time.Millisecond)
			<-places
			w.WriteHeader(http.StatusCreated)
		})
		p := prober(t, Config{Scenario: scenario(t, oneJSON), dial: m.dial})
		answers, err := p.Burst(t.Context(), 6, "/health", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var took []float64
		for _, a := range answers {
			if !a.OK() || a.Status != 201 || a.Dial != 0 {
				t.Errorf("%+v, want 201 on a connection that was open", a)
			}
			took = append(took, a.Took.Seconds())
		}
		slices.Sort(took)
		for i, v := range took {
			if want := 0.1 * float64(i/2+1); !near(v, want, 0.001) {
				t.Errorf("answer %d came after %v s, want %v", i, v, want)
			}
		}
		slices.Sort(h.list)
		if len(slices.Compact(h.list)) != 6 || opened.Load() != 6 {
			t.Errorf("%d different bodies and %d connections, want 6 of each", len(slices.Compact(h.list)), opened.Load())
		}
	})
}

// TestEmpty: what is refused at once is timed and keeps its status; a step without a JSON body has nothing to leave empty.
func TestEmpty(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, r *http.Request) {
			body := make([]byte, 200)
			if n, _ := r.Body.Read(body); string(body[:n]) == "{}" {
				w.WriteHeader(http.StatusUnprocessableEntity)
			}
		})
		p := prober(t, Config{Scenario: scenario(t, oneJSON), dial: m.dial})
		if a, ok, err := p.Empty(t.Context(), 0); !ok || err != nil || a.Status != 422 || a.Class != record.ErrorStatus {
			t.Errorf("%+v %t %v, want a refusal", a, ok, err)
		}
		if _, ok, err := prober(t, Config{dial: m.dial}).Empty(t.Context(), 0); ok || err != nil {
			t.Errorf("a GET: %t %v, want nothing sent", ok, err)
		}
	})
}

// TestCrowd: users on kept connections open one each, on fresh ones one for each request; it ends by time, or by count.
func TestCrowd(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(100*time.Millisecond))
		p := prober(t, Config{dial: m.dial})
		for _, tt := range []struct {
			how   Sharing
			most  uint64
			dials int
			ok    uint64
		}{{KeptConnections, 1000, 3, 30}, {FreshConnections, 1000, 30, 30}, {FreshConnections, 7, 7, 7}} {
			got, err := p.Crowd(t.Context(), 3, tt.how, time.Second, tt.most)
			if err != nil || got.OK != tt.ok || got.Failed != 0 || len(got.Dials) != tt.dials || !near(got.Mean.Seconds(), 0.1, 0.001) {
				t.Errorf("%s, at most %d: %+v %v, want %d answers and %d dials", tt.how, tt.most, got, err, tt.ok, tt.dials)
			}
		}
	})
}

// TestCrowdCountsWithinItsLength: what is answered later is no throughput of it, though it was asked for; neither is the time that
// setting users up takes.
func TestCrowdCountsWithinItsLength(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/setup" {
				time.Sleep(2 * time.Second)
				return
			}
			time.Sleep(400 * time.Millisecond)
			w.WriteHeader(http.StatusCreated)
		})
		p := prober(t, Config{Scenario: scenario(t, oneJSON+"setup:\n  - {name: begin, request: {method: GET, path: /setup}, expect: {status: 200}}\n"), dial: m.dial})
		got, err := p.Crowd(t.Context(), 3, KeptConnections, time.Second, 1000)
		if err != nil || got.OK != 6 || got.Seconds != 1 || got.Sent.Requests != 9 || got.Sent.Failed != 0 {
			t.Errorf("%+v %v, want 6 answers within 1 s, and 3 later", got, err)
		}
		if got, err := p.Crowd(t.Context(), 3, KeptConnections, 10*time.Second, 3); err != nil || got.OK != 3 || !near(got.Seconds, 0.4, 0.001) {
			t.Errorf("%+v %v, want 3 answers within 0.4 s: no more were to be sent", got, err)
		}
	})
}

// TestCrowdDoesNotHammer: where nobody listens, users pause as those of any closed load do.
func TestCrowdDoesNotHammer(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		refused := func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Microsecond) // virtual time goes on
			return nil, syscall.ECONNREFUSED
		}
		got, err := prober(t, Config{dial: refused}).Crowd(t.Context(), 3, KeptConnections, 2*time.Second, 1e6)
		if n := got.Sent.Failed; err != nil || n < 3 || n > 300 || got.OK != 0 || got.Failed != n {
			t.Errorf("%+v %v, want a few attempts", got, err)
		}
	})
}

// TestCrowdEnds: when its context does.
func TestCrowdEnds(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		p := prober(t, Config{dial: m.dial})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.Crowd(ctx, 3, KeptConnections, time.Hour, 10); err == nil {
				t.Error("no error from a context that is over")
			}
		})
		wg.Wait()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
