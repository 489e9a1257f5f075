package userservice

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
)

func TestAnOpenBreakerRefusesBeforeAnyHashIsComputed(t *testing.T) {
	k := knobs()
	k.Breaker, k.BreakerOpen = 5, time.Hour
	f := start(t, k)
	f.billing.fail(502)
	for i := range 5 {
		if status, _ := f.register(t, fmt.Sprintf("%d@load.example", i)); status != 502 {
			t.Fatalf("failure %d: %d", i, status)
		}
	}
	hashes, calls := f.metric(t, "hashes_total"), f.billing.calls.Load()
	status, head, _ := f.ask(t, "POST", "/auth/register", form("late@load.example"))
	if status != http.StatusServiceUnavailable || head.Get("Retry-After") == "" {
		t.Errorf("breaker open: %d", status)
	}
	if got := f.metric(t, "hashes_total"); got != hashes {
		t.Errorf("%v hashes were computed for a refused registration", got-hashes)
	}
	if f.billing.calls.Load() != calls {
		t.Error("billing was called through an open breaker")
	}
	if state := f.metric(t, `circuit_breaker_state{downstream="billing"}`); state != 2 {
		t.Errorf("circuit_breaker_state = %v, want 2", state)
	}
	if shed := f.metric(t, `requests_shed_total{reason="breaker"}`); shed != 1 {
		t.Errorf("requests_shed_total = %v, want 1", shed)
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 503} {
		if status, _, _ := f.ask(t, "GET", path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

func TestTheBreakerClosesOnceBillingIsWell(t *testing.T) {
	k := knobs()
	k.Breaker, k.BreakerOpen = 1, 50*time.Millisecond
	f := start(t, k)
	f.billing.fail(502)
	f.register(t, "ada@load.example")
	f.billing.instead.Store(nil)
	eventually(t, "a registration get through", func() bool {
		status, _ := f.register(t, "ada@load.example")
		return status == http.StatusCreated
	})
	if state := f.metric(t, `circuit_breaker_state{downstream="billing"}`); state != 0 {
		t.Errorf("circuit_breaker_state = %v, want 0", state)
	}
}

// With the hash on the loop, all of bcrypt's time is loop time; with the pool, next to none of it is. The two clocks are
// compared with each other, so the speed of the machine does not matter.
func TestWhereTheHashRunsDecidesWhetherTheLoopIsBusy(t *testing.T) {
	for _, where := range []string{kit.OnLoop, kit.InPool} {
		t.Run(where, func(t *testing.T) {
			k := knobs()
			k.Hash, k.Workers, k.HashCost = where, 1, 9
			f := start(t, k)
			decoy := f.metric(t, "hash_seconds_total")
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					if status, _, _, err := f.request(t.Context(), "POST", "/auth/register", form(fmt.Sprintf("%d@load.example", i))); err != nil || status != 201 {
						t.Errorf("register: %d %v", status, err)
					}
				})
			}
			wg.Wait()
			hashing := f.metric(t, "hash_seconds_total") - decoy
			busy := f.metric(t, `event_loop_busy_seconds_total{worker="0"}`)
			if onLoop := busy >= hashing; onLoop != (where == kit.OnLoop) {
				t.Errorf("hashing took %.3f s, the loop was busy for %.3f s", hashing, busy)
			}
		})
	}
}

func TestAFullHashQueueSheds(t *testing.T) {
	k := knobs()
	k.HashPool, k.HashQueue, k.HashCost = 1, 1, 10
	f := start(t, k)
	var wg sync.WaitGroup
	statuses := make(chan int, 8)
	for i := range 8 {
		wg.Go(func() {
			status, _, _, err := f.request(t.Context(), "POST", "/auth/register", form(fmt.Sprintf("%d@load.example", i)))
			if err != nil {
				t.Error(err)
			}
			statuses <- status
		})
	}
	wg.Wait()
	close(statuses)
	made, shed := 0, 0
	for s := range statuses {
		switch s {
		case 201:
			made++
		case 503:
			shed++
		default:
			t.Errorf("status %d", s)
		}
	}
	if made == 0 || shed == 0 || f.metric(t, `requests_shed_total{reason="hash_queue"}`) != float64(shed) {
		t.Errorf("%d made, %d shed", made, shed)
	}
	if _, active := f.rows(t); active != made {
		t.Errorf("%d customers for %d answers of 201", active, made)
	}
}
