package diagnose

import "fmt"

// starvedDatabase names database-pool-starved: every connection to the store is taken, and requests wait for one.
//
// Evidence: in use at the pool's limit, and waiters. Where requests keep a connection through hashing and calls, the time
// they keep it says so. Told apart: connections lost for good, which are in use without load too (weigh).
func starvedDatabase(s *sight) []claim {
	var out []claim
	for _, r := range s.of(database, "") {
		l, u, full := s.fullAt(r)
		if !full {
			continue
		}
		c := claimOf("database-pool-starved", r.where)
		c.to = r.to
		c.rank = s.rank(l)
		c.evidence("store connections in use", u.busy, fmt.Sprintf("of %.0f", r.servers), "≥ 90 %", r.where+" pool.in_use")
		c.evidence("requests waiting for one", u.waiting, "", "≥ 0.5", r.where+" "+r.queued)
		held := u.busy / max(1e-9, l.trial.GoodputPerSecond)
		if t, ok := l.rate(r.where, "store_session_seconds_total"); ok && t > 0.5*u.busy {
			c.evidence("of it kept through hashing and calls", 100*min(1, t/u.busy), "%", "", r.where+" store_session_seconds_total")
		}
		if p, ok := s.processor(r.where); ok {
			v, ok := p.use(l.window)
			switch {
			case ok && v.utilization < 0.8:
				c.notThe("cpu-bound-hashing", "%s uses %.2g of %.0f cores", r.where, v.busy, p.servers)
			case ok && v.utilization >= fullFrom && r.servers > p.servers: // fewer connections than cores cannot wait for a core
				c.against("%s uses %.2g of %.0f cores: connections are held while their holders wait for one", r.where, v.busy, p.servers)
			}
		}
		s.heldLonger(&c, r, held)
		if u, ok := r.use(s.loads[0].window); ok && c.rank > 0 && u.utilization < 0.7 && l.trial.GoodputPerSecond <= s.best.GoodputPerSecond {
			c.against("%.3g/s were reached with %.2g of %.0f connections in use: what limited there is not the pool", s.best.GoodputPerSecond, u.busy, r.servers)
		}
		if g, ok := s.afterGauge(r.where, "pool.in_use", r.labels...); ok && g.low < r.servers {
			c.notThe("leaked-connections", "without load %.0f are in use", g.low)
		}
		c.Summary = fmt.Sprintf("all %.0f store connections of %s are taken, %.3g s of them a journey, and %.3g requests wait for one", r.servers, r.where, held, u.waiting)
		c.Remedy = "hold a connection for the statements only, not through hashing or calls; then size the pool to throughput × that time × 1.3"
		out = append(out, c)
	}
	return out
}

// heldLonger holds against a pool that its connections are kept much longer than with one user: then what they are kept for is slow.
func (s *sight) heldLonger(c *claim, r *resource, held float64) {
	// One scrape a second sees too little of a pool that is hardly held.
	if alone, ok := s.heldAlone(r); ok && alone*s.lone.trial.GoodputPerSecond >= 0.2 && held > mostStretch*alone {
		c.against("a journey keeps a connection for %.3g s, and for %.3g s with one user: the store or the CPU is slow", held, alone)
	}
}

func (s *sight) afterGauge(name, metric string, pairs ...pair) (gauge, bool) {
	if s.after == nil {
		return gauge{}, false
	}
	return s.after.gauge(name, metric, pairs...)
}
