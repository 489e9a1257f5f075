package diagnose

import (
	"slices"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestLookalikes: what looks like a cause and is not leaves it unnamed.
func TestLookalikes(t *testing.T) {
	t.Parallel()
	const bill = `{downstream="billing"}`
	hashing := "cpu-bound-hashing@user C2 slow-because"
	onePermit := services{"billing": {"semaphore_limit" + kb: always(1), "semaphore_in_use" + kb: level(0, .4, 1, 1, 0), "semaphore_waiting" + kb: level(0, 0, 7, 40, 0)}}
	tests := []struct {
		name  string
		scene scene
		want  []string
	}{
		{"permits held because of permits further on", flatAt(5).with(healthy(), onePermit, services{"user": {
			"semaphore_in_use" + bill: level(0, .4, 10, 10, 0), "semaphore_waiting" + bill: level(0, 0, 2, 30, 0), callSeconds + bill: counter(0, .4, 7, 10, 0), callCount + bill: counter(0, 2, 35, 50, 0),
		}}), []string{"semaphore-too-small@billing C2 slow-because"}},
		{"connections held because of permits further on", flatAt(5).with(healthy(), onePermit, services{"user": {
			poolWait + bill: counter(0, 0, 3, 30, 0), connsOpen + bill: always(4), callSeconds + bill: counter(0, .4, 7, 34, 0), callCount + bill: counter(0, 2, 20, 20, 0),
		}}), []string{"semaphore-too-small@billing C2 slow-because"}},
		{"a flood that fills the first queue only", flatAt(5).with(healthy(), onePermit, services{"user": {
			"hash_seconds_total": counter(0, .4, 1, 1.99, 0), "hashes_total": counter(0, 2, 5, 10, 0), "hash_pool_queue": level(0, 0, 0, 20, 0), "process_cpu_seconds_total": counter(0, .4, 1, 1.99, 0),
		}}), []string{"semaphore-too-small@billing C2 slow-because"}},
		{"connections that were in use before", flatAt(10).with(healthy(), fullHashPool, services{"billing": {connsInUse + kb: always(2)}}), []string{hashing}},
		{"more in progress than in flight, and nobody gave up", flatAt(10).with(healthy(), fullHashPool, services{"user": {"http_requests_in_progress": level(0, 1, 40, 90, 0)}}), []string{hashing}},
		{"many calls at once that do no harm", scene{x: [3]float64{2, 10, 10}, ms: [3]float64{450, 1000, 5000}}.with(healthy(), fullHashPool, services{
			"instance": merge(calls("kill-bill", [3]float64{20, 100, 100}, [3]float64{.2, .2, .2}, .01), map[string]value{connsInUse + kb: level(0, 4, 20, 40, 0)}),
		}), []string{hashing}},
		{"many collections that cost little", flatAt(10).with(healthy(), fullHashPool, services{"user": {
			"go_cpu_classes_gc_total_cpu_seconds_total": counter(0, .02, .2, .2, 0), "go_gc_duration_seconds_count": counter(0, 1, 28, 30, 0),
		}}), []string{hashing}},
		{"half of the descriptors", flatAt(10).with(healthy(), fullHashPool, services{"user": {"process_max_fds": always(60)}}), []string{hashing}},
		{"an accept queue with room", flatAt(10).with(healthy(), fullHashPool, services{"user": {"accept_queue_length": level(0, 0, 8, 20, 0), "accept_queue_limit": always(4096)}}), []string{hashing}},
		{"mutexes of a service whose pool is full", flatAt(10).with(healthy(), fullHashPool, services{"user": {mutexWait: counter(0, 0, 8, 48, 0)}}), []string{hashing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, tt.scene, tt.want...)
		})
	}
}

// TestProbesHoldConnections: what captest's own probes keep busy without load is no leak.
func TestProbesHoldConnections(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"billing": {connsInUse + kb: level(0, 1, 5, 10, 2)}})
	s.change = func(run *record.Run, _ *record.Result) {
		for at := 55.0; at < 80; at += 2 {
			for range 2 {
				run.Probes = append(run.Probes, record.Probe{OffsetS: at, Probe: "functional", Service: "user", OK: true, Ms: 2000})
			}
		}
	}
	check(t, s, "cpu-bound-hashing@user C2 slow-because")
	s.change = nil
	check(t, s, "cpu-bound-hashing@user C2 slow-because", "leaked-connections@billing C2 next")
}

// TestFewOrphans: a request or two more in progress than in flight is how two readings of one thing differ.
func TestFewOrphans(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"user": {"http_requests_in_progress": level(0, 1, 12, 52, 1)}})
	s.change = func(run *record.Run, _ *record.Result) {
		run.Frames[54].Steps = map[string]*record.StepFrame{"register": {N: 40, Errors: map[string]uint64{"timeout": 40}}}
	}
	check(t, s, "cpu-bound-hashing@user C2 slow-because")
}

