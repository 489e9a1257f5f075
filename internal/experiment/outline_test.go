package experiment

import (
	"math"
	"testing"
	"time"

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
			bounded = bounded || o.Phase == x.Phase && (x.Load.Users > 0 && x.Load.Users == o.Load.Users || x.Phase == "overload" || x.Phase == "abort" || x.Load.RatePerSecond > 0 && x.Load.RatePerSecond <= o.Load.RatePerSecond) && x.N <= o.Requests
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
