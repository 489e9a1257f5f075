package diagnose

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// standing is what the settings of the bundled services stand at in the golden runs, the planted fault apart.
func standing(fault map[string]string) Settings {
	all := map[string]string{
		"user.workers": "4", "user.hash": "pool", "user.hash_cost": "12", "user.semaphore.billing": "10", "user.pool.billing": "20", "user.db_pool": "5",
		"billing.workers": "4", "billing.semaphore.kill-bill": "10", "billing.pool.kill-bill": "20", "kill-bill.time": "200ms",
	}
	return func(service, setting string) (string, bool) {
		v, ok := fault[service+"."+setting]
		if !ok {
			v, ok = all[service+"."+setting]
		}
		return v, ok
	}
}

// TestSuspectsOfRealFaults: what limits real runs is to be proved by the setting that was planted wrong, and the model says what
// doubling it brings: twice as much, or the next limit. Other programs took part of the cores.
func TestSuspectsOfRealFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden    string
		fault     map[string]string
		knob      string // what is changed, or why nothing is
		low, high float64
		time      string
	}{
		{"phase3", nil, "user.hash_cost 12 11", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"before", map[string]string{"user.workers": "1", "user.hash": "loop"}, "user.workers 1 2", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"event-loop-blocked", map[string]string{"user.workers": "none", "user.hash": "loop"}, "user.hash loop pool", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"semaphore-too-small", map[string]string{"billing.semaphore.kill-bill": "1"}, "billing.semaphore.kill-bill 1 2", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"pool-too-small", map[string]string{"billing.pool.kill-bill": "1"}, "billing.pool.kill-bill 1 2", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"database-pool-starved", map[string]string{"user.db_pool": "2"}, "user.db_pool 2 4", 1.3, 2.2, "says nothing of a downstream"},
		{"lock-contention", map[string]string{"user.lock": "250ms"}, "user.lock 250ms 125ms", 1.3, 2.2, "kill-bill.time 200ms 400ms by billing→kill-bill"},
		{"slow-downstream", map[string]string{"kill-bill.time": "2s"}, "kill-bill.time 2s 1s", 1.3, 2.2, "kill-bill.time 2s 4s by billing→kill-bill"},
		{"retry-storm", nil, "no setting is known whose doubling would prove retry-storm", 0, 0, "retry-storm says nothing of a downstream"},
		{"phase2-impatient", nil, "nothing that was found limits", 0, 0, "nothing that was found limits"},
	} {
		g := readGolden(t, filepath.Join("testdata", c.golden+".json.gz"))
		s := Suspect(&g.Run, &g.Res, standing(c.fault))
		knob, time := s.NoKnob, s.NoTime
		if k := s.Knob; k != nil {
			knob = fmt.Sprintf("%s.%s %s %s", k.Service, k.Setting, k.From, k.To)
			best := look(&g.Run, &g.Res).best.GoodputPerSecond
			if r := k.PerSecond; r.Value < c.low*best || r.Value > c.high*best || r.Low > r.Value || r.High < r.Value || k.Limit == "" || k.KneeUsers <= 0 {
				t.Errorf("%s: %+v, want %v to %v times the %.3g/s measured", c.golden, *k, c.low, c.high, best)
			}
		}
		if x := s.Time; x != nil {
			time = fmt.Sprintf("%s.time %s %s by %s→%s", x.Service, x.From, x.To, x.Caller, x.Callee)
			if x.HoldS <= 0 {
				t.Errorf("%s: a call takes %v s", c.golden, x.HoldS)
			}
		}
		if !strings.Contains(knob, c.knob) || !strings.Contains(time, c.time) {
			t.Errorf("%s: %q and %q, want %q and %q", c.golden, knob, time, c.knob, c.time)
		}
	}
}

// TestSuspectWithoutCommands: a target whose settings nothing can change is told which would help.
func TestSuspectWithoutCommands(t *testing.T) {
	t.Parallel()
	run, res := hashingAt10().play()
	s := Suspect(run, res, func(string, string) (string, bool) { return "", false })
	if s.Knob != nil || s.Time != nil || !strings.Contains(s.NoKnob, "no command changes user.hash_cost") || !strings.Contains(s.NoTime, "time of a downstream of user") {
		t.Errorf("%+v", s)
	}
	stuck := func(string, string) (string, bool) { return "auto", true }
	if s := Suspect(run, res, stuck); s.Knob != nil || !strings.Contains(s.NoKnob, "user.hash_cost (it stands at auto)") {
		t.Errorf("%+v", s)
	}
	res.Trials = nil
	if s := Suspect(run, res, stuck); s.NoKnob == "" || s.NoTime == "" {
		t.Errorf("%+v", s)
	}
}

