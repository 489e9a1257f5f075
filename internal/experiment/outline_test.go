package experiment

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

func TestAJourneysShape(t *testing.T) {
	t.Parallel()
	step := func(method string, weight float64, think time.Duration) scenarios.Step {
		return scenarios.Step{Request: scenarios.Request{Method: method}, Weight: weight, Think: think}
	}
	got := shapeOf(&scenarios.Scenario{
		Setup: []scenarios.Step{step("POST", 0, 0), step("GET", 0, 0)},
		Steps: []scenarios.Step{step("POST", 0, time.Second), step("GET", 1, 3*time.Second), step("PUT", 2, 2*time.Second), step("", 0, 0), step("DELETE", 1, 0)},
	}, 100*time.Millisecond)
	// POST, then one of GET and PUT, then GET, then DELETE alone among its alternatives.
	want := shape{requests: 4, writes: 3, setupRequests: 2, setupWrites: 1, shortest: 4*0.1 + 1 + 2}
	if math.Abs(got.shortest-want.shortest) > 1e-9 {
		t.Errorf("shortest %v, want %v", got.shortest, want.shortest)
	}
	if got.shortest = want.shortest; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Search and overload take 2 minutes of load in quick effort, tests included, 12 in standard and 40 in thorough, on a target whose work is not very uneven.
func TestEffortsFitTheirTime(t *testing.T) {
	t.Parallel()
	for e, most := range map[Effort]time.Duration{Quick: 2 * time.Minute, Standard: 12 * time.Minute, Thorough: 40 * time.Minute} {
		p := recoveryOf(e)
		longest, _ := e.Longest()
		all := seconds(longest) + p.patient + p.aborting
		if e == Quick {
			all += couplingWarm + couplingMeasured + alteredWarm + knobLeast
		}
		if all > most || all < most*9/10 {
			t.Errorf("%s may take %v, want %v", e, all, most)
		}
	}
}

// What is ahead holds the tests that are wanted and can be made, from the first phase on, as `captest plan` says it beforehand.
func TestTheTimeAheadHoldsTheTests(t *testing.T) {
	t.Parallel()
	s := &scenarios.Scenario{Steps: []scenarios.Step{{Name: "a"}}, Direct: []scenarios.Direct{{Service: "b"}, {Service: "lost"}}}
	plain := &targets.Target{Entry: "main", Services: []targets.Service{{Name: "main"}, {Name: "b"}}}
	knobs := &targets.Target{Entry: "main", Services: []targets.Service{{Name: "main", Knobs: []targets.Knob{{Name: "workers"}}}, {Name: "b"}}}
	a := &alteration{}
	late := a.expected(knobLeast) + a.expected(elasticityLeast)
	tier := tierAlone + tierLoad(1)
	length := func(to *targets.Target, skipped ...string) time.Duration {
		return UsualLength(s, to, Quick, 100*time.Millisecond, skipped...)
	}
	but := func(name string) []string {
		return slices.DeleteFunc(record.Tests(), func(n string) bool { return n == name })
	}
	for name, c := range map[string]struct{ got, want time.Duration }{
		"tiers alone":        {length(plain, but(record.TestTiers)...) - length(plain, record.Tests()...), tier},
		"one less":           {length(plain) - length(plain, record.TestConnections), 2*connectionsLength + 2*time.Second},
		"settings":           {length(knobs) - length(plain), late},
		"settings, unwanted": {length(knobs, record.TestKnob, record.TestElasticity) - length(plain), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	// On the screen: all of them before the search, those at the end until they are made.
	clock := record.NewClock()
	c := Config{Scenario: s, Target: knobs, Clock: clock, Effort: Quick, Asker: &drive.Prober{}, Direct: func(string) (Direct, error) { return nil, nil }}
	without := newProgress(c)
	c.Change = func(context.Context, string, string, string) error { return nil }
	p := newProgress(c)
	c.NoTests = record.Tests()
	unwanted := newProgress(c)
	quiet, _ := p.c.testsAhead()
	for _, phase := range []string{"preflight", "quiet"} {
		p.phase, without.phase, unwanted.phase = phase, phase, phase
		if got := p.after() - without.after(); got != late {
			t.Errorf("%s: %v more where settings can be changed, want %v", phase, got, late)
		}
		if got := p.after() - unwanted.after(); got != quiet+late {
			t.Errorf("%s: %v of tests, want %v", phase, got, quiet+late)
		}
	}
	p.atTheEnd(late)
	for _, phase := range []string{"settle", "release", "recovery", "abort"} {
		if p.phase = phase; p.after() != late {
			t.Errorf("%s: %v ahead, want %v", phase, p.after(), late)
		}
	}
}

// A run against a target that answers in 100 ms and serves eight at a time stays within its outline, phase by phase.
func TestARunStaysWithinItsOutline(t *testing.T) {
	c := &crowded{outcome: carried}
	_, res := ride(t, c, nil, false)
	s := &scenarios.Scenario{Steps: []scenarios.Step{{Name: "work"}}}
	out := Sketch(s, &targets.Target{}, Quick, nil, crowdedMs*time.Millisecond, math.Inf(1))
	sum := out.Totals()
	if n := res.Steps["work"].N; n == 0 || n > sum.Requests {
		t.Errorf("%d requests, at most %d were outlined", n, sum.Requests)
	}
	for _, x := range res.Trials {
		bounded := false
		for _, o := range out.Stages {
			bounded = bounded || o.Phase == x.Phase && (x.Load.Users > 0 && x.Load.Users == o.Load.Users || x.Phase == search.PhaseLevel && x.Load.Users <= o.Load.Users || x.Phase == "overload" || x.Phase == "abort" || x.Load.RatePerSecond > 0 && x.Load.RatePerSecond <= o.Load.RatePerSecond) && x.N <= o.Requests
		}
		if !bounded {
			t.Errorf("trial %s %+v of %d requests is in no stage of the outline", x.Phase, x.Load, x.N)
		}
	}
	some := Sketch(s, &targets.Target{}, Quick, nil, crowdedMs*time.Millisecond, 8).Totals()
	if n := float64(res.Steps["work"].N); n > 2*float64(some.Requests) || n < 0.5*float64(some.Requests) {
		t.Errorf("%v requests, %d were expected of a target of its knee", n, some.Requests)
	}
	if some.Requests*10 > sum.Requests || sum.Writes != 0 {
		t.Errorf("expected %+v, at most %+v", some, sum)
	}
}
