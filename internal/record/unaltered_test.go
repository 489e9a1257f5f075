package record

import "testing"

// TestUnaltered: a run ends, for all that is said of its target, when a test first changes a setting.
func TestUnaltered(t *testing.T) {
	t.Parallel()
	load := Load{Users: 4}
	later := frameOf(3, 1, false, load, 500, 0, 10)
	later.Phase = PhaseTests
	first := frameOf(0, 0, false, load, 20, 0, 100)
	first.Connections.Opened, later.Connections.Opened = 3, 50
	started := func(at, since float64) Scrape {
		return Scrape{OffsetS: at, Service: "user", Values: map[string]float64{"process_start_time_seconds": since, "process_open_fds": 10 * since, "process_max_fds": 500}}
	}
	run := &Run{
		Frames:  []Frame{first, frameOf(1, 0, false, load, 20, 0, 100), later},
		Scrapes: []Scrape{started(0.5, 1), started(1.5, 1), started(3.5, 9)},
		Probes:  []Probe{{OffsetS: 1}, {OffsetS: 3}}, Hosts: []HostReading{{OffsetS: 1}, {OffsetS: 3}}, Procs: []ProcessReading{{OffsetS: 1}, {OffsetS: 3}},
		Events: []Event{
			event(t, 0, EventTrialStart, 0, TrialStart{Phase: "ramp", Load: load}),
			event(t, 1, EventBrake, 0, Brake{Cause: BrakeErrors, EndedPlan: true}),
			event(t, 2.5, EventSetting, -1, Setting{Service: "user", Name: "workers", From: "1", To: "2"}),
			event(t, 3, EventTrialStart, 1, TrialStart{Phase: PhaseTests, Load: load}),
			event(t, 3.5, EventBrake, 1, Brake{Cause: BrakeSilence}),
			event(t, 4, EventSetting, -1, Setting{Service: "user", Name: "workers", From: "2", To: "1"}),
		},
	}
	own := run.Unaltered()
	if len(own.Frames) != 2 || len(own.Scrapes) != 2 || len(own.Probes) != 1 || len(own.Hosts) != 1 || len(own.Procs) != 1 || len(own.Events) != 6 {
		t.Errorf("%+v", own)
	}
	if len(run.Frames) != 3 || len(run.Scrapes) != 3 {
		t.Error("the run itself was cut")
	}
	r := Summarise(run)
	if len(r.Brakes) != 1 || r.Brakes[0].Cause != BrakeErrors || r.Connections.Client.Opened != 4 {
		t.Errorf("brakes %+v, %d connections: want those of the target as it was", r.Brakes, r.Connections.Client.Opened)
	}
	if n := r.Steps["register"].N; n != 40 {
		t.Errorf("%d requests of the target as it was, want 40", n)
	}
	if user := r.Connections.Target["user"]; user.Restarts != 0 || user.OpenFDsPeak == nil || *user.OpenFDsPeak != 10 {
		t.Errorf("%+v, want nothing of the restart for the test", user)
	}
	if x := r.Trials[1]; x.Phase != PhaseTests || x.GoodputPerSecond != 500 {
		t.Errorf("the test's own trial is %+v", x)
	}
	if best := r.Capacity.MaxPerSecond; best == nil || *best != 20 || len(r.Capacity.LatencyAt) != 1 {
		t.Errorf("capacity %+v, want nothing of the test's load", r.Capacity)
	}
	run.Events = run.Events[:1]
	if run.Unaltered() != run {
		t.Error("a run in which nothing was changed is not itself")
	}
}
