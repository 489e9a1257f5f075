package diagnose

import (
	"math"
	"sort"

	"github.com/captest/captest/internal/record"
)

// ceilings gives the throughput each instrumented resource allows, lowest first: servers ÷ demand, where demand D = B/C is
// the resource's busy time per completed journey (utilisation law, Denning & Buzen 1978).
//
// Busy time of a pool is the integral of its in-use gauge; of the hash pool the sum of hash durations, which are wall
// times: on a saturated machine they hold the wait for a core too, so the ceiling is what the machine gave, not what it could give alone.
func ceilings(w window, best *record.Trial) []record.Ceiling {
	out := []record.Ceiling{}
	x := best.GoodputPerSecond
	if x <= 0 {
		return out
	}
	add := func(resource, where string, servers, busyServers float64) {
		if servers <= 0 || busyServers <= 0 {
			return
		}
		demand := busyServers / x
		u := 100 * busyServers / servers
		out = append(out, record.Ceiling{
			Resource: resource, Where: where, Servers: servers, DemandMs: 1000 * demand, PerSecond: servers / demand, UtilisationPercent: &u,
		})
	}
	for _, s := range w.services() {
		seconds, ok1 := w.delta(s, "hash_seconds_total")
		size, ok2 := w.mean(s, "hash_pool_size")
		span, ok3 := w.span(s)
		if ok1 && ok2 && ok3 {
			add("hash pool", s, math.Min(size, float64(cores(w.run))), seconds/span)
		}
		for _, d := range w.labelValues(s, "semaphore_limit", "downstream") {
			limit, ok1 := w.mean(s, "semaphore_limit", label("downstream", d))
			used, ok2 := w.mean(s, "semaphore_in_use", label("downstream", d))
			if ok1 && ok2 {
				add("semaphore to "+d, s, limit, used)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].PerSecond < out[j].PerSecond })
	return out
}

// cores the target's processes could use: known only when they share this machine.
func cores(run *record.Run) int {
	if run.Info.Host.Colocated && run.Info.Host.CPUs > 0 {
		return run.Info.Host.CPUs
	}
	return 1 << 20 // unknown: the pool's own size decides
}
