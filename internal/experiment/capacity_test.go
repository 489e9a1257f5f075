package experiment

import (
	"math"
	"testing"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

func trialAt(phase string, users int, perSecond float64, verdict string) record.Trial {
	mean := 1000 * float64(users) / perSecond
	return record.Trial{
		Phase: phase, Load: record.Load{Users: users}, N: uint64(perSecond * 10), Seconds: 10, GoodputPerSecond: perSecond,
		Latency: record.Latency{MeanMs: &mean, P50Ms: &mean, P95Ms: &mean}, Verdict: verdict, ResolutionPercent: ref(10),
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	c := Capacity([]record.Trial{
		trialAt("baseline", 1, 4, "pass"), trialAt("ramp", 2, 7.6, "pass"), trialAt("ramp", 4, 8, "pass"),
		trialAt("ramp", 8, 7.9, "fail"), trialAt("level", 10, 8, "fail"), trialAt("overload", 50, 9, "fail"),
	}, []string{"p95<1s"})
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-9 {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	near("confirmed", c.PerSecond.Confirmed, 8*0.9) // the best level within the limits, less its resolution
	near("refuted", c.PerSecond.Refuted, 8*1.1)     // the overload is no capacity level
	near("per minute", c.PerMinute.Confirmed, 8*0.9*60)
	near("knee", c.Concurrency.Knee, 2) // R(1) = 0.25 s, Xmax = 8/s
	if c.Concurrency.MaxWithinSLO == nil || *c.Concurrency.MaxWithinSLO != 4 {
		t.Errorf("max within = %v, want 4", c.Concurrency.MaxWithinSLO)
	}
	if len(c.LatencyAt) != 5 || c.LatencyAt[4].Users != 10 || c.LatencyAt[4].MeanMs != 1250 {
		t.Errorf("latency at = %+v, want five levels, 1250 ms at 10", c.LatencyAt)
	}
}

func TestCapacityDoesNotInvent(t *testing.T) {
	t.Parallel()
	none := Capacity(nil, nil)
	if none.PerSecond.Confirmed != nil || none.PerSecond.Refuted != nil || none.Concurrency.Knee != nil {
		t.Errorf("a figure out of nothing: %+v", none)
	}
	open := Capacity([]record.Trial{trialAt("baseline", 1, 4, "pass"), trialAt("ramp", 2, 8, "pass")}, nil)
	if open.PerSecond.Refuted != nil {
		t.Errorf("refuted = %v although the ramp found no end", *open.PerSecond.Refuted)
	}
	bad := Capacity([]record.Trial{trialAt("baseline", 1, 4, "fail")}, []string{"p95<1ms"})
	if bad.PerSecond.Confirmed != nil || bad.Concurrency.MaxWithinSLO != nil {
		t.Errorf("confirmed = %v although no level held the limits", bad.PerSecond.Confirmed)
	}
	invalid := Capacity([]record.Trial{trialAt("baseline", 1, 4, "pass"), trialAt("ramp", 2, 80, "invalid")}, nil)
	if *invalid.MaxPerSecond != 4 {
		t.Errorf("an invalid trial counted: %v", *invalid.MaxPerSecond)
	}
}

// TestCapacityOfASearch: every figure of an answer reaches run.json in requests a second, and what is unknown stays null.
func TestCapacityOfASearch(t *testing.T) {
	t.Parallel()
	p := search.Plan{Effort: search.Standard}
	var found []search.Trial
	for {
		a := p.Next(found)
		if a.Kind == search.Drain {
			found[len(found)-1].Drain = search.Dry
			continue
		}
		if a.Kind != search.Closed && a.Kind != search.Open {
			break
		}
		x, ms := min(float64(a.Users)/0.25, 8), 250.0 // 8 journeys a second, 0.25 s each
		if a.Kind == search.Closed {
			ms = 1000 * float64(a.Users) / x
		}
		w := search.Window{Seconds: a.Measured, Offered: x * a.Measured, MeanMs: ms, P50Ms: ms, P95Ms: ms}
		if a.Kind == search.Open {
			w.Offered = a.PerSecond * a.Measured
			x = min(a.PerSecond, 8)
		}
		w.Completed, w.OK = x*a.Measured, x*a.Measured
		found = append(found, p.Judge(found, a, w))
	}
	c := capacityOf(p, found, 2) // two requests a journey
	if lo, hi := c.PerSecond.Confirmed, c.PerSecond.Refuted; lo == nil || hi == nil || *lo > 16 || *hi < 16 || *hi / *lo > 1.2 {
		t.Fatalf("per second %v–%v, want 16 between them", lo, hi)
	}
	if *c.PerMinute.Confirmed != 60**c.PerSecond.Confirmed || math.Abs(*c.IntervalPercent-100*(*c.PerSecond.Refuted / *c.PerSecond.Confirmed - 1)) > 1e-9 {
		t.Errorf("per minute %v, interval %v %%", *c.PerMinute.Confirmed, *c.IntervalPercent)
	}
	if c.Kind != record.KindStability || c.Repeatability != record.WithinRun || !c.Confirmation || c.Tried == nil || c.Credible90 == nil || c.ResolutionPercent == nil {
		t.Errorf("%+v", c)
	}
	if *c.PromisedPercent != 5 || *c.PlannedPercent < 5 || *c.MaxPerSecond != 16 || *c.Concurrency.Knee != 2 {
		t.Errorf("promised %v planned %v best %v knee %v", *c.PromisedPercent, *c.PlannedPercent, *c.MaxPerSecond, *c.Concurrency.Knee)
	}
	if n := len(c.LatencyAt); n < 4 || c.LatencyAt[0].Users != 1 || c.LatencyAt[n-1].Users != 10 || c.LatencyAt[n-1].MeanMs != 1250 || c.LatencyAt[n-1].PerSecond != 16 {
		t.Errorf("latency at %+v", c.LatencyAt)
	}

	none := capacityOf(search.Plan{Limits: []string{"p95<1s"}}, nil, 1)
	if none.PerSecond.Confirmed != nil || none.PerSecond.Refuted != nil || none.MaxPerSecond != nil || none.Tried != nil || none.Credible90 != nil || none.ResolutionPercent != nil {
		t.Errorf("figures out of nothing: %+v", none)
	}
	if none.Kind != record.KindLimits || none.Note == "" {
		t.Errorf("kind %q, note %q", none.Kind, none.Note)
	}
}
