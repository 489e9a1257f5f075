package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// leaked names leaked-connections: connections that are in use although there is no load, and stay so.
//
// Evidence: the gauge of connections in use does not come back to what it was, without falling; the kernel shows sockets in
// CLOSE_WAIT, closed by the peer and not by the service. Told apart: connections in TIME_WAIT, which go by themselves; work
// of clients that gave up, which ends at the rate of the service.
func leaked(s *sight) []claim {
	if s.after == nil {
		return nil
	}
	late := *s.after
	late.from = late.to - max(3, (late.to-late.from)/2)
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.calls(name) {
			d := label("downstream", to)
			now, ok := late.gauge(name, connsInUse, d)
			if !ok || !s.unused(late, name, connsInUse, d) {
				continue
			}
			if c, ok := s.leak(late, name, to, now, s.before(name, connsInUse, d), connsInUse, "connections to "+to); ok {
				out = append(out, c)
			}
		}
		for _, r := range s.of(database, name) {
			pairs := r.labels
			now, ok := late.gauge(name, "pool.in_use", pairs...)
			if !ok || !s.unused(late, name, "pool.in_use", pairs...) {
				continue
			}
			if c, ok := s.leak(late, name, "", now, s.before(name, "pool.in_use", pairs...), "pool.in_use", "store connections"); ok {
				c.evidence("of a pool of", r.servers, "", "", name+" pool.max")
				if now.low >= r.servers {
					c.Summary += ", and none is left"
				}
				out = append(out, c)
			}
		}
	}
	if len(s.index.services) == 0 || len(out) == 0 {
		out = append(out, s.leakedSockets(late)...)
	}
	return merged(out)
}

// unused says whether a gauge of connections in use was, at every reading, above what captest's own probes may hold.
func (s *sight) unused(w window, name, metric string, pairs ...pair) bool {
	return !slices.ContainsFunc(w.readings(name, metric, pairs...), func(r reading) bool { return r.v-s.probing(r.at) < 1 })
}

// probing counts the functional probes under way about an instant.
func (s *sight) probing(at float64) float64 {
	n := 0.0
	for i := range s.run.Probes {
		if p := &s.run.Probes[i]; p.Probe != "health" && p.OffsetS <= at+1 && p.OffsetS+p.Ms/1000 >= at-1 {
			n++
		}
	}
	return n
}

// before is a gauge's lowest reading before the first load.
func (s *sight) before(name, metric string, pairs ...pair) float64 {
	g, _ := window{index: s.index, from: 0, to: s.all.from}.gauge(name, metric, pairs...)
	return g.low
}

func (s *sight) leak(late window, name, to string, now gauge, before float64, metric, what string) (claim, bool) {
	if now.low < before+1 || now.low < 2 && now.n < 5 || now.n < 3 {
		return claim{}, false
	}
	c := claimOf("leaked-connections", name)
	c.to, c.stuck = to, true
	c.evidence(what+" in use without load", now.low, "", fmt.Sprintf("%.0f, as before", before), name+" "+metric)
	if now.high < now.low*1.5+2 && now.last >= now.low {
		c.notThe("abandoned-work", "their number does not fall: %.0f to %.0f over %.0f s without load", now.low, now.high, late.to-late.from)
	} else {
		c.maybe("abandoned-work")
	}
	if to != "" {
		wait := s.sockets(late, name, to, "CLOSE_WAIT")
		if wait > 0 {
			c.evidence("sockets in CLOSE_WAIT", float64(wait), "", "0", "kernel, "+name+" to "+to)
			s.descriptorsLeft(&c, s.all, name)
		}
		if p, ok := late.gauge(to, "http_requests_in_progress"); ok && p.low < 1 {
			c.evidence("requests in progress at "+to, p.low, "", "0: nobody works for them", to+" http_requests_in_progress")
		}
	}
	if made, ok := s.all.delta(name, callCount, label("downstream", to)); ok && to != "" && made > 0 {
		c.evidence("lost per 1,000 calls", 1000*(now.low-before)/made, "", "0", name+" "+callCount)
	}
	c.Summary = fmt.Sprintf("%s keeps %.0f %s that nobody uses, long after the load", name, now.low-before, what)
	c.Remedy = "close or give back on every path, the error paths first; a pool that is renewed when waits for it time out; a restart frees them meanwhile"
	return c, true
}

// sockets is the lowest number of a service's sockets to another in a state, over the readings of a window.
func (s *sight) sockets(w window, name, to, state string) int {
	low := -1
	for _, p := range s.processes(w, name) {
		if n := p.Outbound[to][state]; low < 0 || n < low {
			low = n
		}
	}
	return max(0, low)
}

// leakedSockets is the same from the kernel alone, for services that show no pools.
func (s *sight) leakedSockets(late window) []claim {
	var out []claim
	seen := map[string]bool{}
	for i := range s.run.Procs {
		name := s.run.Procs[i].Service
		if seen[name] {
			continue
		}
		seen[name] = true
		readings := s.processes(late, name)
		if len(readings) < 2 {
			continue
		}
		for _, to := range sorted(readings[len(readings)-1].Outbound) {
			n := s.sockets(late, name, to, "CLOSE_WAIT")
			if n < 2 {
				continue
			}
			c := claimOf("leaked-connections", name)
			c.to, c.stuck = to, true
			c.inside = s.stuck() // an idle pool notices at its next use only that the peer has closed its connections
			c.evidence("sockets in CLOSE_WAIT without load", float64(n), "", "0", "kernel, "+name+" to "+to)
			c.maybe("abandoned-work")
			c.Summary = fmt.Sprintf("%s has not closed %d connections to %s that %s has closed", name, n, to, to)
			c.Remedy = "close on every path, the error paths first; a restart frees them meanwhile"
			out = append(out, c)
		}
	}
	return out
}

// merged makes one finding of one service's leaks: they have one remedy.
func merged(claims []claim) []claim {
	var out []claim
next:
	for _, c := range claims {
		for i := range out {
			o := &out[i]
			if o.Where == c.Where {
				o.Evidence = append(o.Evidence, c.Evidence...)
				for _, r := range c.RuledOut {
					if !slices.ContainsFunc(o.RuledOut, func(x record.RuledOut) bool { return x.Cause == r.Cause }) {
						o.RuledOut = append(o.RuledOut, r)
					}
				}
				for _, l := range c.Lookalikes {
					o.maybe(l)
				}
				o.Summary += "; " + strings.TrimPrefix(c.Summary, c.Where+" ")
				o.to = ""
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}
