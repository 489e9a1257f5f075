package diagnose

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

const kb = `{downstream="kill-bill"}`

// fullHashPool: ten hashes a second at 200 ms on two cores.
var fullHashPool = services{"user": {
	"hash_seconds_total": counter(0, .4, 1.98, 1.98, 0), "hashes_total": counter(0, 2, 10, 10, 0), "hash_pool_queue": level(0, 0, 6, 40, 0),
	"process_cpu_seconds_total": counter(.01, .4, 1.95, 1.95, .01),
}}

// makingClients is a billing-service whose only event loop makes two clients a journey, 100 ms each, at 5/s.
func makingClients() scene {
	return flatAt(5).with(healthy(), services{"billing": calls("kill-bill", [3]float64{4, 10, 10}, [3]float64{.2, .2, .2}, 1)}, services{"billing": {
		`event_loop_busy_seconds_total{worker="0"}`: counter(0, .42, .99, .99, 0), `event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 8, 48, 0),
		clientBuild + kb: counter(0, .4, .97, .97, 0), "process_cpu_seconds_total": counter(0, .42, .99, .99, 0),
	}})
}

// TestPooledClients: keeping one client gives back what making them took of the loop, and nothing where no metric tells that.
func TestPooledClients(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s       scene
		highest float64
	}{"making them takes the loop": {makingClients(), 10}, "making them takes nothing": {flatAt(10).with(healthy(), fullHashPool, services{"billing": calls("kill-bill", [3]float64{4, 10, 10}, [3]float64{.2, .2, .2}, 1)}), 10.1}} {
		run, res := tt.s.play()
		f, err := WhatIf(run, res, 20, []string{"billing.client=pooled"})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.After.PerSecond.Value; math.Abs(got-tt.highest) > 0.06*tt.highest || !strings.Contains(f.After.Limit, "hash") {
			t.Errorf("%s: %.3g/s by %s, want %.3g/s by hashing", name, got, f.After.Limit, tt.highest)
		}
	}
	run, res := makingClients().play()
	explained := *res
	Explain(run, &explained)
	if p := explained.Findings[0].Prediction; p == nil || p.PerSecond == nil || math.Abs(*p.PerSecond-10) > 0.6 {
		t.Errorf("prediction %+v, want about 10/s", p)
	}
	s := Suspect(run, res, func(service, setting string) (string, bool) {
		return "per-request", service == "billing" && setting == "client"
	})
	if k := s.Knob; k == nil || k.Setting != "client" || k.To != "pooled" || math.Abs(k.PerSecond.Value-10) > 0.6 {
		t.Errorf("knob test %+v, %s", s.Knob, s.NoKnob)
	}
}

// TestCauses plants each cause in services that are healthy otherwise, and wants it named where it is, with nothing beside it.
func TestCauses(t *testing.T) {
	t.Parallel()
	slow, stuck := " C2 slow-because", " C2 stuck-because"
	tests := []struct {
		name  string
		scene scene
		want  []string
	}{
		{"a healthy service that is busy hashing", flatAt(10).with(healthy(), fullHashPool), []string{"cpu-bound-hashing@user" + slow}},
		{"nothing is full", flatAt(5).with(healthy()), []string{"unknown@ C1 slow-because"}},
		{"hashing on the event loop", flatAt(5).with(healthy(), services{"user": {
			"hash_pool_size": always(0), `event_loop_busy_seconds_total{worker="0"}`: counter(0, .45, .99, .99, 0),
			`event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 8, 48, 0), "hash_seconds_total": counter(0, .4, .95, .95, 0),
		}}), []string{"event-loop-blocked@user" + slow}},
		{"one connection for all calls", flatAt(5).with(healthy(), services{"billing": {
			poolWait + kb: counter(0, 0, 8, 9, 0), callSeconds + kb: counter(0, .4, 9, 10, 0), connsOpen + kb: always(1),
			"semaphore_in_use" + kb: level(0, .4, 9, 10, 0), "semaphore_waiting" + kb: level(0, 0, 0, 30, 0),
		}}), []string{"pool-too-small@billing" + slow}},
		{"one permit for all calls", flatAt(5).with(healthy(), services{"billing": {
			"semaphore_limit" + kb: always(1), "semaphore_in_use" + kb: level(0, .4, 1, 1, 0), "semaphore_waiting" + kb: level(0, 0, 7, 40, 0),
		}}), []string{"semaphore-too-small@billing" + slow}},
		{"a store pool kept through hashing and calls", flatAt(5).with(healthy(), services{"user": {
			`pool.max{db_name="s"}`: always(2), `pool.in_use{db_name="s"}`: level(0, .9, 2, 2, 0), `pool.wait_sum{db_name="s"}`: counter(0, 0, 7, 45, 0),
			"store_session_seconds_total": counter(0, .9, 2, 2, 0),
		}}), []string{"database-pool-starved@user" + slow}},
		{"a lock that all requests share", flatAt(4).with(healthy(), services{"user": {
			"hot_lock_held_seconds_total": counter(0, .5, .99, .99, 0), "hot_lock_wait_seconds_total": counter(0, 0, 8, 48, 0), mutexWait: counter(0, 0, 8, 48, 0),
		}}), []string{"lock-contention@user" + slow}},
		{"mutexes of a runtime", flatAt(4).with(healthy(), services{"user": {mutexWait: counter(0, 0, 8, 48, 0)}}), []string{"lock-contention@user" + slow}},
		{"a slow kill-bill", scene{x: [3]float64{.4, 5, 5}, ms: [3]float64{2400, 2400, 10000}, recovery: record.SelfHealing}.with(healthy(), services{
			"user":    merge(calls("billing", [3]float64{.4, 5, 5}, [3]float64{2, 2, 2}, .01), map[string]value{`semaphore_in_use{downstream="billing"}`: level(0, .8, 10, 10, 0), `semaphore_waiting{downstream="billing"}`: level(0, 0, 0, 30, 0)}),
			"billing": merge(calls("kill-bill", [3]float64{.4, 5, 5}, [3]float64{2, 2, 2}, .01), map[string]value{"semaphore_in_use" + kb: level(0, .8, 10, 10, 0), "semaphore_waiting" + kb: level(0, 0, 0, 30, 0)}),
		}), []string{"slow-downstream@kill-bill" + slow}},
		{"garbage collection", flatAt(4).with(healthy(), fullHashPool, services{"user": {
			"go_cpu_classes_gc_total_cpu_seconds_total": counter(0, .02, .9, 1, 0), "go_gc_duration_seconds_count": counter(0, 1, 28, 30, 0), "hashes_total": counter(0, 2, 4, 4, 0),
		}}), []string{"memory-pressure@user" + slow}},
		{"pauses of a collector known by role", flatAt(4).with(healthy(), fullHashPool, services{"user": {
			`gc.pause_sum{kind="minor"}`: counter(0, .01, .2, .3, 0), `gc.pause_sum{kind="major"}`: counter(0, 0, .2, .3, 0),
			`gc.pauses{kind="minor"}`: counter(0, 1, 20, 30, 0), `gc.pauses{kind="major"}`: counter(0, 0, 2, 3, 0), "hashes_total": counter(0, 2, 4, 4, 0),
		}}), []string{"memory-pressure@user" + slow}},
		{"one of two HikariCP pools, by those who wait", flatAt(5).with(healthy(), services{"instance": {
			`pool.max{pool="main"}`: always(2), `pool.in_use{pool="main"}`: level(0, .9, 2, 2, 0), `pool.waiting{pool="main"}`: level(0, 0, 7, 45, 0),
			`pool.max{pool="audit"}`: always(100), `pool.in_use{pool="audit"}`: level(0, .1, 1, 1, 0), `pool.waiting{pool="audit"}`: always(0),
		}}), []string{"database-pool-starved@instance" + slow}},
		{"a hash pool known by role", flatAt(10).with(healthy(), services{"user": {"hash_pool_size": always(0), "hash_seconds_total": always(0), "hashes_total": always(0)}}, services{"auth": {
			"hash.max": always(2), "hash.busy": level(0, .4, 1.98, 1.98, 0), "hash.queue": level(0, 0, 6, 40, 0),
		}}), []string{"cpu-bound-hashing@auth" + slow}},
		{"retries of what is refused", flatAt(5).with(healthy(), services{"billing": {
			callCount + kb: counter(0, 2, 8, 25, 0), callRetries + kb: counter(0, 0, 3, 20, 0), callResults + `{downstream="kill-bill",status="503"}`: counter(0, 0, 4, 21, 0),
		}}), []string{"retry-storm@billing" + slow}},
		{"an accept queue that is full", flatAt(2).with(healthy(), services{"billing": {
			"accept_queue_length": level(0, 0, 2, 2, 0), "accept_queue_limit": always(2), "connections_accepted_total": counter(0, 2, 2, 2, 0),
		}}), []string{"accept-backlog@billing" + slow}},
		{"descriptors that ran out and stay", scene{x: [3]float64{2, 5, 1}, ms: [3]float64{450, 2000, 9000}, recovery: record.StuckRestart}.with(healthy(), fullHashPool, services{"user": {
			"process_open_fds": level(20, 24, 50, 63, 63), "process_max_fds": always(64), "hashes_total": counter(0, 2, 5, 5, 0),
		}}), []string{"descriptor-exhaustion@user" + stuck, "cpu-bound-hashing@user" + slow}},
		{"connections lost for ever", scene{x: [3]float64{2, 5, 0.1}, ms: [3]float64{450, 2000, 9000}, recovery: record.Stuck}.with(healthy(), fullHashPool, services{
			"user":    {"hashes_total": counter(0, 2, 5, 5, 0)},
			"billing": {connsInUse + kb: level(0, .4, 5, 20, 20), connsOpen + kb: level(0, 2, 8, 20, 20), poolWait + kb: counter(0, 0, 0, 10, 0)},
		}), []string{"leaked-connections@billing" + stuck, "cpu-bound-hashing@user" + slow}},
		{"a connection for each call", flatAt(10).with(healthy(), fullHashPool, services{"billing": calls("kill-bill", [3]float64{2, 10, 10}, [3]float64{.2, .2, .2}, 1)}), []string{
			"cpu-bound-hashing@user" + slow, "connection-per-request@billing C2 next",
		}},
		{"clients that take the event loop to make", makingClients(), []string{"connection-per-request@billing" + slow}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.scene, tt.want...)
		})
	}
}

