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
		c.Summary = fmt.Sprintf("password hashing takes %.0f ms of a worker a journey; %.0f workers that have a core allow %.3g/s, and %.3g/s were reached", each, r.servers, ceiling, l.trial.GoodputPerSecond)
		c.evidence("hash pool busy", 100*u.utilization, "%", "≥ 90", r.where+" "+r.shown)
		c.evidence("hashes waiting", u.waiting, "", "≥ 0.5", r.where+" "+r.queued)
		s.coreShare(&c, l, r.where, u.busy)
		for _, k := range []struct {
			kind  kind
			cause string
		}{{loop, "event-loop-blocked"}, {semaphore, "semaphore-too-small"}, {database, "database-pool-starved"}, {lock, "lock-contention"}} {
			if o, v := s.busiest(l.window, k.kind); o != nil && v.utilization < 0.7 {
				c.notThe(k.cause, "%s is %.0f %% in use, and no other more", o.said(), 100*v.utilization)
			}
		}
		c.Remedy = "more cores for hashing, a dedicated hashing service, or a lower cost where your security policy allows it; more users, workers or connections will not help"
		out = append(out, c)
	}
	return out
}

// busiest is the resource of a kind with the highest utilisation, over all services; nil without any.
func (s *sight) busiest(w window, k kind) (*resource, use) {
	var most *resource
	var best use
	for _, r := range s.of(k, "") {
		if u, ok := r.use(w); ok && (most == nil || u.utilization > best.utilization) {
			most, best = r, u
		}
	}
	return most, best
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

// hashRemarks say what hashing allows on this machine, which share of it was reached, and what a claimed rate would take:
// always, for a service that hashes passwords.
func (s *sight) hashRemarks(b *record.Baseline) []string {
	var out []string
	cores, known := s.cores()
	for _, name := range s.index.services {
		each, ok := s.hashSeconds(name)
		if !ok || !known || each < 0.001 {
			continue // a hash of a millisecond is no password's
		}
		what := "a journey"
		if n, ok := s.loads[0].rate(name, "hashes_total"); ok && len(s.run.Info.Steps) > 1 { // figures count requests, of which not every one hashes
			each *= n / s.best.GoodputPerSecond
			what = "a request"
		}
		if !finite(each) || each <= 0 {
			continue
		}
		ceiling := cores / each
		out = append(out, fmt.Sprintf("Hashing in %s takes %.0f ms of a core %s: %.0f cores allow %.3g/s, and %.3g/s were reached, %.0f %% of that.",
			name, 1000*each, what, cores, ceiling, s.best.GoodputPerSecond, 100*s.best.GoodputPerSecond/ceiling))
		if b == nil || b.Claimed.PerSecond == nil || *b.Claimed.PerSecond <= ceiling {
			continue
		}
		x := *b.Claimed.PerSecond
		text := fmt.Sprintf("The %.4g/s claimed of %s would take %.1f cores for that hashing alone", x, b.Service, x*each)
		for _, r := range s.of(loop, name) {
			if d := s.demandOf(r); d.available {
				left := d.seconds.Value
				if h, ok := s.hashing(name); ok {
					if hd := s.demandOf(&h); hd.available {
						left = math.Max(0, left-hd.seconds.Value)
					}
				}
				if n := math.Ceil(x * left); n > r.servers {
					text += fmt.Sprintf(", %.0f event loops for the rest", n)
				}
			}
		}
		if b.Claimed.MeanMs != nil {
			text += fmt.Sprintf(", and %.3g calls at once to %s (Little: any pool or semaphore below that limits first)", x**b.Claimed.MeanMs/1000, b.Service)
		}
		out = append(out, text+".")
	}
	return out
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
