package drive

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

func fixed(t testing.TB, rate float64, d time.Duration) *schedule.Plan {
	t.Helper()
	p, err := schedule.Fixed(rate, d, schedule.Constant, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func planOf(stages ...schedule.Stage) *schedule.Plan { return &schedule.Plan{Stages: stages, Seed: 3} }

func TestEveryArrivalOfThePlanIsOffered(t *testing.T) {
	for name, plan := range map[string]*schedule.Plan{
		"constant": fixed(t, 40, 10*time.Second),
		"ramp":     planOf(schedule.Stage{From: 0, To: 100, For: 7 * time.Second}, schedule.Stage{From: 20, To: 5, For: 3 * time.Second}),
		"part":     {Stages: []schedule.Stage{{From: 40, To: 40, For: 10 * time.Second}}, Part: 1, Parts: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := stub(t, delayed(30*time.Millisecond))
				e := engine(t, Config{dial: m.dial})
				began := time.Now()
				tally, sums := drive(t, t.Context(), e, Load{Plan: plan}, recorder(get("/")))
				if tally.Journeys != plan.Count() || sums.OK != plan.Count() || tally.Dropped != 0 {
					t.Errorf("%+v, %d good; the plan owes %d", tally, sums.OK, plan.Count())
				}
				if took := time.Since(began); took < plan.Length() || took > plan.Length()+31*time.Millisecond {
					t.Errorf("took %v of a plan of %v", took, plan.Length())
				}
				if sums.LagP99Ms == nil || *sums.LagP99Ms > 0.01 {
					t.Errorf("schedule lag %v ms in virtual time", sums.LagP99Ms)
				}
			})
		})
	}
}

// A service that freezes for 5 s: users who came meanwhile waited up to 5 s, and no arrival is left out to make it look better.
func TestAFrozenTargetShowsInTheTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		m := stub(t, func(http.ResponseWriter, *http.Request) {
			if at := time.Since(began); at >= 10*time.Second && at < 15*time.Second {
				time.Sleep(15*time.Second - at)
			}
			time.Sleep(10 * time.Millisecond)
		})
		e := engine(t, Config{dial: m.dial})
		plan := fixed(t, 50, 30*time.Second)
		tally, sums := drive(t, t.Context(), e, Load{Plan: plan}, recorder(get("/")))
		// 250 of 1500 arrivals fall into the freeze, waiting evenly between 0 and 5 s: the slowest hundredth, 15 of 250,
		// waited longer than 5·(1 − 15/250) = 4.7 s; half of all never noticed.
		if p99 := *sums.Latency.P99Ms; !near(p99, 4710, 60) {
			t.Errorf("p99 %.0f ms, want 4710", p99)
		}
		if p50, most := *sums.Latency.P50Ms, *sums.Latency.MaxMs; !near(p50, 10, 1) || !near(most, 5010, 10) {
			t.Errorf("p50 %.1f ms and max %.1f ms, want 10 and 5010", p50, most)
		}
		if tally.Journeys != 1500 || sums.OK != 1500 {
			t.Errorf("%+v; want all 1500", tally)
		}
	})
}

// captest itself stalls for 2 s (the ledger's disk hangs). The arrivals of those seconds are sent late, all at once when it is
// over; their lateness is recorded, and is in the response time but not in the service time.
func TestOwnStallIsLagAndNotTheTargetsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var arrived []time.Duration
		began := time.Now()
		m := stub(t, func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			arrived = append(arrived, time.Since(began))
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		})
		stall := func(record.LedgerBlock) error {
			if time.Since(began) < time.Second {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		s := get("/")
		e := engine(t, Config{dial: m.dial, Scenario: s, Identity: NewIdentity(1, "s", stall)})

		folder, err := record.Create(t.TempDir(), "s", "stub", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"get"}, Folder: folder})
		rec.Enter(record.Mark{Trial: 0, Phase: "test"})
		tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 50, 4*time.Second)}, rec)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rec.Run(ctx) // writes the frames
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
		run, err := record.Read(folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		service := record.Summarise(run).Steps["get"].ServiceMs

		if tally.Journeys != 200 || len(arrived) != 200 {
			t.Fatalf("%+v, %d arrived; want 200", tally, len(arrived))
		}
		atOnce := 0
		for _, at := range arrived {
			if at >= 2*time.Second && at < 2*time.Second+5*time.Millisecond {
				atOnce++
			}
		}
		if atOnce < 100 || atOnce > 101 {
			t.Errorf("%d arrived right after the stall, want the 100 it delayed", atOnce)
		}
		if lag := *sums.LagP99Ms; !near(lag, 1970, 30) {
			t.Errorf("p99 of the lag %.0f ms, want about 1970", lag)
		}
		if response := *sums.Latency.P99Ms; !near(response, 1980, 30) {
			t.Errorf("p99 of the response time %.0f ms, want about 1980", response)
		}
		if service.Max == nil || !near(*service.Max, 10, 1) {
			t.Errorf("longest service time %v ms, want 10", *service.Max)
		}
	})
}