// tested adds a test's figures to a run, and a load with another setting, which must not be looked at.
func tested(run *record.Run, res *record.Result, tests ...record.Test) {
	end := starts[parts]
	run.Events = append(run.Events, record.Event{OffsetS: end, Kind: record.EventSetting})
	bad := 0.0
	res.Trials = append(res.Trials, record.Trial{Phase: record.PhaseTests, Load: record.Load{Users: 40}, StartS: end + 1, Seconds: 10, N: 1000, GoodputPerSecond: 100, ErrorPercent: &bad, Verdict: "pass"})
	for at := end; at < end+12; at++ {
		run.Frames = append(run.Frames, record.Frame{OffsetS: at, Seconds: 1, Trial: len(res.Trials) - 1, Phase: record.PhaseTests, Users: 40, InFlight: 40})
		run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: at, Service: "user", Values: map[string]float64{
			"hash_pool_size": 64, "hash_seconds_total": at, "hashes_total": 100 * at, "process_open_fds": 19_999, "process_max_fds": 20_000, "process_cpu_seconds_total": 2 * at,
		}})
	}
	for _, x := range tests {
		raw, _ := json.Marshal(x)
		run.Events = append(run.Events, record.Event{OffsetS: end + 12, Kind: record.EventTest, Data: raw})
	}
}

