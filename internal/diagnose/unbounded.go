package diagnose

import (
	"fmt"
	"math"
	"slices"
)

// unbounded names unbounded-concurrency: nothing bounds how many calls are made at once, and the downstream suffers from it.
//
// Evidence: no semaphore, calls in flight that grow with the load, and harm: calls that fail, or take twice as long for no
// more throughput. Told apart: a slow downstream (slow with one user), retries (more calls a journey).
func unbounded(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.calls(name) {
			d := label("downstream", to)
			if s.index.has(name, "semaphore_limit", d) {
				continue
			}
			c, ok := s.unboundedCalls(name, to)
			if ok {
				out = append(out, c)
			}
		}
	}
	// Where calls last because of calls further on, those are the ones without a bound.
	all := slices.Clone(out) // DeleteFunc moves what it keeps
	return slices.DeleteFunc(out, func(c claim) bool {
		return slices.ContainsFunc(all, func(b claim) bool { return b.Where == c.to && !c.harmed })
	})
}

func (s *sight) unboundedCalls(name, to string) (claim, bool) {
	d := label("downstream", to)
	for _, l := range s.loads {
		now, ok := l.call(name, to)
		if !ok {
			continue
		}
		// A window that ends while calls are under way shows their connections; Little's law shows the finished ones.
		inFlight := math.Max(l.highest(name, connsInUse, d), now.rate*now.seconds)
		before := 0.0
		if s.after != nil {
			before, _ = s.after.mean(name, connsInUse, d)
		}
		users := float64(l.trial.Load.Users)
		alone, known := s.light().call(name, to)
		slower := known && s.lone != nil && now.hold() > mostStretch*alone.hold()
		fails := now.failed > 0.05 && (!known || now.failed > 2*alone.failed)
		if inFlight < 10 || inFlight < 0.5*users || !slower && !fails {
			continue
		}
		c := claimOf("unbounded-concurrency", name)
		c.rank = s.rank(l)
		c.to, c.aside, c.harmed = to, true, fails
		c.evidence("calls to "+to+" at once", inFlight, "", fmt.Sprintf("grows with the load (%.0f users)", users), name+" "+connsInUse)
		with := ""
		if known {
			with = fmt.Sprintf("%.3g with the fewest users", 1000*alone.hold())
		}
		c.evidence("duration of a call", 1000*now.hold(), "ms", with, name+" "+callSeconds)
		c.evidence("calls that failed", 100*now.failed, "%", "", name+" "+callResults)
		for _, r := range s.of(slots, to) {
			if _, _, full := s.fullAt(r); full {
				c.aside = false
			}
			c.evidence("places at "+to, r.servers, "", fmt.Sprintf("fewer than %.0f", inFlight), to+" capacity_slots")
			if inFlight <= r.servers && slower && !fails {
				c.against("%s has %.0f places, and %.3g calls at once are not too many for it", to, r.servers, inFlight)
			}
		}
		if now.retried < 0.05 {
			c.notThe("retry-storm", "%.2g %% of the calls repeat another", 100*now.retried)
		}
		if !known {
			c.maybe("slow-downstream")
		} else if !s.slowAlone(name, to) {
			c.notThe("slow-downstream", "with the fewest users a call takes %.3g ms", 1000*alone.hold())
		}
		if before > 0.5*inFlight {
			c.maybe("leaked-connections")
		}
		c.Summary = fmt.Sprintf("nothing bounds how many calls %s makes to %s at once: %.0f under load, of which %.0f %% fail and the others take %.3g ms", name, to, inFlight, 100*now.failed, 1000*now.hold())
		c.Remedy = "a semaphore with a bounded wait, then 503: " + s.permits(to, alone, slower)
		return c, true
	}
	return claim{}, false
}

// permits says how many calls at once a downstream is good for: its places, or Little's law at what it carried when it was full.
func (s *sight) permits(to string, alone call, full bool) string {
	for _, r := range s.of(slots, to) {
		return fmt.Sprintf("no more permits than the %.0f places of %s", r.servers, to)
	}
	if n := math.Ceil(1.2 * s.carries(to) * alone.hold()); full && n >= 1 {
		return fmt.Sprintf("about %.0f permits (1.2 × the %.3g/s it carried × its %.3g s alone)", n, s.carries(to), alone.hold())
	}
	return "as many permits as 1.2 × what " + to + " carries a second × its time alone"
}

// carries is the highest rate of calls that a downstream answered in any load, 1/s.
func (s *sight) carries(to string) float64 {
	most := 0.0
	for _, name := range s.index.services {
		for _, l := range s.loads {
			if now, ok := l.call(name, to); ok {
				most = math.Max(most, now.rate*(1-now.failed))
			}
		}
	}
	return most
}
