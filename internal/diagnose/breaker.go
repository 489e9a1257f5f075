package diagnose

import "fmt"

// breakerFlapping names breaker-flapping: a circuit breaker that opens and closes all the time under load.
//
// Evidence: its state changes again and again, and calls are refused by it while others go through. Told apart: a breaker
// that opened once and stays open does what it is for.
func breakerFlapping(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.index.values(name, "circuit_breaker_state", "downstream") {
			changes, shares, open := 0, 0, 0.0
			last := -1.0
			for _, r := range s.all.readings(name, "circuit_breaker_state", label("downstream", to)) {
				closed := 0.0
				if r.v != 0 {
					closed = 1
					open++
				}
				if last >= 0 && closed != last {
					changes++
				}
				last = closed
				shares++
			}
			refused, _ := s.all.delta(name, "requests_shed_total", label("reason", "breaker"))
			if changes < 4 || open < 2 {
				continue
			}
			c := claimOf("breaker-flapping", name)
			c.to = to
			c.evidence("changes between closed and not closed", float64(changes), "seen", "≥ 4", name+" circuit_breaker_state")
			c.evidence("readings with the breaker not closed", 100*open/float64(shares), "%", "neither 0 nor 100", name+" circuit_breaker_state")
			if refused > 0 {
				c.evidence("requests it refused", refused, "", "> 0", name+` requests_shed_total{reason="breaker"}`)
			}
			now, ok := s.all.call(name, to)
			if ok {
				c.evidence("calls that failed", 100*now.failed, "%", "", name+" "+callResults)
				if now.failed > 0.9 {
					c.against("%.0f %% of the calls fail: %s is down, and the breaker is right", 100*now.failed, to)
				}
			}
			if gc, ok := s.collector(s.loads[0].window, name); ok && gc.share < mostCollecting {
				c.notThe("memory-pressure", "garbage collection takes %.0f %% of its CPU, and pauses refuse nothing", 100*gc.share)
			}
			c.Summary = fmt.Sprintf("the breaker of %s for %s opened and closed %d times that were seen; while it is open, work that %s could do is refused", name, to, changes, to)
			c.Remedy = "more failures or a rate of them before it opens, a timeout above the downstream's own tail, half-open trials that re-close gradually"
			out = append(out, c)
		}
	}
	return out
}