// TestUnbounded: no semaphore, fifty calls at once at a downstream of two places, which take ever longer.
func TestUnbounded(t *testing.T) {
	t.Parallel()
	s := flatAt(4).with(healthy(), services{
		"billing":   merge(calls("kill-bill", [3]float64{1.4, 4, 4}, [3]float64{.5, 2.2, 8}, .01), map[string]value{connsInUse + kb: level(0, .7, 9, 32, 0)}),
		"kill-bill": {"capacity_slots": always(2), "capacity_busy": level(0, .7, 2, 2, 0), "capacity_queued": level(0, 0, 7, 12, 0)},
	})
	delete(s.services["billing"], "semaphore_limit"+kb)
	check(t, s, "unbounded-concurrency@billing C2 slow-because")
	// The same with a bound is not unbounded; the downstream is full all the same.
	s.services["billing"]["semaphore_limit"+kb] = always(20)
	check(t, s, "unknown@ C1 slow-because")
}

// TestBreaker: it must open and close, not open for good.
func TestBreaker(t *testing.T) {
	t.Parallel()
	s := flatAt(5).with(healthy())
	flap := func(open func(at int) bool) scene {
		s := s
		s.change = func(run *record.Run, _ *record.Result) {
			for i := range run.Scrapes {
				if x := &run.Scrapes[i]; x.Service == "billing" {
					v := 0.0
					if x.OffsetS >= 20 && x.OffsetS < 55 && open(int(x.OffsetS)) {
						v = 2
					}
					x.Values["circuit_breaker_state"+kb] = v
				}
			}
		}
		return s
	}
	check(t, flap(func(at int) bool { return at%2 == 0 }), "breaker-flapping@billing C2 slow-because")
	check(t, flap(func(at int) bool { return at >= 30 }), "unknown@ C1 slow-because")
}

