package diagnose

import (
	"fmt"
	"math"

	"github.com/captest/captest/internal/record"
)

// loopBlocked names event-loop-blocked: the loops of a service are busy nearly all the time while requests wait for them.
//
// Evidence: busy seconds of the loops ≥ 90 % of theirs, and waiters; scrapes, which the same loop answers, are slow. Told
// apart: a hash pool (then the loop is free), a lock or a downstream (waited for off the loop). A loop that is busy by the
// clock and uses little CPU is blocked in a call, or its core is taken by others: both are said.
func loopBlocked(s *sight) []claim {
	var out []claim
	for _, r := range s.of(loop, "") {
		l, u, limits := s.fullAt(r)
		if !limits {
			continue
		}
		c := claimOf("event-loop-blocked", r.where)
		c.rank = s.rank(l)
		c.evidence("event loop busy", 100*u.utilization, "%", "≥ 90", r.where+" event_loop_busy_seconds_total")
		c.evidence("requests waiting for the loop", u.waiting, "", "≥ 0.5", r.where+" event_loop_wait_seconds_total")
		doing := "code between two awaits"
		hash, hashes := l.rate(r.where, "hash_seconds_total")
		pool := s.all.highest(r.where, "hash_pool_size")
		if hashes && pool == 0 && hash > 0.5*u.busy {
			doing = "password hashing"
			c.evidence("of it password hashing", 100*math.Min(1, hash/u.busy), "%", "", r.where+" hash_seconds_total")
			c.notThe("cpu-bound-hashing", "there is no hash pool: hashes hold the loop, and everything else on it waits")
		}
		if ms, failed, ok := l.scrapeMs(r.where); ok {
			c.evidence("time of a scrape", ms, "ms", "as slow as the loop", r.where+" /metrics")
			if failed > 0 {
				c.evidence("scrapes that got no answer", 100*failed, "%", "", r.where+" /metrics")
			}
		}
		if p, ok := s.busiestThread(l.window, r.where); ok {
			c.evidence("busiest thread", p, "% of a core", "", "kernel, "+r.where)
		}
		full := s.coreShare(&c, l, r.where, u.busy)
		if len(s.of(lock, r.where)) == 0 {
			c.notThe("lock-contention", "the loop itself is held, and no lock of %s is waited for", r.where)
		}
		for _, sem := range s.of(semaphore, r.where) {
			if v, ok := sem.use(l.window); ok && v.utilization < 0.7 {
				c.notThe("semaphore-too-small", "%s is %.0f %% in use", sem.name(), 100*v.utilization)
			}
		}
		c.Summary = fmt.Sprintf("%s holds the event loop%s of %s %.0f %% of the time, and %.3g requests wait for it", doing, plural(r.servers), r.where, 100*u.utilization, u.waiting)
		c.Remedy = "move the work off the loop (threads where the library lets go of the interpreter lock, processes otherwise), run more workers, and bound how many requests wait"
		if full {
			c.Remedy = "less work a journey, or more cores, which all are used already, so that more workers alone bring nothing; then off the loop, and bound how many requests wait"
		}
		out = append(out, c)
	}
	out = append(out, s.hotThread()...)
	return out
}

func plural(n float64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// coreShare says whether work that was busy by the clock had a core: where it did not, others took it, or, with more loops than cores,
// its own: then the process has all the cores there are.
func (s *sight) coreShare(c *claim, l load, where string, busy float64) (full bool) {
	p, ok := s.processor(where)
	if !ok {
		return false
	}
	used, ok := p.busy(l.window)
	if !ok {
		return false
	}
	wanted := math.Min(busy, p.servers)
	c.evidence("CPU of the process", used, "cores", fmt.Sprintf("about %.2g", wanted), where+" process_cpu_seconds_total")
	if used >= 0.5*wanted {
		return busy > p.servers && used >= fullFrom*p.servers
	}
	if all, ok := s.machine(l.window); ok && all > 0.9*float64(s.run.Info.Host.CPUs) {
		c.evidence("CPU of the whole machine", all, "cores", "", "host")
		c.against("other programs take the machine's cores: %s got %.2g of them for work that wants %.2g", where, used, wanted)
		return false
	}
	c.maybe("a call that blocks without computing")
	return false
}

// health is the mean duration of health probes within a window, in ms.
func (s *sight) health(w window) (ms float64, n int) {
	for i := range s.run.Probes {
		var p *record.Probe = &s.run.Probes[i]
		if p.Probe == "health" && p.OffsetS >= w.from && p.OffsetS < w.to {
			ms += p.Ms
			n++
		}
	}
	return ms / math.Max(1, float64(n)), n
}
