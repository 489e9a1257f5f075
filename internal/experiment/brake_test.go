package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// crowded is a target, with the engine that loads it, in virtual time: what becomes of a request depends on how many users there
// are. A request takes 100 ms, and no more than eight are served at a time.
type crowded struct {
	x        *experiment
	outcome  func(users, i int) record.Sample // Error and Flags count
	unheard  func(users int) bool             // the health check does not answer
	noHealth bool
	change   func(x *experiment)                            // before it runs; nil: nothing
	plan     func(x *experiment, ctx context.Context) error // instead of the whole; nil: the whole
	asker    Asker                                          // nil: no tests
	noTests  []string
	json     bool  // its step has a body
	stays    bool  // from its first failure on it does no work until it is restarted
	want     error // of the run

	mu             sync.Mutex
	users          int
	stuck          bool  // a request has failed since the last restart
	places, slower int   // served at a time, 0: eight; and times longer a request takes, 0: once
	asked          []int // users of each load
	ended          time.Duration
}

const crowdedMs = 100

func (c *crowded) Drive(ctx context.Context, load drive.Load, rec *record.Recorder) (drive.Tally, error) {
	users, until := load.Users, time.Now().Add(load.For)
	if load.Plan != nil {
		users, until = int(load.Plan.Rate(0)*crowdedMs/1000), time.Now().Add(load.Plan.Length())
	}
	c.mu.Lock()
	c.users = users
	c.asked = append(c.asked, users)
	places := c.places
	if places == 0 {
		places = 8
	}
	took := time.Duration(crowdedMs * float64(time.Millisecond) * max(1, float64(users)/float64(places)) * float64(max(1, c.slower)))
	c.mu.Unlock()
	var wg sync.WaitGroup
	for range users {
		wg.Go(func() {
			for i := 0; time.Now().Before(until) && ctx.Err() == nil; i++ {
				s := c.outcome(users, i)
				if s.Error != record.ErrorNone {
					c.mu.Lock()
					c.stuck = true
					c.mu.Unlock()
				}
				s.Started = rec.Clock().Now()
				s.Intended, s.Connected = s.Started, s.Started
				rec.Shard(0).Begin(s.Started)
				if sleep(ctx, took) != nil {
					s.Error, s.Flags = record.ErrorCanceled, 0
				}
				s.Done = rec.Clock().Now()
				rec.Shard(0).Add(s)
			}
		})
	}
	wg.Wait()
	c.mu.Lock()
	c.users, c.ended = 0, c.x.now()
	c.mu.Unlock()
	return drive.Tally{LastSent: c.x.now()}, nil
}

func (c *crowded) Close() {}

func (c *crowded) Walk(ctx context.Context, onFresh bool, _ time.Duration) []record.Probe {
	c.mu.Lock()
	stuck := c.stays && c.stuck
	c.mu.Unlock()
	return []record.Probe{c.probe(ctx, "functional", onFresh, crowdedMs*time.Millisecond, !stuck)}
}

func (c *crowded) Get(ctx context.Context, _, _ string, onFresh bool, timeout time.Duration) record.Probe {
	_ = sleep(ctx, 10*time.Millisecond) // the load it is asked beside has begun
	c.mu.Lock()
	unheard := c.unheard != nil && c.unheard(c.users)
	c.mu.Unlock()
	if unheard {
		return c.probe(ctx, "health", onFresh, timeout, false)
	}
	return c.probe(ctx, "health", onFresh, time.Millisecond, true)
}

func (c *crowded) probe(ctx context.Context, kind string, onFresh bool, took time.Duration, ok bool) record.Probe {
	p := record.Probe{OffsetS: c.x.now().Seconds(), Probe: kind, Connection: "kept", Service: "main", Step: "work", OK: ok, Ms: float64(took.Milliseconds())}
	if onFresh {
		p.Connection = "fresh"
	}
	if !ok {
		p.Error = record.ErrorTimeout.String()
	}
	_ = sleep(ctx, took)
	return p
}