// TestAbandoned: work goes on for clients that have gone, and ends.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"user": {"http_requests_in_progress": level(0, 1, 10, 50, 0)}})
	s.recovery = record.Slow
	s.change = func(run *record.Run, _ *record.Result) {
		run.Frames[54].Steps = map[string]*record.StepFrame{"register": {N: 40, Errors: map[string]uint64{"timeout": 40}}}
		for i := range run.Scrapes {
			if x := &run.Scrapes[i]; x.Service == "user" && x.OffsetS >= 55 && x.OffsetS < 65 {
				x.Values["http_requests_in_progress"] = 40 - 4*(x.OffsetS-55)
			}
		}
	}
	check(t, s, "cpu-bound-hashing@user C2 slow-because", "abandoned-work@user C2 stuck-because")
	s.change = nil
	check(t, s, "cpu-bound-hashing@user C2 slow-because")
}

// TestWhatTestsAskIsNotAbandoned: a burst of requests is in no frame, and is asked for all the same.
func TestWhatTestsAskIsNotAbandoned(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"user": {"http_requests_in_progress": level(0, 1, 10, 50, 0)}})
	s.change = func(run *record.Run, _ *record.Result) {
		run.Frames[54].Steps = map[string]*record.StepFrame{"register": {N: 40, Errors: map[string]uint64{"timeout": 40}}}
		for i := range run.Frames {
			if f := &run.Frames[i]; f.OffsetS >= 54 && f.OffsetS < 66 {
				f.Phase, f.Trial = record.PhaseTests, -1
			}
		}
		for i := range run.Scrapes {
			if x := &run.Scrapes[i]; x.Service == "user" && x.OffsetS >= 56 && x.OffsetS < 64 {
				x.Values["http_requests_in_progress"] = 16
			}
		}
	}
	check(t, s, "cpu-bound-hashing@user C2 slow-because")
}

