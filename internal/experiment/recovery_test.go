package experiment

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// until answers as told until the target is well again, so many seconds after the load.
func until(seconds float64, clients string, ill answer) func(question) answer {
	return func(q question) answer {
		switch {
		case q.kind == "health":
			return answer{ok: true, ms: 2}
		case q.since >= 0 && q.since < seconds && (clients == "" || clients == q.clients) && !q.restarted:
			return ill
		}
		return fine
	}
}

// Not parallel with tests in real time, which virtual hours of probes would starve.
func TestRecoveryOfAProgrammedTarget(t *testing.T) {
	never := math.Inf(1)
	tests := []struct {
		name    string
		answer  func(question) answer
		change  func(*experiment)
		class   string
		sub     string
		seconds float64 // ± 1
		says    string
		check   func(*testing.T, record.Recovery)
	}{
		{name: "never harmed", answer: until(0, "", fine), class: record.SelfHealing, seconds: 0.01},
		{name: "after 7 s, failing at once", answer: until(7, "", answer{ms: 5, err: "status"}), class: record.SelfHealing, seconds: 7},
		{name: "after 7 s, hanging", answer: until(7, "", hung), class: record.SelfHealing, seconds: 7},
		{name: "after 35 s, failing at once", answer: until(35, "", answer{ms: 5, err: "status"}), class: record.Slow, seconds: 35},
		{name: "after 35 s, hanging", answer: until(35, "", hung), class: record.Slow, seconds: 35},
		{
			name: "after 31 s, a timer of 30 s", answer: until(31, "", hung), class: record.Slow, seconds: 31, says: "30 s, the scenario's request timeout, or a connection pool's",
			check: func(t *testing.T, r record.Recovery) {
				if r.Timer == nil || r.Timer.Seconds != 30 {
					t.Errorf("timer %+v", r.Timer)
				}
				if d := value(r.HealthDeceptionSeconds); d < 2*27 || d > 2*33 {
					t.Errorf("%v s of deception, want about 62: 31 after each of two loads", d)
				}
				if r.Health == nil || !r.Health.Deceived {
					t.Errorf("health %+v", r.Health)
				}
			},
		},
		{
			name: "never, and its health check says it is fine", answer: until(never, "", hung), class: record.Stuck, sub: "deceptive", says: "restart not tested",
			change: func(x *experiment) { x.Target.Services[0].Restart = "" },
			check: func(t *testing.T, r record.Recovery) {
				if d := value(r.HealthDeceptionSeconds); math.Abs(d-60) > 3 {
					t.Errorf("%v s of deception in a watch of 60", d)
				}
				if r.Seconds != nil || r.Restart != nil || len(r.Triggers) != 1 || r.WatchedSeconds < 60 || r.WatchedSeconds > 66 {
					t.Errorf("%+v", r)
				}
			},
		},
		{
			name: "a long timeout of the scenario makes a long watch", answer: until(never, "", hung), class: record.Stuck, sub: "deceptive",
			change: func(x *experiment) { x.Scenario.Steps[0].Timeout = 45 * time.Second },
			check: func(t *testing.T, r record.Recovery) {
				if r.WatchedSeconds < 90 {
					t.Errorf("watched %v s, want twice the timeout", r.WatchedSeconds)
				}
			},
		},
		{
			name: "never until it is restarted", answer: until(never, "", hung), class: record.StuckRestart, sub: "deceptive", says: "restarting main cured it",
			change: func(x *experiment) { x.Restart = x.Prober.(*programmed).restart },
			check: func(t *testing.T, r record.Recovery) {
				if r.Restart == nil || !r.Restart.Cured || value(r.Restart.Seconds) > 10 || !slices.Equal(r.Restart.Services, []string{"main"}) {
					t.Errorf("restart %+v", r.Restart)
				}
			},
		},
		{
			name: "never, restarted or not", class: record.Stuck, sub: "deceptive", says: "restarting main did not cure it",
			answer: func(q question) answer { q.restarted = false; return until(never, "", hung)(q) },
			change: func(x *experiment) { x.Restart = x.Prober.(*programmed).restart },
		},
		{
			name: "only from aborting clients", answer: until(never, Aborting, hung), class: record.Stuck, sub: "deceptive", says: "not after patient ones",
			check: func(t *testing.T, r record.Recovery) {
				if len(r.Triggers) != 2 || r.Triggers[0].Class != record.SelfHealing || r.Triggers[1].Class != record.Stuck || r.Triggers[1].TimeoutSeconds == nil || r.Triggers[1].Aborted < 50 {
					t.Errorf("triggers %+v", r.Triggers)
				}
			},
		},
		{name: "health and all", class: record.Stuck, sub: "total", answer: func(q question) answer {
			if q.since >= 0 {
				return hung
			}
			return answer{ok: true, ms: 250}
		}},
		{name: "only new connections work", class: record.Stuck, sub: "connection-scoped", says: "new connections work", answer: func(q question) answer {
			if q.since >= 0 && q.conn == "kept" && q.kind != "health" {
				return hung
			}
			return fine
		}},
		{
			name: "only one endpoint is stuck", class: record.Stuck, sub: "endpoint-scoped", says: "only order",
			change: func(x *experiment) { x.Scenario.Steps = append(x.Scenario.Steps, scenarios.Step{Name: "order"}) },
			answer: func(q question) answer {
				if q.since >= 0 && q.step == "order" {
					return answer{ms: 5, err: "status"}
				}
				return fine
			},
		},
		{name: "nothing listens", class: record.Crashed, says: "refused", answer: func(q question) answer {
			if q.since >= 0 {
				return answer{ms: 1, err: "refused"}
			}
			return fine
		}},
		{name: "works, but slower", class: record.Degraded, answer: until(never, "", answer{ok: true, ms: 900})},
		{name: "relapses", class: record.Stuck, sub: "deceptive", answer: func(q question) answer {
			if q.since > 6 && q.since < 12 || q.kind == "health" {
				return fine
			}
			return until(never, "", hung)(q)
		}},
		{name: "one lost probe is no relapse", class: record.SelfHealing, seconds: 0.01, answer: func(q question) answer {
			if q.since > 6 && q.since < 6.4 && q.conn == "fresh" {
				return answer{ms: 5, err: "reset"}
			}
			return fine
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := try(t, &programmed{answer: tt.answer}, Quick, tt.change)
			if r.Class != tt.class || r.SubClass != tt.sub || !strings.Contains(r.Summary, tt.says) {
				t.Fatalf("%s (%s): %s", r.Class, r.SubClass, r.Summary)
			}
			if tt.seconds > 0 && (r.Seconds == nil || math.Abs(*r.Seconds-tt.seconds) > 1) {
				t.Errorf("recovered after %v s, want %v ± 1", value(r.Seconds), tt.seconds)
			}
			if want := r.Class == record.SelfHealing || r.Class == record.Slow; want != (r.Seconds != nil) {
				t.Errorf("%s with seconds %v", r.Class, r.Seconds)
			}
			if healthy(r.Class) && (r.DrainSeconds == nil || math.Abs(*r.DrainSeconds-3) > 0.5) {
				t.Errorf("drained in %v s, want 3", value(r.DrainSeconds))
			}
			if tt.check != nil {
				tt.check(t, r)
			}
		})
	}
}

