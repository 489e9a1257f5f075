package experiment

import (
	"math"
	"testing"

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
