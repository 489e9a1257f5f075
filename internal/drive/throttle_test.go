package drive

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/schedule"
)

// guests counts who is at a stub, and when they came.
type guests struct {
	stay time.Duration

	mu        sync.Mutex
	now, most int
	came      []time.Time
}

func (g *guests) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.now++
	g.most = max(g.most, g.now)
	g.came = append(g.came, time.Now())
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.now--
		g.mu.Unlock()
	}()
	select {
	case <-time.After(g.stay):
	case <-r.Context().Done():
	}
}

// between says how many came in a stretch of time.
func (g *guests) between(from, to time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, at := range g.came {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// peak over a while, counted anew.
func (g *guests) peak(d time.Duration) int {
	g.mu.Lock()
	g.most = g.now
	g.mu.Unlock()
	time.Sleep(d)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// under runs a load in the background: tally waits for its end, end brings it about.
func under(t *testing.T, e Engine, load Load) (tally, end func() Tally) {
	t.Helper()
	rec := recorder(get("/"))
	done := make(chan Tally, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		x, err := e.Drive(ctx, load, rec)
		if err != nil {
			t.Error(err)
		}
		done <- x
	}()
	for deadline := time.Now().Add(10 * time.Second); load.Control != nil; time.Sleep(time.Millisecond) {
		if _, ok := load.Control.Standing(); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the load did not begin")
		}
	}
	tally = func() Tally { return <-done }
	return tally, func() Tally { cancel(); return <-done }
}

// eventually waits for something that must come.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestUsersComeAndGoWhileTheLoadRuns(t *testing.T) {
	g := &guests{stay: 20 * time.Millisecond}
	e := engine(t, Config{Target: onReal(t, g), Loops: 2})
	c := &Throttle{}
	_, end := under(t, e, Load{Users: 2, For: time.Hour, Control: c})
	for _, step := range []struct{ by, want int }{{0, 2}, {5, 7}, {-4, 3}, {-10, 1}, {11, 12}} {
		if _, after, ok := c.AddUsers(step.by); !ok || after != step.want {
			t.Fatalf("%+d users: %d, %v; want %d", step.by, after, ok, step.want)
		}
		// A machine that stalls may see fewer for a while, never more.
		eventually(t, "as many users as asked for", func() bool { return g.peak(60*time.Millisecond) == step.want })
		if n := g.peak(100 * time.Millisecond); n > step.want {
			t.Errorf("%d at once, want %d", n, step.want)
		}
		if now, ok := c.Standing(); !ok || now.Users != step.want || now.Held {
			t.Errorf("standing %+v, want %d users", now, step.want)
		}
	}
	if _, _, ok := c.AddRate(1); ok {
		t.Error("a closed load has no rate")
	}
	c.Hold(true)
	eventually(t, "nobody while held", func() bool { return g.peak(0) == 0 })
	if n := g.peak(100 * time.Millisecond); n != 0 {
		t.Errorf("%d came while held", n)
	}
	c.Hold(false)
	eventually(t, "all of them back", func() bool { return g.peak(60*time.Millisecond) == 12 })
	end()
}

// A user that was sent to rest has its setup still: it is not sent again.
func TestUsersComeBackWithWhatSetupGaveThem(t *testing.T) {
	var setups, strangers atomic.Int64
	s := scenario(t, `
name: back
setup:
  - name: hello
    request: {path: /hello}
    capture: {key: header.X-Key}
steps:
  - name: work
    request: {path: /work, headers: {X-Key: "{{key}}"}}
`)
	e := engine(t, Config{Scenario: s, Loops: 1, Target: onReal(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hello" {
			setups.Add(1)
			w.Header().Set("X-Key", "k")
		} else if r.Header.Get("X-Key") != "k" {
			strangers.Add(1)
		}
		time.Sleep(2 * time.Millisecond)
	}))})
	c := &Throttle{}
	_, end := under(t, e, Load{Users: 4, For: time.Hour, Control: c})
	eventually(t, "four setups", func() bool { return setups.Load() == 4 })
	for range 5 {
		c.AddUsers(-3)
		time.Sleep(20 * time.Millisecond)
		c.AddUsers(3)
		time.Sleep(20 * time.Millisecond)
	}
	end()
	if setups.Load() != 4 || strangers.Load() != 0 {
		t.Errorf("%d setups, %d requests without what setup gave; want 4 and none", setups.Load(), strangers.Load())
	}
}

// A total is exact however the number of users moves, and ends the load even when most of them rest.
func TestTotalIsExactWhileUsersComeAndGo(t *testing.T) {
	g := &guests{stay: time.Millisecond}
	e := engine(t, Config{Target: onReal(t, g), Loops: 2})
	c := &Throttle{}
	end, _ := under(t, e, Load{Users: 8, Total: 300, Control: c})
	for _, by := range []int{-7, 3, -3, 20, -20} {
		c.AddUsers(by)
		time.Sleep(5 * time.Millisecond)
	}
	if x := end(); x.Journeys != 300 || len(g.came) != 300 {
		t.Errorf("%+v, %d came; want 300", x, len(g.came))
	}
	if _, _, ok := c.AddUsers(1); ok {
		t.Error("a load that is over was changed")
	}
}

