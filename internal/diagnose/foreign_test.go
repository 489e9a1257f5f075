package diagnose

import (
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

func at(v float64) *float64 { return &v }

// kernelSays adds a reading of a service by the kernel each second.
func kernelSays(p record.ProcessReading) func(*record.Run, *record.Result) {
	return func(run *record.Run, _ *record.Result) {
		for i := range int(starts[parts]) {
			p.OffsetS = float64(i)
			run.Procs = append(run.Procs, p)
		}
	}
}

// TestForeignServices: what is ordinary for services of other makes, and looks like a cause, is none that is sure.
func TestForeignServices(t *testing.T) {
	t.Parallel()
	pool := func(servers float64, cpu value, held [3]float64) services {
		return services{"shop": {
			`pool.max{pool="main"}`: always(servers), `pool.in_use{pool="main"}`: level(0, held[0], held[1], held[2], 0), `pool.waiting{pool="main"}`: level(0, 0, 5, 40, 0),
			"process_cpu_seconds_total": cpu,
		}}
	}
	rtt := func(dial float64) func(*record.Run, *record.Result) {
		return func(_ *record.Run, res *record.Result) {
			res.Connections.Client.TCP = &record.ClientTCP{RTTMs: record.Percentiles{P50: at(400)}}
			res.Connections.Client.DialMs = record.Percentiles{P50: at(dial)}
		}
	}
	closeWait := kernelSays(record.ProcessReading{Service: "shop", PIDs: []int{1}, Outbound: map[string]map[string]int{"store": {"CLOSE_WAIT": 8}}})
	busy := scene{x: [3]float64{2, 5, 5}, ms: [3]float64{450, 2000, 10000}, recovery: record.SelfHealing}
	stuck := busy
	stuck.recovery = record.Stuck
	for name, c := range map[string]struct {
		s      scene
		change func(*record.Run, *record.Result)
		cause  string
		sure   bool
	}{
		"answers that acknowledge late":      {busy.with(besides), rtt(0.05), "network", false},
		"a way that is long":                 {busy.with(besides), rtt(390), "network", true},
		"a pool of the store":                {busy.with(pool(4, counter(0, .2, .5, .5, 0), [3]float64{1.6, 4, 4})), nil, "database-pool-starved", true},
		"a pool whose holders want a core":   {busy.with(pool(4, counter(0, .8, 1.95, 1.95, 0), [3]float64{1.6, 4, 4})), nil, "database-pool-starved", false},
		"a pool before a store that is slow": {busy.with(pool(4, counter(0, .2, .5, .5, 0), [3]float64{.4, 4, 4})), nil, "database-pool-starved", false},
		"a pool that an overload fills":      {busy.with(pool(10, counter(0, .2, .5, .5, 0), [3]float64{2, 5, 10})), nil, "database-pool-starved", false},
		"idle connections the peer closed":   {busy.with(besides), closeWait, "leaked-connections", false},
		"the same of a target that is stuck": {stuck.with(besides), closeWait, "leaked-connections", true},
		"a collector that uses idle cores": {busy.with(services{"api": {
			"go_cpu_classes_gc_total_cpu_seconds_total": counter(0, .02, .13, .13, 0), "go_gc_duration_seconds_count": counter(0, 2, 6, 6, 0), "process_cpu_seconds_total": counter(0, .1, .4, .4, 0),
		}}), nil, "memory-pressure", false},
		"a collector whose program wants its cores": {busy.with(services{"api": {
			"go_cpu_classes_gc_total_cpu_seconds_total": counter(0, .02, .49, .49, 0), "go_gc_duration_seconds_count": counter(0, 2, 12, 12, 0), "process_cpu_seconds_total": counter(0, .4, 1.89, 1.89, 0),
			"go_sched_gomaxprocs_threads": level(2, 2, 2, 2, 2),
		}}), nil, "memory-pressure", true},
		"a collector that runs beside the program": {busy.with(services{"api": {
			`gc.pause_sum{gc="ZGC Minor Cycles"}`: counter(0, .1, .4, .4, 0), `gc.pauses{gc="ZGC Minor Cycles"}`: counter(0, 1, 4, 4, 0),
			`gc.pause_sum{gc="ZGC Minor Pauses"}`: counter(0, 0, .01, .01, 0), `gc.pauses{gc="ZGC Minor Pauses"}`: counter(0, 3, 12, 12, 0), "process_cpu_seconds_total": counter(0, .5, 1.5, 1.5, 0),
		}}), nil, "memory-pressure", false},
		"loggers that wait for each other": {busy.with(services{"api": {mutexWait: counter(0, 0, 1.4, 1.4, 0), "process_cpu_seconds_total": counter(0, .1, .2, .2, 0)}}), nil, "lock-contention", false},
		"workers that answer scrapes by turns": {busy.with(services{"api": {"process_cpu_seconds_total": counter(0, .4, .95, .95, 0)}}), func(run *record.Run, _ *record.Result) {
			for i := range int(starts[parts]) {
				run.Procs = append(run.Procs, record.ProcessReading{
					OffsetS: float64(i), Service: "api", PIDs: []int{1, 2, 3, 4}, CPUSeconds: at(1.9 * float64(i)), BusiestThreadPercent: at(97),
				})
			}
			for i := range run.Scrapes {
				if s := &run.Scrapes[i]; s.OffsetS >= starts[one] {
					s.Ms = 200
				}
			}
		}, "event-loop-blocked", false},
		"descriptors of many processes": {busy.with(besides), kernelSays(record.ProcessReading{Service: "app", PIDs: []int{1, 2, 3}, FDs: at(1000), FDLimit: at(1024)}), "descriptor-exhaustion", false},
		"descriptors of one":            {busy.with(besides), kernelSays(record.ProcessReading{Service: "app", PIDs: []int{1}, FDs: at(1000), FDLimit: at(1024)}), "descriptor-exhaustion", true},
		"streams of others": {busy.with(services{"app": {"http_requests_in_progress": level(20, 21, 30, 70, 20)}}), func(run *record.Run, _ *record.Result) {
			run.Probes = append(run.Probes, record.Probe{OffsetS: 60, Ms: 100, Probe: "functional", Error: "timeout"})
		}, "abandoned-work", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, res := c.s.play()
			if c.change != nil {
				c.change(run, res)
			}
			Explain(run, res)
			sure := slices.ContainsFunc(res.Findings, func(f record.Finding) bool { return f.Cause == c.cause && f.Confidence != C1 })
			if sure != c.sure {
				t.Errorf("found %q, want %s sure: %v", named(res), c.cause, c.sure)
			}
		})
	}
}