// A service that dies of the load and comes up again has not healed: its metrics tell a later start.
func TestAReplacedProcessIsNoHealing(t *testing.T) {
	for name, tt := range map[string]struct {
		at    float64 // of the new process, after the load
		ill   answer
		class string
	}{
		"at once": {1, hung, record.Crashed}, "after some seconds": {7, answer{ms: 5, err: "reset"}, record.Crashed},
		"after it hung for half a minute": {30, hung, record.StuckRestart},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &programmed{answer: until(tt.at, Patient, tt.ill), gauges: func(p *programmed) map[string]float64 {
				started := 1000.0
				if p.clients == Aborting || !p.ended.IsZero() && time.Since(p.ended).Seconds() > tt.at {
					started = 2000
				}
				return map[string]float64{"process_start_time_seconds": started}
			}}
			r := try(t, p, Quick, nil)
			if observed := r.Restart != nil && r.Restart.Observed; observed != (tt.class == record.StuckRestart) {
				t.Errorf("restart %+v", r.Restart)
			}
			if r.Class != tt.class || len(r.Triggers) != 1 {
				t.Errorf("%s: %s, %d triggers", r.Class, r.Summary, len(r.Triggers))
			}
		})
	}
}

// The whole path from gauges to a named leak: one descriptor for each failed request.
func TestALeakIsFoundByTheTest(t *testing.T) {
	leaky := &programmed{answer: until(2, "", hung), gauges: func(p *programmed) map[string]float64 {
		return map[string]float64{"process_open_fds": 20 + p.failed, "process_max_fds": 1024, "http_requests_in_progress": 0, "process_start_time_seconds": 1}
	}}
	r := try(t, leaky, Standard, nil)
	l := find(r.Leaks, "process_open_fds")
	if l == nil || l.PerFailed == nil || math.Abs(*l.PerFailed-1) > 0.1 || l.Per != perFailed {
		t.Errorf("leaks %+v, want one descriptor per failed request", r.Leaks)
	}
	if value(r.CooledSeconds) < fullCool {
		t.Errorf("cooled %v s", value(r.CooledSeconds))
	}
	well := &programmed{answer: until(2, "", hung), gauges: func(p *programmed) map[string]float64 {
		idle := 0.0
		if p.clients != "" && (p.ended.IsZero() || time.Since(p.ended) < 30*time.Second) {
			idle = 12 // a pool keeps them for half a minute
		}
		return map[string]float64{"process_open_fds": 20 + idle + math.Mod(p.x.now().Seconds(), 3), "process_max_fds": 1024, "process_start_time_seconds": 1}
	}}
	if r := try(t, well, Quick, nil); len(r.Leaks) > 0 || value(r.CooledSeconds) < 30 || value(r.CooledSeconds) > 37 {
		t.Errorf("a pool that expires: leaks %+v after %v s", r.Leaks, value(r.CooledSeconds))
	}
}

