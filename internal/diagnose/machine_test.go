package diagnose

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// sharing is a user-service that computes 190 ms of a journey on its one event loop, beside services and a captest that take another
// 10, 10 and 20 ms of it, all on one machine of two cores. Descriptors of billing: 20, and 8 for each journey a second.
func sharing() scene {
	s := flatAt(5).with(healthy(), services{
		"user": {
			"hash_pool_size": always(0), `event_loop_busy_seconds_total{worker="0"}`: counter(0, .4, 1, 1, 0),
			`event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 8, 48, 0), "hash_seconds_total": counter(0, .38, .95, .95, 0),
			"process_cpu_seconds_total": counter(0, .38, .95, .95, 0),
		},
		"billing":   {"process_cpu_seconds_total": counter(0, .02, .05, .05, 0), "process_open_fds": level(20, 36, 60, 60, 20), "process_max_fds": always(90)},
		"kill-bill": {"process_cpu_seconds_total": counter(0, .02, .05, .05, 0), "go_sched_gomaxprocs_threads": always(2)},
	})
	s.change = func(run *record.Run, _ *record.Result) {
		for _, name := range []string{"user", "billing", "kill-bill"} {
			run.Procs = append(run.Procs, record.ProcessReading{OffsetS: 30, Service: name})
		}
		for at := range int(starts[parts]) {
			own := 0.0
			switch {
			case float64(at) >= starts[ten] && float64(at) < starts[nobody]:
				own = 10
			case float64(at) >= starts[one] && float64(at) < starts[ten]:
				own = 4
			}
			run.Hosts = append(run.Hosts, record.HostReading{OffsetS: float64(at), GeneratorCPUPercent: &own})
		}
	}
	return s
}

// TestCoresAreShared: 230 ms of two cores are 8.7/s, whichever process could have all of them.
func TestCoresAreShared(t *testing.T) {
	t.Parallel()
	all := func(change func(*record.Run)) *record.Ceiling {
		run, res := sharing().play()
		if change != nil {
			change(run)
		}
		Explain(run, res)
		for i := range res.Ceilings {
			if res.Ceilings[i].Where == machineName {
				return &res.Ceilings[i]
			}
		}
		return nil
	}
	c := all(nil)
	if c == nil || math.Abs(c.DemandMs-230) > 8 || math.Abs(c.PerSecond-8.7) > 0.35 || c.Servers != 2 {
		t.Errorf("the machine's CPU: %+v, want 230 ms of 2 cores a journey", c)
	}
	for what, change := range map[string]func(*record.Run){
		"a target elsewhere":    func(run *record.Run) { run.Info.Host.Colocated = false },
		"one service elsewhere": func(run *record.Run) { run.Procs = run.Procs[:2] },
		"captest's use unknown": func(run *record.Run) { run.Hosts = nil },
	} {
		if c := all(change); c != nil {
			t.Errorf("%s: %+v, want no such ceiling", what, c)
		}
	}
}

// TestWhatIfOnSharedCores: more event loops than cores take turns, and no change of one process gets more than all have.
func TestWhatIfOnSharedCores(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		exprs   string
		highest float64
		limit   string
	}{
		{"user.workers=4", 8.7, machineName},
		{"user.workers=1", 5, "user event loop"},
		{"user.hash=pool", 8.7, machineName},
		{"user.hash_cost=11", 9.3, "user event loop"}, // 107 ms of the loop, 135 ms of the machine
		{"user.workers=4 user.cores=8", 20, "user event loop"},
		{"user.cores=8 user.workers=4", 20, "user event loop"},
		{"user.workers=4 user.hash_cost=11", 14.8, machineName},
	} {
		run, res := sharing().play()
		f, err := WhatIf(run, res, 20, strings.Fields(tt.exprs))
		if err != nil {
			t.Errorf("%s: %v", tt.exprs, err)
			continue
		}
		if got := f.After.PerSecond.Value; math.Abs(got-tt.highest) > 0.05*tt.highest || !strings.Contains(f.After.Limit, tt.limit) {
			t.Errorf("%s: %.4g/s by %s, want %.4g/s by %s", tt.exprs, got, f.After.Limit, tt.highest, tt.limit)
		}
	}
	// Four loops on two cores are no better with few users than two.
	run, res := sharing().play()
	four, err4 := WhatIf(run, res, 4, []string{"user.workers=4"})
	run, res = sharing().play()
	two, err2 := WhatIf(run, res, 4, []string{"user.workers=2"})
	if err2 != nil || err4 != nil {
		t.Fatal(err2, err4)
	}
	at := func(f *Forecast) float64 {
		for _, p := range f.After.Curve {
			if p.Users == 4 {
				return p.PerSecond.Value
			}
		}
		return math.NaN()
	}
	if !(at(four) <= 1.06*at(two)) {
		t.Errorf("four loops give %.4g/s with four users, two give %.4g/s", at(four), at(two))
	}
}

// TestWhatIfRunsOutOfDescriptors: a forecast says what else a throughput would take, and says nothing where there is enough.
func TestWhatIfRunsOutOfDescriptors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit float64
		want  string
	}{{85, "it breaks before it gets there"}, {20000, ""}, {90.5, "it may break before it gets there"}} {
		s := sharing().with(services{"billing": {"process_max_fds": always(tt.limit), "process_open_fds": level(20, 36, 61, 60, 20)}})
		run, res := s.play()
		f, err := WhatIf(run, res, 20, []string{"user.workers=4"})
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(f.Sentences, "\n")
		if strings.Contains(said, "descriptors") != (tt.want != "") || !strings.Contains(said, tt.want) {
			t.Errorf("limit %v: %q, want %q", tt.limit, said, tt.want)
		}
		if f, err = WhatIf(run, res, 20, nil); err != nil || strings.Contains(strings.Join(f.Sentences, ""), "descriptors") {
			t.Errorf("limit %v: unchanged: %v, %q", tt.limit, err, f.Sentences)
		}
	}
}

// TestMoreLoopsThanCores: loops that wait for each other's cores are not short of them because of others, and more of them help nobody.
func TestMoreLoopsThanCores(t *testing.T) {
	t.Parallel()
	loops := map[string]value{"hash_pool_size": always(0), "hash_seconds_total": counter(0, .5, 3.8, 3.8, 0), "process_cpu_seconds_total": counter(0, .4, 1.93, 1.93, 0)}
	for i := range 4 {
		loops[fmt.Sprintf(`event_loop_busy_seconds_total{worker="%d"}`, i)] = counter(0, .12, .96, .96, 0)
		loops[fmt.Sprintf(`event_loop_wait_seconds_total{worker="%d"}`, i)] = counter(0, 0, 2, 12, 0)
	}
	s := flatAt(10).with(healthy(), services{"user": loops})
	s.change = func(run *record.Run, _ *record.Result) {
		for i := range int(starts[parts]) {
			run.Hosts = append(run.Hosts, record.HostReading{OffsetS: float64(i), CPUPercent: at(100)})
		}
	}
	res := check(t, s, "event-loop-blocked@user C2 slow-because")
	if got := res.Findings[0].Remedy; !strings.Contains(got, "more workers alone bring nothing") {
		t.Errorf("remedy %q", got)
	}
}
