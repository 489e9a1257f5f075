package experiment

import (
	"slices"
	"testing"

	"github.com/captest/captest/internal/record"
)

// history builds probes of a target that behaves as told: four kinds, one a second each, from the release at 100 s on.
func history(seconds int, state func(t float64, kind, conn string) (ok bool, ms float64, err string)) []record.Probe {
	var out []record.Probe
	for s := range seconds {
		for i, kind := range []string{"functional", "health"} {
			for j, conn := range []string{"fresh", "kept"} {
				t := 100 + float64(s) + 0.25*float64(2*i+j)
				ok, ms, err := state(t, kind, conn)
				out = append(out, record.Probe{OffsetS: t, Probe: kind, Connection: conn, OK: ok, Ms: ms, Error: err})
			}
		}
	}
	return out
}

func TestClassify(t *testing.T) {
	t.Parallel()
	fine := func(float64, string, string) (bool, float64, string) { return true, 250, "" }
	tests := []struct {
		name     string
		drain    float64
		seconds  int
		state    func(t float64, kind, conn string) (bool, float64, string)
		class    string
		sub      string
		at       float64 // seconds to recover, within one probe
		deceived bool
	}{
		{name: "never harmed", seconds: 60, state: fine, class: record.SelfHealing, at: 0},
		{name: "heals when its queue is empty", drain: 6, seconds: 60, class: record.SelfHealing, at: 7, state: func(t float64, _, _ string) (bool, float64, string) {
			if t < 107 {
				return false, 2000, "timeout"
			}
			return true, 250, ""
		}},
		{name: "heals late", drain: 6, seconds: 60, class: record.Slow, at: 30, state: func(t float64, _, _ string) (bool, float64, string) {
			if t < 130 {
				return false, 2000, "timeout"
			}
			return true, 250, ""
		}},
		{name: "works, but slower than before", seconds: 61, class: record.Degraded, state: func(float64, string, string) (bool, float64, string) {
			return true, 900, ""
		}},
		{name: "stuck in every way", seconds: 61, class: record.Stuck, sub: "total", state: func(float64, string, string) (bool, float64, string) {
			return false, 2000, "timeout"
		}},
		{name: "stuck behind a healthy face", seconds: 61, class: record.Stuck, sub: "deceptive", deceived: true, state: func(_ float64, kind, _ string) (bool, float64, string) {
			if kind == "health" {
				return true, 2, ""
			}
			return false, 2000, "status"
		}},
		{name: "old connections work, new ones do not", seconds: 61, class: record.Stuck, sub: "connection-scoped", state: func(_ float64, kind, conn string) (bool, float64, string) {
			if kind == "health" && conn == "kept" {
				return true, 2, ""
			}
			return false, 2000, "timeout"
		}},
		{name: "nothing listens", seconds: 61, class: record.Crashed, state: func(float64, string, string) (bool, float64, string) {
			return false, 0.2, "refused"
		}},
		{name: "a good window that relapses is no recovery", seconds: 61, class: record.Stuck, sub: "total", state: func(t float64, _, _ string) (bool, float64, string) {
			if t >= 110 && t < 116 {
				return true, 250, ""
			}
			return false, 2000, "timeout"
		}},
		{name: "too short a watch has no verdict", seconds: 20, class: record.NotTested, state: func(float64, string, string) (bool, float64, string) {
			return false, 2000, "timeout"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := Aftermath{
				Base: map[string]Quiet{"": {MedianMs: 250, P95Ms: 280, N: 10}}, Probes: history(tt.seconds, tt.state), ReleasedS: 100, MinProbes: 5,
				NowS: 100 + float64(tt.seconds), ExpectedDrain: tt.drain, WindowS: 5, RelapseS: 5, MaxS: 60,
			}
			got := a.Classify()
			if got.Class != tt.class || got.SubClass != tt.sub {
				t.Fatalf("class %s %q, want %s %q (%s)", got.Class, got.SubClass, tt.class, tt.sub, got.Summary)
			}
			if healed := got.Class == record.SelfHealing || got.Class == record.Slow; healed != (got.Seconds != nil) {
				t.Fatalf("seconds = %v for class %s", got.Seconds, got.Class)
			}
			if got.Seconds != nil && (*got.Seconds < tt.at-0.01 || *got.Seconds > tt.at+1) {
				t.Errorf("recovered after %.2f s, want %.0f s", *got.Seconds, tt.at)
			}
			if got.HealthDeceptionSeconds == nil || (*got.HealthDeceptionSeconds > 50) != tt.deceived {
				t.Errorf("health deception = %v, want deceived %v", got.HealthDeceptionSeconds, tt.deceived)
			}
		})
	}
}

// A kept connection that is asked seldom, because it hangs, leaves stretches in which only fresh ones speak: no recovery.
func TestAWindowNeedsBothKindsOfConnections(t *testing.T) {
	t.Parallel()
	a := Aftermath{Base: map[string]Quiet{"": {MedianMs: 20, P95Ms: 25}}, ReleasedS: 100, NowS: 161, WindowS: 5, MinProbes: 5, RelapseS: 3, MaxS: 60}
	for s := 0.0; s < 60; s += 0.9 {
		a.Probes = append(a.Probes, record.Probe{OffsetS: 100 + s, Probe: "functional", Connection: "fresh", OK: true, Ms: 20})
	}
	for s := 0.5; s < 60; s += 12 {
		a.Probes = append(a.Probes, record.Probe{OffsetS: 100 + s, Probe: "functional", Connection: "kept", Ms: 11_900, Error: "timeout"})
	}
	if got := a.Classify(); got.Class != record.Stuck || got.SubClass != "connection-scoped" {
		t.Errorf("%s (%s): %s", got.Class, got.SubClass, got.Summary)
	}
}

// TestAWatchThatStoodStill: captest was stopped for 70 s after the release, longer than its watch of 60 s. It may not blame the
// target for what nobody saw; what it sees afterwards counts as ever.
func TestAWatchThatStoodStill(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		now     float64 // s after the release
		stalled float64
		well    float64 // from then on, s after the release
		class   string
	}{
		{"just woken", 75, 70, 1000, record.NotTested},
		{"as long without a stop", 75, 0, 1000, record.Stuck},
		{"still failing after a watch of its own", 131, 70, 1000, record.Stuck},
		{"well again when it wakes", 90, 70, 72, record.NotTested},
		{"well before", 90, 70, 0, record.SelfHealing},
	}
	for _, tt := range tests {
		probes := history(int(tt.now), func(at float64, _, _ string) (bool, float64, string) {
			if at-100 >= tt.well {
				return true, 250, ""
			}
			return false, 2000, "timeout"
		})
		if tt.well > 0 {
			probes = slices.DeleteFunc(probes, func(p record.Probe) bool { return p.OffsetS > 101 && p.OffsetS < 100+tt.stalled })
		}
		a := Aftermath{
			Base: map[string]Quiet{"": {MedianMs: 250, P95Ms: 280, N: 10}}, Probes: probes, ReleasedS: 100, MinProbes: 5, NowS: 100 + tt.now,
			WindowS: 5, RelapseS: 5, MaxS: 60, StalledS: tt.stalled,
		}
		if got := a.Classify(); got.Class != tt.class || (got.Seconds != nil) != (tt.class == record.SelfHealing) {
			t.Errorf("%s: %s (%s), want %s", tt.name, got.Class, got.Summary, tt.class)
		}
	}
}