// ride runs the capacity plan, or a fixed load, against a crowded target and reads its result back from the run folder.
func ride(t *testing.T, c *crowded, fixed *Fixed, noBrake bool) (*record.Run, *record.Result) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		folder, err := record.Create(dir, "ride", "stub", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		clock := record.NewClock()
		rec := record.NewRecorder(record.RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"work"}})
		service := targets.Service{Name: "main", URL: "http://127.0.0.1:1", Health: "/health"}
		if c.noHealth {
			service.Health = ""
		}
		x := &experiment{Config: Config{
			Scenario: &scenarios.Scenario{Name: "ride", Steps: []scenarios.Step{{Name: "work"}}},
			Target:   &targets.Target{Name: "stub", Entry: "main", Services: []targets.Service{service}},
			Engine:   c, Prober: c, Asker: c.asker, Recorder: rec, Folder: folder, Clock: clock, Control: &Control{}, Effort: Quick,
			Observer: observe.New(observe.Config{Clock: clock}), Fixed: fixed, NoBrake: noBrake,
			Latest: func(string) (record.Scrape, bool) { return record.Scrape{}, false },
		}, pace: paces[Quick], care: recoveryOf(Quick)}
		x.NoTests = c.noTests
		if c.json {
			x.Scenario.Steps[0] = jsonStep()
		}
		x.progress = newProgress(x.Config)
		c.x = x
		if c.change != nil {
			c.change(x)
		}
		run := x.capacityPlan
		switch {
		case fixed != nil:
			run = x.fixed
		case c.plan != nil:
			run = func(ctx context.Context) error { return c.plan(x, ctx) }
		}
		recorded(t, x, func(ctx context.Context) {
			bound, end := x.Control.bind(ctx)
			defer end()
			if err := run(bound); !errors.Is(err, c.want) {
				t.Error(err)
			}
		})
	})
	return readBack(t, c.x)
}

// recorded lets the recorder run beside what an experiment does, in virtual time, and closes the run folder behind it.
func recorded(t *testing.T, x *experiment, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { x.Recorder.Run(ctx) })
	run(ctx)
	cancel()
	wg.Wait()
	synctest.Wait()
	if err := x.Folder.Close(); err != nil {
		t.Error(err)
	}
}

// readBack is the run that a folder holds, and its result.
func readBack(t *testing.T, x *experiment) (*record.Run, *record.Result) {
	t.Helper()
	run, err := record.Read(x.Folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return run, record.Summarise(run)
}

func carried(int, int) record.Sample { return record.Sample{Flags: record.Reused} }

// beyond fails three of four requests under more than so many users.
func beyond(most int, class record.ErrorClass, flags record.Flags) func(users, i int) record.Sample {
	return func(users, i int) record.Sample {
		if users > most && i%4 > 0 {
			return record.Sample{Error: class, Status: 503, Flags: record.Reused | flags}
		}
		return carried(users, i)
	}
}

func TestAnErrorBurstEndsTheSearch(t *testing.T) {
	c := &crowded{outcome: beyond(4, record.ErrorStatus, 0)}
	run, res := ride(t, c, nil, false)
	if len(res.Brakes) != 1 {
		t.Fatalf("brakes %+v, want one", res.Brakes)
	}
	b := res.Brakes[0]
	if b.Cause != record.BrakeErrors || b.Phase != "ramp" || b.Load.Users != 8 || !b.EndedPlan || b.Failed*2 <= b.OK+b.Failed || b.Errors["status"] != b.Failed || !strings.Contains(b.Why, "requests failed within") {
		t.Errorf("brake %+v", b)
	}
	if slices.Max(c.asked) != 8 || c.asked[len(c.asked)-1] != 8 {
		t.Errorf("loads %v: the search went on", c.asked)
	}
	last := res.Trials[len(res.Trials)-1]
	if last.Verdict != verdictFail || len(last.Reasons) != 1 || !strings.Contains(last.Reasons[0], "brake pulled") {
		t.Errorf("the braked trial is %s: %v", last.Verdict, last.Reasons)
	}
	if res.Recovery == nil || res.Recovery.Class != record.SelfHealing || len(res.Recovery.Triggers) != 1 {
		t.Errorf("recovery %+v, want a watch of one", res.Recovery)
	}
	if c.ended.Seconds()-b.OffsetS > 0.2 {
		t.Errorf("load ended at %v s, the brake was pulled at %v s", c.ended.Seconds(), b.OffsetS)
	}
	watched := slices.IndexFunc(run.Probes, func(p record.Probe) bool { return p.Probe == "functional" && p.OffsetS >= b.OffsetS })
	if watched < 0 || run.Probes[watched].OffsetS > b.OffsetS+1 {
		t.Error("recovery was not watched at once")
	}
}

// What the brake left stuck is restarted like what an overload did, and its leaks are looked for.
func TestATargetStuckByTheSearchIsRestarted(t *testing.T) {
	restarts := 0
	c := &crowded{stays: true, outcome: func(users, _ int) record.Sample {
		if users > 8 {
			return record.Sample{Error: record.ErrorStatus, Status: 503, Flags: record.Reused}
		}
		return record.Sample{Flags: record.Reused}
	}}
	c.change = func(x *experiment) {
		x.Target.Bundled = true
		x.Restart = func(context.Context, string) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			restarts++
			c.stuck = false
			return nil
		}
	}
	_, res := ride(t, c, nil, false)
	if len(res.Brakes) != 1 || res.Recovery.Class != record.StuckRestart || restarts == 0 || res.Recovery.CooledSeconds == nil {
		t.Errorf("brakes %+v, %d restarts, recovery %+v", res.Brakes, restarts, res.Recovery)
	}
}

