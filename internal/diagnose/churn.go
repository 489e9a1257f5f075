package diagnose

import (
	"fmt"
	"math"
)

// churn names connection-per-request: a service opens a connection for each call.
//
// Evidence: connections opened a call ≥ 0.9, with one user too. It limits where making clients is what keeps the event loops
// busy, and else adds to what is slow. Told apart: a pool that keeps too few idle connections
// (the ratio is low with one user and rises with load), retries (each attempt may use the pool).
func churn(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.calls(name) {
			now, ok := s.all.call(name, to)
			if !ok || now.calls < 20 || now.opened < 0.9 {
				continue
			}
			c := claimOf("connection-per-request", name)
			c.to, c.aside = to, true
			c.evidence("connections opened a call to "+to, now.opened, "", "< 0.05 with a pool", name+" "+connsOpened)
			if alone, ok := s.light().call(name, to); ok && s.lone != nil && alone.calls >= 5 {
				c.evidence("with the fewest users", alone.opened, "", "≥ 0.9 too", name+" "+connsOpened)
				if alone.opened < 0.5 {
					c.against("with one user %.2g connections a call are opened: a pool that keeps too few idle ones", alone.opened)
				} else {
					c.notThe("pool-too-small", "a pool with too few idle connections would reuse them with one user")
				}
			}
			if open := s.all.highest(name, connsOpen, label("downstream", to)); open > 0 {
				c.evidence("connections open at most", open, "", "", name+" "+connsOpen)
			}
			if waits := s.timeWait(to); waits > 0 {
				c.evidence("sockets in TIME_WAIT at "+to, float64(waits), "", "", "kernel")
			}
			s.making(&c)
			c.Summary = fmt.Sprintf("%s opens a connection for each call to %s (%.2f a call) instead of reusing them", name, to, now.opened)
			c.Remedy = "one client with a pool for the life of the process; read answers to their end and close them"
			out = append(out, c)
		}
	}
	return out
}

// clientBuild is the time that a service spends making clients; one with a pool makes none.
const clientBuild = "http_client_build_seconds_total"

// making says of a service that opens a connection for each call whether making its clients is what its event loops do most of
// their time: then it limits.
func (s *sight) making(c *claim) {
	for _, r := range s.of(loop, c.Where) {
		l, u, full := s.fullAt(r)
		if !full {
			continue
		}
		if built, ok := l.rate(c.Where, clientBuild, label("downstream", c.to)); ok && built > 0.5*u.busy {
			c.aside, c.rank = false, s.rank(l)
			c.evidence("event loop busy", 100*u.utilization, "%", "≥ 90", c.Where+" event_loop_busy_seconds_total")
			c.evidence("of it making clients", 100*math.Min(1, built/u.busy), "%", "≥ 50", c.Where+" "+clientBuild)
			c.evidence("requests waiting for the loop", u.waiting, "", "≥ 0.5", c.Where+" event_loop_wait_seconds_total")
		}
	}
}

// timeWait is the most sockets in TIME_WAIT at a service's port, or at its callers' end, at any reading under load.
func (s *sight) timeWait(name string) int {
	most := 0
	for _, p := range s.processes(s.all, name) {
		most = max(most, p.Inbound["TIME_WAIT"])
		if p.TimeWaitCallers != nil {
			most = max(most, int(*p.TimeWaitCallers))
		}
	}
	return most
}
