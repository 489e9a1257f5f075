package diagnose

import (
	"encoding/json"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestConfidenceIsEarned: a prediction that was met and is its cause's own confirms, one that lookalikes share does not, and
// one that was not met contradicts.
func TestConfidenceIsEarned(t *testing.T) {
	t.Parallel()
	own := prediction{test: "knob", what: "throughput with the setting doubled", measured: 19.4, unit: "/s", expected: "20 ± 15 %", met: true, decides: true}
	shared, missed := own, own
	shared.decides, missed.met = false, false
	for _, c := range []struct {
		name        string
		predictions []prediction
		inside      bool
		blind       bool
		want        string
	}{
		{"no test", nil, true, false, C2},
		{"its own, met", []prediction{own}, true, false, C3},
		{"shared, met", []prediction{shared}, true, false, C2},
		{"not met", []prediction{missed}, true, false, C1},
		{"one met, one not", []prediction{own, missed}, true, false, C1},
		{"no test, from outside alone", nil, false, false, C1},
		{"met, from outside alone", []prediction{own}, false, false, C2},
		{"shared, met, from outside alone", []prediction{shared}, false, false, C1},
		{"one met, one not, from outside alone", []prediction{own, missed}, false, false, C1},
		{"no test, by the kernel alone", nil, true, true, C1},
		{"met, by the kernel alone", []prediction{own}, true, true, C2},
		{"shared, met, by the kernel alone", []prediction{shared}, true, true, C1},
	} {
		x := claimOf("cpu-bound-hashing", "user")
		x.inside = c.inside
		x.settle(c.predictions, c.blind)
		if x.Confidence != c.want || len(x.Evidence) != len(c.predictions) {
			t.Errorf("%s: %s with %d pieces of evidence, want %s with %d", c.name, x.Confidence, len(x.Evidence), c.want, len(c.predictions))
		}
	}
	// Of itself captest knows all.
	captest := claimOf("generator-saturated", "captest")
	if captest.settle(nil, true); captest.Confidence != C2 {
		t.Errorf("generator-saturated of a blind target: %s", captest.Confidence)
	}
}

// testsOfScene are events of tests: a burst that was answered so many at a time in a form, and a coupling.
func testsOfScene(form string, servers, k float64) func(*record.Run, *record.Result) {
	return func(run *record.Run, _ *record.Result) {
		for _, t := range []record.Test{
			{Name: record.TestBurst, Where: "user", Words: map[string]string{"form": form}, Values: map[string]float64{"servers": servers, "servers_low": servers, "servers_high": servers}},
			{Name: record.TestCoupling, Where: "user", Values: map[string]float64{"coupling": k, "coupling_low": 0.9 * k, "coupling_high": 1.1 * k}},
			{Name: record.TestElasticity, Skipped: "not wanted"},
		} {
			raw, err := json.Marshal(t)
			if err != nil {
				panic(err)
			}
			run.Events = append(run.Events, record.Event{Kind: record.EventTest, Trial: -1, Data: raw})
		}
	}
}

// TestTestsConfirmAndContradict: the same scene with tests that show what its cause predicts, what another predicts, and neither.
func TestTestsConfirmAndContradict(t *testing.T) {
	t.Parallel()
	hashing := flatAt(10).with(healthy(), fullHashPool)
	lone := hashing.with(services{"billing": {"semaphore_limit" + kb: always(2), "semaphore_in_use" + kb: level(0, .4, 1.9, 1.9, 0)}})
	loops := flatAt(5).with(healthy(), services{"user": {
		"hash_pool_size": always(0), `event_loop_busy_seconds_total{worker="0"}`: counter(0, .45, .99, .99, 0),
		`event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 8, 48, 0), "hash_seconds_total": counter(0, .4, .95, .95, 0),
	}})
	for _, tt := range []struct {
		name  string
		scene scene
		form  string
		m, k  float64
		want  string
	}{
		{"as many at a time as cores", hashing, "steps", 2, 0.01, "cpu-bound-hashing@user C3 slow-because"},
		{"as many as cores, and as permits", lone, "steps", 2, 0.01, "cpu-bound-hashing@user C2 slow-because"},
		{"one at a time", hashing, "even", 1, 0.01, "cpu-bound-hashing@user C1 slow-because"},
		{"nearly as many", hashing, "steps", 4, 0.01, "cpu-bound-hashing@user C2 slow-because"},
		{"a loop that all wait for", loops, "even", 1, 0.9, "event-loop-blocked@user C3 slow-because"},
		{"a loop that a trivial request does not wait for", loops, "unclear", 0, 0.01, "event-loop-blocked@user C1 slow-because"},
	} {
		tt.scene.change = testsOfScene(tt.form, tt.m, tt.k)
		run, res := tt.scene.play()
		Explain(run, res)
		if got := named(res); len(got) == 0 || got[0] != tt.want {
			t.Errorf("%s: %v, want %s first", tt.name, got, tt.want)
		}
	}
}

// TestTestsAlone: of a target that shows nothing, tests name the likely cause; one that no lookalike shares makes it likely.
func TestTestsAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		form   string
		m, k   float64
		want   string
		thread float64 // busiest, % of a core; 0: not seen
	}{
		{"even", 1, 0.9, "event-loop-blocked@user C2 slow-because", 90},
		{"even", 1, 0.9, "event-loop-blocked@user C1 slow-because", 1}, // as a limiter of rates does
		{"steps", 4, 0.9, "event-loop-blocked@user C1 slow-because", 0},
		{"even", 1, 0.01, "lock-contention@user C1 slow-because", 0},
		{"steps", 2, 0.01, "cpu-bound-hashing@user C1 slow-because", 0},
		{"steps", 3, 0.01, "database-pool-starved@user C1 slow-because", 0},
		{"unclear", 0, 0.1, "unknown@ C1 slow-because", 0},
	} {
		s := flatAt(5)
		tests := testsOfScene(tt.form, tt.m, tt.k)
		s.change = func(run *record.Run, res *record.Result) {
			tests(run, res)
			for at := 0; at < int(starts[parts]) && tt.thread > 0; at++ {
				run.Procs = append(run.Procs, record.ProcessReading{OffsetS: float64(at), Service: "user", BusiestThreadPercent: &tt.thread})
			}
		}
		run, res := s.play()
		Explain(run, res)
		got := named(res)
		if len(got) == 0 || got[0] != tt.want {
			t.Errorf("%s, m = %v, k = %v: %v, want %s first", tt.form, tt.m, tt.k, got, tt.want)
		}
		for _, f := range res.Findings[1:] {
			if f.Confidence != C1 || f.Role != OrBecause {
				t.Errorf("%s, m = %v, k = %v: %s is %s, %s", tt.form, tt.m, tt.k, f.Cause, f.Confidence, f.Role)
			}
		}
	}
}