func TestSilenceEndsAFixedLoad(t *testing.T) {
	c := &crowded{outcome: carried, unheard: func(users int) bool { return users >= 8 }}
	_, res := ride(t, c, &Fixed{Users: 8, For: time.Minute}, false)
	if len(res.Brakes) != 1 {
		t.Fatalf("brakes %+v, want one", res.Brakes)
	}
	b := res.Brakes[0]
	if b.Cause != record.BrakeSilence || b.OffsetS < 10 || b.OffsetS > 12 || b.OK == 0 || b.Failed != 0 || value(b.SilentSeconds) < 10 {
		t.Errorf("brake %+v", b)
	}
	if res.Trials[0].Seconds > 13 || res.Trials[0].Verdict != verdictFail {
		t.Errorf("a fixed load of a minute: %+v", res.Trials[0])
	}
}

// A level of the search may be shorter than the silence that is allowed: it adds up from one to the next.
func TestSilenceEndsTheSearch(t *testing.T) {
	c := &crowded{outcome: carried}
	c.unheard = func(int) bool { return len(c.asked) > 3 && c.x.progress.current() != "recovery" } // from the level of 8 users on
	_, res := ride(t, c, nil, false)
	if len(res.Brakes) != 1 || res.Brakes[0].Cause != record.BrakeSilence || res.Brakes[0].Load.Users < 16 || res.Brakes[0].Load.Users > 32 {
		t.Fatalf("brakes %+v, want one, soon after the level of 8 users", res.Brakes)
	}
	if last := res.Trials[len(res.Trials)-1]; last.Phase != res.Brakes[0].Phase || last.Verdict != verdictFail {
		t.Errorf("the search went on to %+v", last)
	}
}

func TestNoBrakeWhereItHasNoBusiness(t *testing.T) {
	minute := &Fixed{Users: 8, For: 30 * time.Second}
	tests := map[string]struct {
		target  *crowded
		off     bool
		pulled  bool
		because string
	}{
		"errors":                        {target: &crowded{outcome: beyond(4, record.ErrorTimeout, 0)}, pulled: true},
		"switched off":                  {target: &crowded{outcome: beyond(4, record.ErrorTimeout, 0)}, off: true},
		"silence, switched off":         {target: &crowded{outcome: carried, unheard: func(int) bool { return true }}, off: true},
		"silence without health check":  {target: &crowded{outcome: carried, unheard: func(int) bool { return true }, noHealth: true}},
		"clean shedding":                {target: &crowded{outcome: beyond(4, record.ErrorStatus, record.TurnedAway)}},
		"shedding without health check": {target: &crowded{outcome: beyond(4, record.ErrorStatus, record.TurnedAway), noHealth: true}},
		"shedding all": {target: &crowded{outcome: func(int, int) record.Sample {
			return record.Sample{Error: record.ErrorStatus, Flags: record.TurnedAway}
		}}, pulled: true},
		"shedding, health silent": {
			target: &crowded{outcome: beyond(4, record.ErrorStatus, record.TurnedAway), unheard: func(users int) bool { return users > 4 }}, pulled: true,
		},
		"shedding, and what is let in fails": {target: &crowded{outcome: func(_, i int) record.Sample {
			switch i % 4 {
			case 0:
				return carried(0, 0)
			case 1:
				return record.Sample{Error: record.ErrorStatus, Flags: record.TurnedAway}
			}
			return record.Sample{Error: record.ErrorReset}
		}}, pulled: true},
		"two of five fail":      {target: &crowded{outcome: func(_, i int) record.Sample { return beyond(0, record.ErrorStatus, 0)(1, 2-i%5) }}},
		"captest's own limits":  {target: &crowded{outcome: beyond(4, record.ErrorLocal, 0)}},
		"a handful of requests": {target: &crowded{outcome: func(int, int) record.Sample { return record.Sample{Error: record.ErrorStatus} }}, because: "few"},
		"a burst at the start":  {target: &crowded{outcome: func(_, i int) record.Sample { return beyond(0, record.ErrorReset, 0)(max(0, 8-i), 3) }}},
		"silent for nine seconds": {target: func() *crowded {
			c := &crowded{outcome: carried}
			c.unheard = func(int) bool { return c.x.now() < 9*time.Second }
			return c
		}()},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			f := minute
			if c.because == "few" {
				f = &Fixed{Users: 1, For: 1900 * time.Millisecond}
			}
			run, res := ride(t, c.target, f, c.off)
			if got := len(res.Brakes) > 0; got != c.pulled {
				t.Fatalf("pulled: %v, want %v: %+v", got, c.pulled, res.Brakes)
			}
			if events := slices.ContainsFunc(run.Events, func(e record.Event) bool { return e.Kind == record.EventBrake && json.Valid(e.Data) }); events != c.pulled {
				t.Errorf("brake event: %v", events)
			}
			if s := res.Trials[0].Seconds; c.pulled != (s < f.For.Seconds()-1) {
				t.Errorf("a load of %s lasted %v s", f.For, s)
			}
		})
	}
}