// Load that is kept up sustains the failure: it goes away only with it.
func TestMetastable(t *testing.T) {
	p := &programmed{answer: func(q question) answer {
		if q.kind != "health" && q.since >= 0 && q.load > 0.4*10 {
			return hung
		}
		return fine
	}}
	r := try(t, p, Thorough, nil)
	if r.Class != record.Metastable || !strings.Contains(r.Summary, "50 % of capacity") {
		t.Fatalf("%s: %s", r.Class, r.Summary)
	}
	if b := r.RecoverablePercent; b == nil || value(b.Refuted) != 50 || value(b.Confirmed) != 25 {
		t.Errorf("recoverable %+v, want 25 confirmed and 50 refuted", r.RecoverablePercent)
	}
	if r := try(t, &programmed{answer: until(2, "", hung)}, Standard, nil); r.Class != record.SelfHealing || r.RecoverablePercent == nil || value(r.RecoverablePercent.Confirmed) != 50 {
		t.Errorf("%s, recoverable %+v, want 50 confirmed", r.Class, r.RecoverablePercent)
	}
}

// The quick test of a target that heals must leave the rest of two minutes of load to the search.
func TestQuickIsShortOnAHealthyTarget(t *testing.T) {
	p := &programmed{answer: until(2, "", hung)}
	began := 0.0
	try(t, p, Quick, nil)
	events, err := record.Read(p.x.Folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var end float64
	for _, e := range events.Events {
		if e.Kind == record.EventTrialStart && began == 0 {
			began = e.OffsetS
		}
		if e.Kind == record.EventRecovery {
			end = e.OffsetS
		}
	}
	if end-began > 45 {
		t.Errorf("%.0f s from the first trigger to the verdict", end-began)
	}
	for _, l := range p.loads {
		if l.Users != 50 {
			t.Errorf("%+v, want 50 users", l)
		}
	}
}