func TestArrivalsBeyondTheCapAreDroppedNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var peak, now atomic.Int64
		m := stub(t, func(_ http.ResponseWriter, r *http.Request) {
			if n := now.Add(1); n > peak.Load() {
				peak.Store(n)
			}
			defer now.Add(-1)
			select {
			case <-time.After(1050 * time.Millisecond):
			case <-r.Context().Done():
			}
		})
		e := engine(t, Config{dial: m.dial})
		// Ten arrivals a second that take 1.05 s each, five at a time: 5 go at 0.0–0.4 s and are back at 1.05–1.45 s, when the next
		// five go, at 1.1–1.5 s; so 5 of the arrivals 0.0–1.0 s, 5 of 1.1–2.1 s, and so on in rounds of 11.
		tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 10, 6600*time.Millisecond), InFlightCap: 5}, recorder(get("/")))
		if tally.Journeys != 30 || tally.Dropped != 36 || sums.Dropped != 36 || sums.OK != 30 {
			t.Errorf("%+v, recorded %d good and %d dropped; want 30 and 36", tally, sums.OK, sums.Dropped)
		}
		if peak.Load() != 5 {
			t.Errorf("%d in flight at most, want 5", peak.Load())
		}
		if most := *sums.Latency.MaxMs; !near(most, 1050, 2) {
			t.Errorf("max %.0f ms: an arrival was delayed", most)
		}
	})
}

func TestOpenLoadUsesAsFewConnectionsAsItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(100*time.Millisecond))
		e := httpEngine(t, Config{dial: m.dial})
		rec := recorder(get("/"))
		// 20 per second of 0.1 s each keep two in flight.
		_, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 20, 10*time.Second)}, rec)
		if sums.OK != 200 || len(e.users) > 3 {
			t.Errorf("%d good on %d users, want 200 on 2 or 3", sums.OK, len(e.users))
		}
	})
}

func TestCancelEndsAnOpenLoadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		e := engine(t, Config{dial: m.dial})
		ctx, cancel := context.WithTimeout(t.Context(), 1050*time.Millisecond)
		defer cancel()
		began := time.Now()
		tally, sums := drive(t, ctx, e, Load{Plan: fixed(t, 10, time.Minute)}, recorder(get("/")))
		if time.Since(began) != 1050*time.Millisecond || sums.Errors["canceled"] != 11 || tally.Stragglers != 11 {
			t.Errorf("after %v: %+v, errors %v; want 11 cancelled at 1.05s", time.Since(began), tally, sums.Errors)
		}
	})
}

func TestALedgerThatFailsEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Millisecond))
		full := func(b record.LedgerBlock) error {
			if b.From > 0 {
				return errFull
			}
			return nil
		}
		for _, load := range []Load{{Users: 3, For: time.Hour}, {Plan: fixed(t, 10, time.Hour)}} {
			e := engine(t, Config{dial: m.dial, Identity: NewIdentity(1, "s", full)})
			began := time.Now()
			tally, err := e.Drive(t.Context(), load, recorder(get("/")))
			if err == nil || tally.Journeys > 100 || time.Since(began) > time.Minute {
				t.Errorf("%+v, error %v, after %v; want an end after at most 100 journeys", tally, err, time.Since(began))
			}
		}
	})
}