// While a load is held no arrival comes; afterwards they come at the plan's pace, none of them twice as fast or late.
func TestAHeldScheduleIsShiftedNotOwed(t *testing.T) {
	const rate, length, hold = 100, 2 * time.Second, 700 * time.Millisecond
	g := &guests{}
	e := engine(t, Config{Target: onReal(t, g), Loops: 2})
	c := &Throttle{}
	rec := recorder(get("/"))
	done := make(chan Tally, 1)
	began := time.Now()
	go func() {
		x, err := e.Drive(t.Context(), Load{Plan: fixed(t, rate, length), Control: c}, rec)
		if err != nil {
			t.Error(err)
		}
		done <- x
	}()
	time.Sleep(time.Second)
	if !c.Hold(true) || c.Hold(true) {
		t.Error("it was held already, or not")
	}
	time.Sleep(50 * time.Millisecond) // more than a poll
	from := time.Now()
	time.Sleep(hold - 50*time.Millisecond)
	if n := g.between(from, time.Now()); n != 0 {
		t.Errorf("%d arrivals while held", n)
	}
	let := time.Now()
	c.Hold(false)
	x := <-done
	if took := time.Since(began); took < length+hold {
		t.Errorf("it ended after %v, before its %v and the hold of %v were over", took, length, hold)
	}
	if x.Journeys != rate*2 || x.Dropped != 0 {
		t.Errorf("%+v, want all %d", x, rate*2)
	}
	// An unshifted schedule would send the 70 arrivals of the hold at once.
	if n := g.between(let, let.Add(100*time.Millisecond)); n > 40 {
		t.Errorf("%d arrivals in the first 100 ms after the hold, want 10", n)
	}
	if most := *rec.Cut().Latency.MaxMs; most > float64(hold.Milliseconds())-100 {
		t.Errorf("max %.0f ms: the hold is in the response times", most)
	}
}

func TestTwiceTheRateTwiceTheArrivals(t *testing.T) {
	g := &guests{}
	e := engine(t, Config{Target: onReal(t, g), Loops: 2})
	c := &Throttle{}
	end, _ := under(t, e, Load{Plan: fixed(t, 100, 2*time.Second), Control: c})
	time.Sleep(time.Second)
	before, after, ok := c.AddRate(1)
	now, _ := c.Standing()
	if !ok || !near(before, 100, 1e-6) || !near(after, 200, 1e-6) || !near(now.RatePerSecond, 200, 1e-6) {
		t.Errorf("from %v to %v, standing %+v; want from 100 to 200", before, after, now)
	}
	x := end()
	// 100 a second until the change, 200 after it, whenever it came.
	if want := 100*now.Elapsed.Seconds() + 200*(2-now.Elapsed.Seconds()); !near(float64(x.Journeys), want, 3) {
		t.Errorf("%d journeys, want %.0f", x.Journeys, want)
	}
	if _, _, ok := c.AddUsers(1); ok {
		t.Error("an open load has no users to add")
	}
}

func TestUsersFollowTheirRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guests{stay: 100 * time.Millisecond}
		m := stub(t, g.ServeHTTP)
		e := engine(t, Config{dial: m.dial})
		began := time.Now()
		ramp := &schedule.Ramp{Stages: []schedule.RampStage{{Users: 10, For: 10 * time.Second}, {Users: 10, For: 5 * time.Second}, {Users: 0, For: 5 * time.Second}}}
		tally, sums := drive(t, t.Context(), e, Load{Ramp: ramp}, recorder(get("/")))
		// 10 journeys a second of each user; 50 + 50 + 25 user-seconds. Each of 10 users may finish one journey beyond its end.
		if tally.Journeys < 1240 || tally.Journeys > 1270 || sums.OK != tally.Journeys {
			t.Errorf("%d journeys, want 1250", tally.Journeys)
		}
		for _, x := range []struct {
			at, want int // s; users
		}{{0, 1}, {3, 4}, {12, 10}, {17, 5}} { // half way through the second, by when n + ½ is just reached
			from := began.Add(time.Duration(x.at)*time.Second + 550*time.Millisecond)
			if n := g.between(from, from.Add(100*time.Millisecond)); n != x.want {
				t.Errorf("%d came in a tenth of a second after %v, want %d", n, from.Sub(began), x.want)
			}
		}
		if took := time.Since(began); took > 20200*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// A machine that stalls on the way up or at the top may flatten one ramp, not four; more users than asked for, or an end before its
