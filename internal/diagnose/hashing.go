package diagnose

import (
	"fmt"
	"math"

	"github.com/captest/captest/internal/record"
)

// hashing names cpu-bound-hashing: a bounded hash pool that is busy all the time while work waits for it.
//
// Evidence: utilisation ≥ 90 % of the workers that have a core, and a queue before them. Lookalikes told apart here: an
// event loop that hashes (then the pool is idle and the loop busy), a semaphore or pool at its limit. A machine whose cores
// others take is told by the CPU that the process used.
func hashing(s *sight) []claim {
	var out []claim
	for _, r := range s.of(hashPool, "") {
		l, u, full := s.fullAt(r)
		if !full || l.trial.GoodputPerSecond <= 0 {
			continue
		}
		if busy, ok := s.loopUse(l.window, r.where); ok && busy > 0.5 {
			continue // a loop that computes so much is a cause of its own
		}
		// A load that has only just begun fills the first queue on its way, whatever limits behind it.
		if n, ok := l.rate(r.where, "hashes_total"); ok && n > mostInflow*l.trial.GoodputPerSecond {
			continue
		}
		c := claimOf("cpu-bound-hashing", r.where)
		c.rank = s.rank(l)
		each := 1000 * u.busy / l.trial.GoodputPerSecond
		ceiling := r.servers * 1000 / each
		c.Summary = fmt.Sprintf("password hashing takes %.0f ms of a core a journey; %.0f workers that have a core allow %.3g/s, and %.3g/s were reached", each, r.servers, ceiling, l.trial.GoodputPerSecond)
		c.evidence("hash pool busy", 100*u.utilization, "%", "≥ 90", r.where+" hash_seconds_total")
		c.evidence("hashes waiting", u.waiting, "", "≥ 0.5", r.where+" hash_pool_queue")
		s.coreShare(&c, l, r.where, u.busy)
		for _, k := range []struct {
			kind  kind
			cause string
		}{{loop, "event-loop-blocked"}, {semaphore, "semaphore-too-small"}, {database, "database-pool-starved"}, {lock, "lock-contention"}} {
			for _, o := range s.of(k.kind, "") {
				if v, ok := o.use(l.window); ok && v.utilization < 0.7 {
					c.notThe(k.cause, "%s of %s is %.0f %% in use", o.name(), o.where, 100*v.utilization)
				}
			}
		}
		c.Remedy = "more cores for hashing, a dedicated hashing service, or a lower cost where your security policy allows it; more users, workers or connections will not help"
		out = append(out, c)
	}
	return out
}

// mostInflow is how many times the completed journeys a resource may take in before it is not what limits them.
const mostInflow = 1.25

// loopUse is the utilisation of a service's event loops within a window.
func (s *sight) loopUse(w window, where string) (float64, bool) {
	for _, r := range s.of(loop, where) {
		if u, ok := r.use(w); ok {
			return u.utilization, true
		}
	}
	return 0, false
}

// hashNote says what hashing allows on this machine, and what a claimed rate would take: always, for a service that hashes.
func (s *sight) hashNote(b *record.Baseline) string {
	for _, name := range s.index.services {
		each, ok := s.hashSeconds(name)
		cores, known := s.cores()
		if !ok || !known || each < 0.001 {
			continue // a hash of a millisecond is no password's
		}
		text := fmt.Sprintf("hashing in %s: %.0f ms of a core each, so %.0f cores ÷ %.3g s = %.3g/s at most; %.3g/s is %.0f %% of that", name, 1000*each, cores, each, cores/each, s.best.GoodputPerSecond, 100*s.best.GoodputPerSecond*each/cores)
		if b != nil && b.Claimed.PerSecond != nil {
			text += fmt.Sprintf("; %.4g/s would take %.1f cores for hashing alone", *b.Claimed.PerSecond, *b.Claimed.PerSecond*each)
		}
		return text
	}
	return ""
}

// hashSeconds is what one hash takes of a core: its duration where it was shortest, or what the process's own CPU comes to: where
// others share the machine, a hash lasts longer than it takes.
func (s *sight) hashSeconds(name string) (float64, bool) {
	least := math.Inf(1)
	for i := range s.res.Trials {
		t := &s.res.Trials[i]
		if t.Verdict == verdictInvalid || t.N == 0 {
			continue
		}
		w := s.at(t)
		n, ok1 := w.delta(name, "hashes_total")
		took, ok2 := w.delta(name, "hash_seconds_total")
		if !ok1 || !ok2 || n < 10 {
			continue
		}
		least = math.Min(least, took/n)
		if used, ok := w.delta(name, "process_cpu_seconds_total"); ok && used > 0 {
			least = math.Min(least, used/n)
		}
	}
	return least, finite(least) && least > 0
}
