package drive

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/scenarios"
)

func TestClosedLoadOfNUsersAndDelayDCompletesNOverD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(200*time.Millisecond))
		e := engine(t, Config{dial: m.dial})
		rec := recorder(get("/"))
		began := time.Now()
		tally, sums := drive(t, t.Context(), e, Load{Users: 10, For: 20 * time.Second}, rec)
		// 10 users / 0.2 s = 50 per second, for 20 s; the journeys that start at 19.8 s end at 20.0 s.
		if tally.Journeys < 1000 || tally.Journeys > 1010 || sums.OK != tally.Journeys {
			t.Errorf("%d journeys, %d good; want 1000 (or 10 more, begun at the last instant)", tally.Journeys, sums.OK)
		}
		if p50 := *sums.Latency.P50Ms; !near(p50, 200, 1) {
			t.Errorf("median %.1f ms, want 200", p50)
		}
		if took := time.Since(began); took > 20200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if !near(sums.InFlightMean, 10, 0.2) {
			t.Errorf("in flight %.2f on average, want 10", sums.InFlightMean)
		}
		if tally.LastSent < 19*time.Second || tally.LastSent > 20*time.Second {
			t.Errorf("last request sent at %v", tally.LastSent)
		}
		if s := rec.Snapshot(); s == nil {
			t.Error("no snapshot")
		}
	})
}

func TestTotalIsExactEvenWhenSomeFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hits atomic.Int64
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			n := hits.Add(1)
			time.Sleep(time.Duration(n%7) * time.Millisecond)
			if n%3 == 0 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		e := engine(t, Config{dial: m.dial})
		tally, sums := drive(t, t.Context(), e, Load{Users: 20, Total: 100}, recorder(get("/")))
		if hits.Load() != 100 || tally.Journeys != 100 || sums.N != 100 {
			t.Errorf("%d requests arrived, %d journeys, %d samples; want 100 of each", hits.Load(), tally.Journeys, sums.N)
		}
		if tally.Failed != 33 || sums.Errors["status"] != 33 {
			t.Errorf("%d failed, errors %v; want 33 of status", tally.Failed, sums.Errors)
		}
		// The same engine again, fewer journeys than users.
		if tally, _ := drive(t, t.Context(), e, Load{Users: 20, Total: 7}, recorder(get("/"))); tally.Journeys != 7 || hits.Load() != 107 {
			t.Errorf("%d journeys, %d arrived in all; want 7 and 107", tally.Journeys, hits.Load())
		}
	})
}

func TestWhatIsInFlightAtTheEndFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(3*time.Second))
		e := engine(t, Config{dial: m.dial})
		began := time.Now()
		tally, sums := drive(t, t.Context(), e, Load{Users: 4, For: 4 * time.Second}, recorder(get("/")))
		if tally.Journeys != 8 || sums.OK != 8 || tally.Stragglers != 0 || time.Since(began) != 6*time.Second {
			t.Errorf("%+v, %d good, after %v; want 8 journeys after 6s", tally, sums.OK, time.Since(began))
		}
	})
}

func TestGraceEndsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		e := engine(t, Config{dial: m.dial})
		began := time.Now()
		tally, sums := drive(t, t.Context(), e, Load{Users: 4, For: time.Second, Grace: 2 * time.Second}, recorder(get("/")))
		if tally.Stragglers != 4 || tally.Journeys != 0 || sums.Errors["canceled"] != 4 || time.Since(began) != 3*time.Second {
			t.Errorf("%+v, errors %v, after %v; want 4 cancelled after 3s", tally, sums.Errors, time.Since(began))
		}
	})
}

func TestCancelEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		e := engine(t, Config{dial: m.dial})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		began := time.Now()
		tally, sums := drive(t, ctx, e, Load{Users: 5, For: time.Minute}, recorder(get("/")))
		if time.Since(began) != 1500*time.Millisecond || sums.Errors["canceled"] != 5 || tally.Stragglers != 5 {
			t.Errorf("after %v: %+v, errors %v; want 5 cancelled at 1.5s", time.Since(began), tally, sums.Errors)
		}
	})
}

func TestADeadTargetIsNotBusilyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		refuse := func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		e := engine(t, Config{dial: refuse})
		tally, sums := drive(t, t.Context(), e, Load{Users: 10, For: 10 * time.Second}, recorder(get("/")))
		// At 125–250 ms between two attempts, 10 users make 400 to 800 in 10 s, and a few more on the way there.
		if n := dials.Load(); n < 300 || n > 1000 {
			t.Errorf("%d dials in 10 s, want 400 to 900", n)
		}
		if sums.Errors["refused"] != sums.N || sums.N != tally.Failed {
			t.Errorf("%d samples, errors %v, %d journeys failed", sums.N, sums.Errors, tally.Failed)
		}
		if p99 := *sums.Latency.P99Ms; p99 > 1 {
			t.Errorf("the pause is in the latency: p99 %.1f ms", p99)
		}
	})
}

// A target that answers, if only with 500, sets the pace itself.
func TestErrorAnswersAreNotSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Millisecond)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		e := engine(t, Config{dial: m.dial})
		_, sums := drive(t, t.Context(), e, Load{Users: 1, For: time.Second}, recorder(get("/")))
		if sums.N < 1000 || sums.N > 1001 {
			t.Errorf("%d answers of 1 ms in 1 s, want 1000", sums.N)
		}
	})
}

func TestThinkingIsNotMeasuredAndDoesNotHoldTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(100*time.Millisecond))
		s := get("/")
		s.Steps[0].Think = 900 * time.Millisecond
		e := engine(t, Config{dial: m.dial, Scenario: s})
		began := time.Now()
		tally, sums := drive(t, t.Context(), e, Load{Users: 2, For: 2500 * time.Millisecond}, recorder(s))
		if tally.Journeys != 6 || !near(*sums.Latency.MaxMs, 100, 1) || time.Since(began) != 2500*time.Millisecond {
			t.Errorf("%+v, max %.1f ms, after %v; want 6 journeys of 100 ms, ended at 2.5s", tally, *sums.Latency.MaxMs, time.Since(began))
		}
	})
}

func TestAStepTimeoutIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		s := get("/")
		s.Steps[0].Timeout = 2 * time.Second
		e := engine(t, Config{dial: m.dial, Scenario: s})
		tally, sums := drive(t, t.Context(), e, Load{Users: 3, Total: 6}, recorder(s))
		if sums.Errors["timeout"] != 6 || tally.Failed != 6 || !near(*sums.Latency.MaxMs, 2000, 3) {
			t.Errorf("%+v, errors %v, max %.0f ms; want 6 timeouts of 2 s", tally, sums.Errors, *sums.Latency.MaxMs)
		}
	})
}

func TestLoadsThatSayNothingOrTwoThingsAreRefused(t *testing.T) {
	e := engine(t, Config{})
	rec := recorder(get("/"))
	plan := fixed(t, 1, time.Second)
	for name, l := range map[string]Load{
		"empty":            {},
		"users forever":    {Users: 1},
		"users and plan":   {Users: 1, Plan: plan},
		"plan and total":   {Plan: plan, Total: 1},
		"negative users":   {Users: -1},
		"negative length":  {Users: 1, For: -1},
		"plan of no sense": {Plan: planOf()},
	} {
		if _, err := e.Drive(t.Context(), l, rec); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestASecondLoadAtTheSameTimeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Second))
		e := engine(t, Config{dial: m.dial, Scenario: &scenarios.Scenario{Name: "s", Steps: get("/").Steps}})
		done := make(chan error)
		go func() {
			_, err := e.Drive(t.Context(), Load{Users: 1, Total: 1}, recorder(get("/")))
			done <- err
		}()
		synctest.Wait()
		if _, err := e.Drive(t.Context(), Load{Users: 1, Total: 1}, recorder(get("/"))); err == nil {
			t.Error("two loads at once")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