// time, it cannot make.
func TestRampOnRealSockets(t *testing.T) {
	for attempt := 1; ; attempt++ {
		g := &guests{stay: 10 * time.Millisecond}
		e := engine(t, Config{Target: onReal(t, g), Loops: 2})
		began := time.Now()
		ramp := &schedule.Ramp{Stages: []schedule.RampStage{{Users: 8, For: 800 * time.Millisecond}, {Users: 0, For: 800 * time.Millisecond}}}
		_, sums := drive(t, t.Context(), e, Load{Ramp: ramp}, recorder(get("/")))
		if g.most > 8 || sums.OK != sums.N || time.Since(began) < 1600*time.Millisecond {
			t.Fatalf("%d at once, want at most 8; %d of %d good after %v", g.most, sums.OK, sums.N, time.Since(began))
		}
		early, top := g.between(began, began.Add(150*time.Millisecond)), g.between(began.Add(700*time.Millisecond), began.Add(850*time.Millisecond))
		if g.most >= 5 && early*2 <= top {
			return
		}
		if attempt == 4 {
			t.Fatalf("%d at once, want 8; %d came in the first 150 ms and %d at the top: no ramp", g.most, early, top)
		}
	}
}

// Holds of a closed load and of its ramp stop the load's clock too; in virtual time, to the millisecond.
func TestAHoldStopsTheLoadsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(100*time.Millisecond))
		for name, load := range map[string]Load{
			"closed": {Users: 2, For: 4 * time.Second},
			"ramp":   {Ramp: &schedule.Ramp{Stages: []schedule.RampStage{{Users: 4, For: 4 * time.Second}}}},
			"open":   {Plan: fixed(t, 20, 4*time.Second)},
		} {
			e := engine(t, Config{dial: m.dial})
			load.Control = &Throttle{}
			began := time.Now()
			go func() {
				time.Sleep(1950 * time.Millisecond)
				load.Control.Hold(true)
				time.Sleep(10 * time.Second)
				load.Control.Hold(false)
			}()
			tally, sums := drive(t, t.Context(), e, load, recorder(get("/")))
			if took := time.Since(began) - 14*time.Second; took < 0 || took > 101*time.Millisecond {
				t.Errorf("%s: took %v more than 14 s", name, took)
			}
			if tally.Journeys < 78 || tally.Journeys > 86 || *sums.Latency.MaxMs > 110 {
				t.Errorf("%s: %+v, max %v ms; want about 80 of 100 ms", name, tally, *sums.Latency.MaxMs)
			}
			if sums.LagP99Ms != nil && *sums.LagP99Ms > 0.01 {
				t.Errorf("%s: schedule lag %v ms", name, *sums.LagP99Ms)
			}
		}
	})
}

// With a bound on connections nothing is dropped: what waits is late, and timed from when it was due.
func TestArrivalsWaitForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Second))
		e := engine(t, Config{dial: m.dial})
		tally, sums := drive(t, t.Context(), e, Load{Plan: fixed(t, 4, 5*time.Second), Connections: 2}, recorder(get("/")))
		// Arrival k, due at k/4 s, starts when arrival k−2 is done, a second after that one: all but the first two are late.
		if tally.Dropped != 0 || tally.Late != 18 || sums.OK != 20 {
			t.Errorf("%+v, %d good; want 20, 18 of them late", tally, sums.OK)
		}
		// None of that is the generator's own lag.
		if *sums.LagP99Ms > 0.01 {
			t.Errorf("schedule lag %v ms", *sums.LagP99Ms)
		}
		// The last, due at 4.75 s, started at 9.25 s.
		if most := *sums.Latency.MaxMs; !near(most, 5500, 10) {
			t.Errorf("max %.0f ms, want 5500", most)
		}
	})
}

// Arrivals that still wait when the grace is over, or when the run is cancelled, were never sent.
func TestArrivalsThatWaitInVainAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, delayed(time.Hour))
		for name, stop := range map[string]time.Duration{"grace": time.Hour, "cancel": 2500 * time.Millisecond} {
			e := engine(t, Config{dial: m.dial})
			ctx, cancel := context.WithTimeout(t.Context(), stop)
			began := time.Now()
			tally, sums := drive(t, ctx, e, Load{Plan: fixed(t, 2, 2*time.Second), Connections: 1, Grace: 3 * time.Second}, recorder(get("/")))
			cancel()
			if took, want := time.Since(began), min(5*time.Second, stop); took != want {
				t.Errorf("%s: took %v, want %v", name, took, want)
			}
			if tally.Stragglers != 1 || tally.Dropped != 3 || sums.Dropped != 3 {
				t.Errorf("%s: %+v; want one cancelled, three dropped", name, tally)
			}
		}
	})
}

func TestAThrottleServesOneLoad(t *testing.T) {
	g := &guests{stay: time.Millisecond}
	on := onReal(t, g)
	c := &Throttle{}
	if c.Hold(true) {
		t.Error("nothing runs that could be held")
	}
	e := engine(t, Config{Target: on})
	_, end := under(t, e, Load{Users: 1, For: time.Hour, Control: c})
	if _, err := engine(t, Config{Target: on}).Drive(t.Context(), Load{Users: 1, Total: 1, Control: c}, recorder(get("/"))); err == nil {
		t.Error("two loads on one throttle")
	}
	end()
}