// TestBulkheadOfALibrary: permits without the calls they are for are too few where they are held no longer than with one user.
func TestBulkheadOfALibrary(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		alone float64 // permits in use with one user
		want  string
	}{
		"held as long": {1.6, "semaphore-too-small@api C2 slow-because"},
		"held longer":  {0.4, "unknown@ C1 slow-because"},
	} {
		s := scene{x: [3]float64{2, 5, 5}, ms: [3]float64{900, 2000, 10000}, recovery: record.SelfHealing}.with(services{"api": {
			"sem.max": always(4), "sem.in_use": level(0, tt.alone, 4, 4, 0), "sem.waiting": level(0, 0, 6, 40, 0),
		}})
		run, res := s.play()
		Explain(run, res)
		if got := named(res); len(got) == 0 || got[0] != tt.want {
			t.Errorf("%s: %q, want %q first", name, got, tt.want)
		}
	}
}

// TestTwoDatabasePools: each has its own name in a forecast, and the one that is full is the one that is named.
func TestTwoDatabasePools(t *testing.T) {
	t.Parallel()
	s := flatAt(5).with(healthy(), services{"shop": {
		`pool.max{pool="audit"}`: always(4), `pool.in_use{pool="audit"}`: level(0, .2, .5, .5, 0), `pool.waiting{pool="audit"}`: always(0),
		`pool.max{pool="main"}`: always(2), `pool.in_use{pool="main"}`: level(0, .8, 2, 2, 0), `pool.waiting{pool="main"}`: level(0, 0, 7, 45, 0),
	}})
	run, res := s.play()
	Explain(run, res)
	if got := named(res); len(got) == 0 || got[0] != "database-pool-starved@shop C2 slow-because" {
		t.Fatalf("found %q", got)
	}
	if p := res.Findings[0].Prediction; p == nil || strings.Contains(p.Limit, "pool main") {
		t.Errorf("without that pool %+v limits", p)
	}
	f, err := WhatIf(run, res, 20, []string{"shop.db_pool.main=4"})
	if err != nil || f.After.PerSecond.Value < 8 {
		t.Errorf("%+v, %v, want about 10/s", f, err)
	}
}

// TestHashingOfSeveralSteps: throughput counts requests, and not every one of them hashes.
func TestHashingOfSeveralSteps(t *testing.T) {
	t.Parallel()
	run, res := flatAt(20).with(healthy(), fullHashPool).play() // 20 requests a second, ten of which hash for 0.2 s
	run.Info.Steps = []string{"register", "read"}
	Explain(run, res)
	if !slices.ContainsFunc(res.Remarks, func(s string) bool { return strings.Contains(s, "a request: 2 cores allow 20") }) {
		t.Errorf("%q, want 20 requests a second", res.Remarks)
	}
}

// TestNoCeilingsOfWhatFails: what journeys that failed took is no demand of those that did not.
func TestNoCeilingsOfWhatFails(t *testing.T) {
	t.Parallel()
	for failed, want := range map[float64]bool{0: true, 60: false} {
		s := flatAt(10).with(healthy(), fullHashPool)
		s.failed = [3]float64{failed, failed, failed}
		run, res := s.play()
		Explain(run, res)
		if got := len(res.Ceilings) > 0; got != want {
			t.Errorf("%v %% failed: ceilings %v", failed, res.Ceilings)
		}
		if got := res.Findings[0].Prediction != nil; got != want {
			t.Errorf("%v %% failed: prediction %v", failed, res.Findings[0].Prediction)
		}
		if _, err := WhatIf(run, res, 20, []string{"user.cores=4"}); (err == nil) != want {
			t.Errorf("%v %% failed: a forecast: %v", failed, err)
		}
	}
}