// TestOthersDrop: connections that the kernel dropped somewhere on the machine are no service's whose queue has room.
func TestOthersDrop(t *testing.T) {
	t.Parallel()
	s := flatAt(10).with(healthy(), fullHashPool, services{"user": {"accept_queue_length": level(0, 0, 8, 20, 0), "accept_queue_limit": always(4096)}})
	s.change = func(run *record.Run, _ *record.Result) {
		for i := range run.Frames {
			drops := float64(i)
			run.Hosts = append(run.Hosts, record.HostReading{OffsetS: run.Frames[i].OffsetS, ListenOverflows: &drops})
		}
	}
	check(t, s, "cpu-bound-hashing@user C2 slow-because")
}

// TestServicesThatCallEachOther: a callback closes a circle of calls, which a search for what is slow behind them must leave again.
func TestServicesThatCallEachOther(t *testing.T) {
	t.Parallel()
	rate, fast := [3]float64{2, 5, 5}, [3]float64{.2, .2, .2}
	run, res := flatAt(5).with(healthy(), services{"kill-bill": calls("billing", rate, fast, .01), "user": calls("user", rate, fast, .01)}).play()
	Explain(run, res)
	for _, f := range res.Findings {
		if f.Cause == "slow-downstream" {
			t.Errorf("nothing is slow: %+v", f)
		}
	}
}

// TestUnboundedWithoutALoneUser: calls that fail are seen, but with no measurement of one user nothing exonerates the downstream.
func TestUnboundedWithoutALoneUser(t *testing.T) {
	t.Parallel()
	s := flatAt(4).with(healthy(), services{
		"billing": merge(calls("kill-bill", [3]float64{0, 4, 4}, [3]float64{0, 4, 8}, .01), map[string]value{
			connsInUse + kb: level(0, 0, 16, 32, 0), callResults + `{downstream="kill-bill",status="201"}`: counter(0, 0, 2, 2, 0),
			callResults + `{downstream="kill-bill",status="503"}`: counter(0, 0, 2, 2, 0),
		}),
	})
	delete(s.services["billing"], "semaphore_limit"+kb)
	run, res := s.play()
	Explain(run, res)
	i := slices.IndexFunc(res.Findings, func(f record.Finding) bool { return f.Cause == "unbounded-concurrency" && f.Where == "billing" })
	if i < 0 {
		t.Fatalf("found %q", named(res))
	}
	f := res.Findings[i]
	if slices.ContainsFunc(f.RuledOut, func(r record.RuledOut) bool { return r.Cause == "slow-downstream" }) || !slices.Contains(f.Lookalikes, "slow-downstream") {
		t.Errorf("ruled out %+v, not told apart %q", f.RuledOut, f.Lookalikes)
	}
}

// TestUnboundedFurthestOn: of four services in a row, each waiting for the next, the last calls are the ones without a bound.
func TestUnboundedFurthestOn(t *testing.T) {
	t.Parallel()
	rate, slow := [3]float64{2, 4, 4}, [3]float64{.2, 2, 10}
	s := flatAt(4).with(services{"b": calls("c", rate, slow, .01), "c": calls("d", rate, slow, .01), "z": calls("b", rate, slow, .01)})
	run, res := s.play()
	for _, c := range unbounded(look(run, res)) {
		if c.Where != "c" {
			t.Errorf("%s calls %s without a bound", c.Where, c.to)
		}
	}
}

// TestOneLongQueue: an accept queue that the kernel shows to be long once, as when a load begins, is nothing; one that stays long, while
// connections are dropped, is.
func TestOneLongQueue(t *testing.T) {
	t.Parallel()
	play := func(from float64, long int) scene {
		s := flatAt(5)
		s.change = func(run *record.Run, _ *record.Result) {
			for i := range run.Frames {
				at, drops, queue := run.Frames[i].OffsetS, float64(i), 0.0
				if at >= from && at < from+float64(long) {
					queue = 29
				}
				run.Hosts = append(run.Hosts, record.HostReading{OffsetS: at, ListenOverflows: &drops})
				run.Procs = append(run.Procs, record.ProcessReading{OffsetS: at, Service: "app", PIDs: []int{1}, AcceptQueue: &queue})
			}
		}
		return s
	}
	check(t, play(22, 1), "unknown@ C1 slow-because")
	check(t, play(22, 5), "accept-backlog@app C1 slow-because")
	check(t, play(22, 5).with(besides), "accept-backlog@app C2 slow-because")
	// In the overload alone: what limits the loads before it is another thing.
	check(t, play(38, 5), "unknown@ C1 slow-because", "accept-backlog@app C1 next")
}