// TestOthersTakeTheCores: a hash pool that is busy by the clock and hardly computes is not confirmed by its queue.
func TestOthersTakeTheCores(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"user": {"process_cpu_seconds_total": counter(.01, .1, .3, .3, .01)}})
	s.change = func(run *record.Run, _ *record.Result) {
		all := 100.0
		for i := range run.Frames {
			run.Hosts = append(run.Hosts, record.HostReading{OffsetS: run.Frames[i].OffsetS, CPUPercent: &all})
		}
	}
	res := check(t, s, "cpu-bound-hashing@user C1 slow-because")
	if len(res.Findings[0].Contradictions) != 1 {
		t.Errorf("contradictions %q, want what the process got of the cores", res.Findings[0].Contradictions)
	}
}

// TestKernelAlone: services without metrics, of which the kernel shows sockets and descriptors.
func TestKernelAlone(t *testing.T) {
	t.Parallel()
	s := flatAt(5)
	s.recovery = record.StuckRestart
	s.change = func(run *record.Run, _ *record.Result) {
		for i := range run.Frames {
			at := run.Frames[i].OffsetS
			fds, limit, lost := 30.0, 64.0, 0
			if at >= 40 {
				fds, lost = 62, 30
			}
			run.Procs = append(run.Procs, record.ProcessReading{OffsetS: at, Service: "app", PIDs: []int{1}, FDs: &fds, FDLimit: &limit, Outbound: map[string]map[string]int{"port 5432": {"CLOSE_WAIT": lost, "ESTABLISHED": 2}}})
		}
	}
	check(t, s, "descriptor-exhaustion@app C1 stuck-because", "leaked-connections@app C1 stuck-because", "unknown@ C1 slow-because")
	// The same beside a service that shows metrics.
	check(t, s.with(besides), "descriptor-exhaustion@app C2 stuck-because", "leaked-connections@app C2 stuck-because", "unknown@ C1 slow-because")
}

// TestOneFolderOneDiagnosis: whatever order maps come in.
func TestOneFolderOneDiagnosis(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 20 {
		run, res := flatAt(10).with(healthy(), fullHashPool).play()
		Explain(run, res)
		text, err := json.Marshal([]any{res.Findings, res.Ceilings, res.Remarks})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		}
		if !bytes.Equal(first, text) {
			t.Fatalf("two diagnoses of one run:\n%s\n%s", first, text)
		}
	}
}