// TestPredictionsOfSettings: what a setting did confirms the cause that predicted it, contradicts it when it did something else,
// and says nothing where causes that are not excluded predict the same, or where other work took the machine.
func TestPredictionsOfSettings(t *testing.T) {
	t.Parallel()
	kb := `{downstream="kill-bill"}`
	semaphore := flatAt(5).with(healthy(), services{"billing": {
		"semaphore_limit" + kb: always(1), "semaphore_in_use" + kb: level(0, .4, 1, 1, 0), "semaphore_waiting" + kb: level(0, 0, 8, 40, 0),
	}})
	knob := func(where, name string, before, after, predicted, other float64) record.Test {
		return record.Test{Name: record.TestKnob, Where: where, Values: map[string]float64{
			"before_per_second": before, "after_per_second": after, "predicted_per_second": predicted, "other_work_percent": other,
		}, Words: map[string]string{"knob": name, "from": "1", "to": "2", "limit": "user hash pool"}}
	}
	unseen := knob("user", "hash_cost", 10, 12, 20.2, 0)
	delete(unseen.Values, "other_work_percent")
	elastic := func(e, other float64) record.Test {
		return record.Test{
			Name: record.TestElasticity, Where: "kill-bill", Values: map[string]float64{"elasticity": e, "other_work_percent": other},
			Words: map[string]string{"caller": "billing", "callee": "kill-bill"},
		}
	}
	elsewhere := elastic(-.1, 3)
	elsewhere.Words["caller"] = "user"
	crowd := knob("user", "hash_cost", 10, 12, 20.2, 3)
	crowd.Values["users"], crowd.Values["predicted_knee_users"] = 9, 8
	short := knob("user", "hash_cost", 10, 16, 20.2, 3)
	short.Values["users"], short.Values["predicted_knee_users"] = 20, 8
	busy := hashingAt10()
	busy.change = func(_ *record.Run, res *record.Result) {
		other := 40.0
		for i := range res.Trials {
			res.Trials[i].OtherWorkPercent = &other
		}
	}
	for _, c := range []struct {
		name    string
		s       scene
		test    record.Test
		want    string
		against bool
	}{
		{"as predicted", hashingAt10(), knob("user", "hash_cost", 10, 18.5, 20.2, 3), "cpu-bound-hashing@user C3 slow-because", false},
		{"as predicted in spite of other work", hashingAt10(), knob("user", "hash_cost", 10, 18.5, 20.2, 40), "cpu-bound-hashing@user C3 slow-because", false},
		{"less than predicted", hashingAt10(), knob("user", "hash_cost", 10, 12, 20.2, 3), "cpu-bound-hashing@user C1 slow-because", true},
		{"less than predicted, beside other work", hashingAt10(), knob("user", "hash_cost", 10, 12, 20.2, 40), "cpu-bound-hashing@user C2 slow-because", false},
		{"less than predicted, beside nobody knows what", hashingAt10(), unseen, "cpu-bound-hashing@user C2 slow-because", false},
		{"more than predicted", hashingAt10(), knob("user", "hash_cost", 10, 24, 20.2, 3), "cpu-bound-hashing@user C1 slow-because", true},
		{"no gain predicted", hashingAt10(), knob("user", "hash_cost", 10, 11, 12, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"another's setting", hashingAt10(), knob("user", "workers", 10, 10, 20.2, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"another service's setting", hashingAt10(), knob("billing", "hash_cost", 10, 10, 20.2, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"no figures", hashingAt10(), record.Test{Name: record.TestKnob, Where: "user", Words: map[string]string{"knob": "hash_cost"}}, "cpu-bound-hashing@user C2 slow-because", false},
		{"permits doubled", semaphore, knob("billing", "semaphore.kill-bill", 5, 9.8, 10, 3), "semaphore-too-small@billing C3 slow-because", false},
		{"permits doubled in vain", semaphore, knob("billing", "semaphore.kill-bill", 5, 5.1, 10, 3), "semaphore-too-small@billing C1 slow-because", true},
		{"hashing does not care for the downstream, as others would not", hashingAt10(), elastic(-.1, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"hashing that follows the downstream", hashingAt10(), elastic(-.9, 3), "cpu-bound-hashing@user C1 slow-because", true},
		{"permits held for the downstream", semaphore, elastic(-.9, 3), "semaphore-too-small@billing C3 slow-because", false},
		{"permits held for the downstream, or other work that took the CPU", semaphore, elastic(-.9, 30), "semaphore-too-small@billing C2 slow-because", false},
		{"permits for another call", semaphore, elsewhere, "semaphore-too-small@billing C2 slow-because", false},
		{"less than predicted, with too few users for it", hashingAt10(), crowd, "cpu-bound-hashing@user C2 slow-because", false},
		{"a gain that falls short of what more users would bring", hashingAt10(), short, "cpu-bound-hashing@user C2 slow-because", false},
		{"a gain that chance may bring", hashingAt10(), knob("user", "hash_cost", 10, 11.2, 13.1, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"as predicted of what was measured beside other work", busy, knob("user", "hash_cost", 10, 18.5, 20.2, 3), "cpu-bound-hashing@user C2 slow-because", false},
		{"permits that are not", semaphore, elastic(-.1, 3), "semaphore-too-small@billing C1 slow-because", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run, res := c.s.play()
			before := *res
			Explain(run, &before)
			tested(run, res, c.test)
			Explain(run, res)
			if got := named(res); !slices.Equal(got, []string{c.want}) {
				t.Fatalf("found %q, want %q", got, c.want)
			}
			if got := len(res.Findings[0].Contradictions) > 0; got != c.against {
				t.Errorf("contradictions %q", res.Findings[0].Contradictions)
			}
			same := func(v any) string { text, _ := json.Marshal(v); return string(text) }
			if same(res.Ceilings) != same(before.Ceilings) || same(res.Capacity) != same(before.Capacity) || same(res.Remarks) != same(before.Remarks) {
				t.Errorf("what was measured with another setting changed the ceilings:\n%s\n%s", same(res.Ceilings), same(before.Ceilings))
			}
		})
	}
}

// TestTimeOfADownstreamHoldsPermits: permits and connections are held for as long as what they are for takes.
func TestTimeOfADownstreamHoldsPermits(t *testing.T) {
	t.Parallel()
	g := readGolden(t, filepath.Join("testdata", "slow-downstream.json.gz"))
	for expr, want := range map[string]float64{"kill-bill.time=4s": 0.5, "kill-bill.time=8s": 0.25} {
		f, err := WhatIf(&g.Run, &g.Res, 0, []string{expr})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.After.PerSecond.Value / f.Before.PerSecond.Value; math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: %.3g of the throughput, want %.3g; %s limits", expr, got, want, f.After.Limit)
		}
	}
}