// The overload is meant to overload: errors alone do not end it, a target that is gone does.
func TestTheOverloadIsBrakedOnlyWhenTheTargetIsGone(t *testing.T) {
	under := func(c *crowded) bool {
		return c.x.progress.current() == "overload" || c.x.progress.current() == "abort"
	}
	for name, c := range map[string]struct {
		fails, silent bool
		pulled        bool
	}{
		"everything fails":               {fails: true},
		"no health check is answered":    {silent: true},
		"everything fails, in all quiet": {fails: true, silent: true, pulled: true},
	} {
		t.Run(name, func(t *testing.T) {
			target := &crowded{}
			target.outcome = func(users, i int) record.Sample {
				if c.fails && under(target) {
					return record.Sample{Error: record.ErrorTimeout}
				}
				return carried(users, i)
			}
			target.unheard = func(int) bool { return c.silent && under(target) }
			_, res := ride(t, target, nil, false)
			if got := len(res.Brakes) > 0; got != c.pulled {
				t.Fatalf("pulled: %v, want %v: %+v", got, c.pulled, res.Brakes)
			}
			if c.pulled && (res.Brakes[0].Phase != "overload" || res.Brakes[0].EndedPlan || res.Brakes[0].Cause != record.BrakeSilence) {
				t.Errorf("brake %+v", res.Brakes[0])
			}
			if r := res.Recovery; r == nil || r.Class != record.SelfHealing || len(r.Triggers) != 2 {
				t.Errorf("recovery %+v, want the whole test", res.Recovery)
			}
		})
	}
}

// Fifty users of one event loop that carries four a second wait 12.5 s, health checks too: slow is not gone.
func TestAnOverloadIsGivenTheTimeOfARound(t *testing.T) {
	t.Parallel()
	b := brakeSigns{health: true, dead: true, roundS: 50 / 4.0}
	b.begin(0, record.Outcomes{})
	for at := 1.0; at < 22.5; at++ {
		if got := b.judge(at, record.Outcomes{}); got != nil {
			t.Fatalf("braked at %v s: %+v", at, got)
		}
	}
	if b.judge(23, record.Outcomes{}) == nil {
		t.Error("not braked when nothing had come for 10 s more")
	}
}

// What is not known because captest itself stood still is not held against the target.
func TestAStandstillOfCaptestIsNoSilence(t *testing.T) {
	t.Parallel()
	b := brakeSigns{health: true}
	b.begin(0, record.Outcomes{})
	if got := b.judge(60, record.Outcomes{}); got != nil {
		t.Errorf("braked after a standstill: %+v", got)
	}
	for at := 61.0; at < 70; at++ {
		if got := b.judge(at, record.Outcomes{}); got != nil {
			t.Fatalf("braked at %v: %+v", at, got)
		}
	}
	if got := b.judge(70, record.Outcomes{}); got == nil || got.Cause != record.BrakeSilence {
		t.Errorf("ten seconds of silence after it: %+v", got)
	}
}