// TestHotThread: a service of one loop that says nothing of it. A thread that computes while scrapes stay fast blocks nobody,
// and one of several that compute is a service that uses its cores.
func TestHotThread(t *testing.T) {
	t.Parallel()
	scrape, cores := 400.0, 1.0
	play := func() scene {
		slow, used := scrape, cores
		s := flatAt(5).with(services{"app": {"process_cpu_seconds_total": counter(.01, .4, used, used, .01)}})
		s.change = func(run *record.Run, _ *record.Result) {
			for i := range run.Scrapes {
				x := &run.Scrapes[i]
				hot := 1.0
				if x.OffsetS >= 20 && x.OffsetS < 55 {
					x.Ms, hot = slow, 97
				}
				run.Procs = append(run.Procs, record.ProcessReading{OffsetS: x.OffsetS, Service: "app", PIDs: []int{1}, BusiestThreadPercent: &hot})
			}
		}
		return s
	}
	check(t, play(), "event-loop-blocked@app C2 slow-because")
	scrape = 6
	check(t, play(), "unknown@ C1 slow-because")
	scrape, cores = 400, 1.9
	check(t, play(), "unknown@ C1 slow-because")
	cores = 1.0
	hung := play()
	before := hung.change
	hung.change = func(run *record.Run, res *record.Result) { // no scrape is answered under load: the kernel's account is left
		before(run, res)
		used := 0.0
		for i := range run.Scrapes {
			x, p := &run.Scrapes[i], &run.Procs[i]
			if x.OffsetS >= 20 && x.OffsetS < 55 {
				x.Ms, x.Error, x.Values = 1000, "timeout", nil
				used++
			}
			at := used
			p.CPUSeconds = &at
		}
	}
	check(t, hung, "event-loop-blocked@app C2 slow-because")
}

// TestBlackBox: a target of which only answers are seen gets no more than C1, and only where a health check tells is a cause named first.
func TestBlackBox(t *testing.T) {
	t.Parallel()
	health := 1800.0
	play := func() scene {
		busy := health
		s := flatAt(5)
		s.change = func(run *record.Run, _ *record.Result) {
			for at := range 80 {
				ms := 2.0
				if at >= 20 && at < 55 {
					ms = busy
				}
				run.Probes = append(run.Probes, record.Probe{OffsetS: float64(at), Probe: "health", Service: "app", OK: true, Ms: ms})
			}
		}
		return s
	}
	check(t, play(), "event-loop-blocked@ C1 slow-because")
	dead := play() // an address of metrics that never answers
	probes := dead.change
	dead.change = func(run *record.Run, res *record.Result) {
		probes(run, res)
		run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: 1, Service: "app", Ms: 1, Error: "status 404"}, record.Scrape{OffsetS: 40, Service: "app", Ms: 1, Error: "status 404"})
	}
	check(t, dead, "event-loop-blocked@ C1 slow-because")
	health = 5
	check(t, play(), "unknown@ C1 slow-because", "cpu-bound-hashing@ C1 or-because", "lock-contention@ C1 or-because")
}

// TestGenerator: nothing is said of a target while captest was the limit.
func TestGenerator(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool)
	s.change = func(_ *record.Run, res *record.Result) {
		cpu := 190.0
		res.Validity = record.Validity{Reasons: []string{"captest itself used 190 % CPU of 2 cores"}, GeneratorCPUPercent: &cpu}
	}
	check(t, s, "generator-saturated@captest C2 slow-because")
}

// TestNetwork: connecting takes most of what one user waits for.
func TestNetwork(t *testing.T) {
	t.Parallel()
	s := flatAt(5)
	play := func(dial float64, reused uint64) scene {
		s := s
		s.change = func(_ *record.Run, res *record.Result) {
			res.Connections.Client = record.ClientConnections{Opened: 100, Reused: reused, DialMs: record.Percentiles{P50: &dial}}
		}
		return s
	}
	check(t, play(300, 0), "network@ C1 slow-because")
	check(t, play(300, 0).with(besides), "network@ C2 slow-because")
	check(t, play(300, 900), "unknown@ C1 slow-because", "cpu-bound-hashing@ C1 or-because")
	check(t, play(20, 0), "unknown@ C1 slow-because", "cpu-bound-hashing@ C1 or-because")
}
