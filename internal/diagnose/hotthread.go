package diagnose

import "fmt"

// hotThread names event-loop-blocked for a service that shows no event loop: one thread that computes all the time while the
// process has more cores to use, and scrapes, which the same thread answers, get slow.
//
// Evidence is the kernel's: the busiest thread ≥ 85 % of a core, the process about one core, and the lag of its loop or the
// time of its scrapes. Not told apart: threads that share one interpreter lock, and a CPU quota of one core.
func (s *sight) hotThread() []claim {
	var out []claim
	for _, name := range s.servicesSeen() {
		if s.index.has(name, "event_loop_busy_seconds_total") {
			continue
		}
		p, ok := s.processor(name)
		if !ok || p.servers < 1.5 {
			continue
		}
		for _, l := range s.loads {
			cores, ok := p.busy(l.window)
			hot, seen := s.busiestThread(l.window, name)
			if !ok || !seen || hot < 85 || cores > 1.25 {
				continue
			}
			c := claimOf("event-loop-blocked", name)
			c.rank = s.rank(l)
			c.evidence("busiest thread", hot, "% of a core", "< 85", "kernel, "+name)
			c.evidence("CPU of the process", cores, fmt.Sprintf("of %.0f cores", p.servers), "", name)
			slow := false
			if lag, ok := l.mean(name, "loop.lag"); ok {
				calm, _ := s.light().mean(name, "loop.lag")
				slow = lag >= 0.05 && lag > 3*calm
				c.evidence("lag of the event loop", 1000*lag, "ms", fmt.Sprintf("%.3g with the fewest users", 1000*calm), name+" loop.lag")
			}
			ms, failed, scraped := l.scrapeMs(name)
			calm, _, _ := window{index: s.index, from: 0, to: s.all.from}.scrapeMs(name)
			if scraped && calm > 0 {
				slow = slow || ms >= 50 && ms > 5*calm || failed > 0.5
				c.evidence("time of a scrape", ms, "ms", fmt.Sprintf("%.3g without load", calm), name+" /metrics")
			}
			if !slow {
				continue // a thread that computes beside a loop that answers blocks nobody
			}
			if s.allCoresBusy(l.window) {
				c.against("all cores of the machine are busy: more workers would get none")
			}
			c.maybe("threads that share one interpreter lock")
			c.maybe("a CPU quota of one core")
			c.Summary = fmt.Sprintf("one thread of %s computes all the time (%.0f %% of a core) while %.0f cores are there, and whatever else it should answer waits", name, hot, p.servers)
			c.Remedy = "move the work off that thread, or run more workers, and bound how many requests wait"
			out = append(out, c)
			break
		}
	}
	return out
}
