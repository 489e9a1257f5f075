package killbill

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// post sends one creation straight to the handler, without a network, so that time can be virtual.
// status is 0 when the handler gave up because the client was gone.
func post(ctx context.Context, s *Server, path, body string) (status int, answer string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(body)).WithContext(ctx)
	r.Header = credentials(nil)
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			status = 0
		}
	}()
	s.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// inBubble runs fn with a stand-in of the default capacity in virtual time.
func inBubble(t *testing.T, change func(*Config), fn func(t *testing.T, s *Server)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := Config{Dir: dir, Seed: 1}
		if change != nil {
			change(&c)
		}
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		fn(t, s)
	})
}

// 27 servers of 200 ms serve 27/0.2 = 135 creations a second when there is always one waiting, and by Little's law
// N callers see N/135 s each.
func TestSaturatedThroughputIsTheModels(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		const callers, seconds = 100, 20
		start := time.Now()
		var mu sync.Mutex
		var done int
		var total time.Duration
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for time.Since(start) < seconds*time.Second {
					began := time.Now()
					if status, body := post(t.Context(), s, "/1.0/kb/accounts", `{}`); status != http.StatusCreated {
						t.Errorf("%d %s", status, body)
						return
					}
					mu.Lock()
					done++
					total += time.Since(began)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		rate := float64(done) / time.Since(start).Seconds()
		// Standard error of the mean service time: 0.3/sqrt(2700) = 0.6 %; the run's two ends cost at most a call each.
		if rate < 135*0.96 || rate > 135*1.04 {
			t.Errorf("%.1f creations/s, want about 135", rate)
		}
		mean := total.Seconds() / float64(done)
		if want := callers / 135.0; mean < want*0.94 || mean > want*1.06 {
			t.Errorf("mean response %.0f ms, want about %.0f", mean*1e3, want*1e3)
		}
	})
}

// One caller alone sees the service time: 200 ms for a creation, 2 ms for its tag.
func TestUnloadedCallsCostWhatTheModelSays(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		const n = 400
		var sum, squares float64
		for range n {
			start := time.Now()
			post(t.Context(), s, "/1.0/kb/accounts", `{}`)
			ms := float64(time.Since(start)) / 1e6
			sum, squares = sum+ms, squares+ms*ms
		}
		mean := sum / n
		cv := math.Sqrt(squares/n-mean*mean) / mean
		if mean < 190 || mean > 210 || cv < 0.25 || cv > 0.35 { // standard error of the mean: 3 ms
			t.Errorf("creation: mean %.1f ms, cv %.2f; want 200 and 0.3", mean, cv)
		}
		start := time.Now()
		if status, _ := post(t.Context(), s, "/1.0/kb/accounts", `{"externalKey":"k"}`); status != 201 {
			t.Fatal(status)
		}
		first := time.Since(start)
		start = time.Now()
		if status, _ := post(t.Context(), s, "/1.0/kb/accounts", `{"externalKey":"k"}`); status != 409 {
			t.Fatal(status)
		}
		if refused := time.Since(start); refused > first/10 {
			t.Errorf("a duplicate held its slot for %v, a creation for %v", refused, first)
		}
	})
}

func TestBeyondTheQueueIsRefusedWithABody(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *Server) {
		var wg sync.WaitGroup
		for range 27 + 100 {
			wg.Go(func() {
				if status, body := post(t.Context(), s, "/1.0/kb/accounts", `{}`); status != 201 {
					t.Errorf("%d %s", status, body)
				}
			})
		}
		synctest.Wait()
		if busy, queued := s.slots.load(); busy != 27 || queued != 100 {
			t.Errorf("busy %d, queued %d; want 27 and 100", busy, queued)
		}
		start := time.Now()
		status, body := post(t.Context(), s, "/1.0/kb/accounts", `{}`)
		if status != 503 || !strings.Contains(body, `"className"`) || !strings.Contains(body, "27 calls in service and 100 waiting") || time.Since(start) != 0 {
			t.Errorf("%d %q after %v, want an immediate 503 with a JSON body", status, body, time.Since(start))
		}
		wg.Wait()
		if busy, queued := s.slots.load(); busy != 0 || queued != 0 {
			t.Errorf("afterwards busy %d, queued %d", busy, queued)
		}
	})
}

func TestSlotsAreFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 50)
		if err := s.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 50 {
			go func() {
				if err := s.acquire(t.Context()); err != nil {
					t.Error(err)
				}
				order = append(order, i) // only the holder of the one slot gets here
				s.release()
			}()
			synctest.Wait() // it is in line before the next one comes
		}
		var full errFull
		if err := s.acquire(t.Context()); !errors.As(err, &full) {
			t.Errorf("51st waiter: %v", err)
		}
		s.release()
		synctest.Wait()
		if len(order) != 50 || !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}

func TestAClientThatLeavesTheLineFreesItsPlace(t *testing.T) {
	inBubble(t, func(c *Config) { c.Slots, c.Queue = 1, 1 }, func(t *testing.T, s *Server) {
		var wg sync.WaitGroup
		wg.Go(func() { post(t.Context(), s, "/1.0/kb/accounts", `{"externalKey":"served"}`) })
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		wg.Go(func() {
			if status, _ := post(ctx, s, "/1.0/kb/accounts", `{"externalKey":"left"}`); status != 0 {
				t.Errorf("the client that left got %d", status)
			}
		})
		synctest.Wait()
		if status, _ := post(t.Context(), s, "/1.0/kb/accounts", `{}`); status != 503 {
			t.Fatalf("line of one is full, got %d", status)
		}
		leave()
		synctest.Wait()
		wg.Go(func() {
			if status, _ := post(t.Context(), s, "/1.0/kb/accounts", `{"externalKey":"after"}`); status != 201 {
				t.Errorf("the place was not freed: %d", status)
			}
		})
		wg.Wait()
		for key, want := range map[string]bool{"served": true, "left": false, "after": true} {
			a, err := s.store.accountByKey(t.Context(), tenantID(t, s), key)
			if (err == nil) != want {
				t.Errorf("account %q: %v %v", key, a, err)
			}
		}
	})
}

// As a servlet does, a call that has its slot goes on when its client leaves, and keeps the slot.
func TestAClientThatLeavesInServiceChangesNothing(t *testing.T) {
	inBubble(t, func(c *Config) { c.Slots = 1 }, func(t *testing.T, s *Server) {
		ctx, leave := context.WithCancel(t.Context())
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { post(ctx, s, "/1.0/kb/accounts", `{"externalKey":"kept"}`) })
		synctest.Wait()
		leave()
		synctest.Wait()
		if busy, _ := s.slots.load(); busy != 1 {
			t.Error("the slot was given up")
		}
		wg.Wait()
		if _, err := s.store.accountByKey(t.Context(), tenantID(t, s), "kept"); err != nil || time.Since(start) < 50*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// tenantID returns the default tenant's id.
func tenantID(t *testing.T, s *Server) string {
	t.Helper()
	tn, err := s.store.tenantBy(t.Context(), "api_key", "bob")
	if err != nil {
		t.Fatal(err)
	}
	return tn.id
}

func TestGrowingQueueIsUnhealthy(t *testing.T) {
	inBubble(t, func(c *Config) { c.Slots, c.ServiceTime, c.CV = 1, time.Minute, 0.001 }, func(t *testing.T, s *Server) {
		health := func() (int, string) {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/1.0/healthcheck", nil))
			return w.Code, w.Body.String()
		}
		time.Sleep(70 * time.Second)
		if status, body := health(); status != 200 || !strings.Contains(body, `KillbillQueuesHealthcheck":{"healthy":true}`) {
			t.Fatalf("idle: %d %s", status, body)
		}
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 90 { // 1.5 a second for a minute: a slope of 0.15, where 0.1 is too much
			wg.Go(func() { post(ctx, s, "/1.0/kb/accounts", `{}`) })
			time.Sleep(time.Second * 2 / 3)
		}
		if status, body := health(); status != 500 || !strings.Contains(body, "Growing queues: bus (0.1") {
			t.Errorf("growing: %d %s", status, body)
		}
		leave()
		time.Sleep(3 * time.Minute)
		if status, body := health(); status != 200 {
			t.Errorf("drained: %d %s", status, body)
		}
		wg.Wait()
	})
}
