package diagnose

import "fmt"

// retryStorm names retry-storm: failed calls are made again, so that load makes more load.
//
// Evidence: repetitions among the calls, more of them the heavier the load, while calls fail. Told apart: unbounded
// concurrency (each call is made once).
func retryStorm(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.calls(name) {
			for _, l := range s.loads {
				now, ok := l.call(name, to)
				if !ok || now.retried >= 1 || now.retried < 0.05 || now.calls < 20 {
					continue
				}
				visits := 1 / (1 - now.retried)
				alone, known := s.light().call(name, to)
				c := claimOf("retry-storm", name)
				c.rank = s.rank(l)
				c.to = to
				c.evidence("attempts a call", visits, "", "≤ 1.05", name+" "+callRetries)
				c.evidence("attempts that failed", 100*now.failed, "%", "", name+" "+callResults)
				if known && s.lone != nil {
					c.evidence("attempts a call with the fewest users", 1/(1-min(0.99, alone.retried)), "", "fewer", name+" "+callRetries)
					if alone.retried > 0.8*now.retried && alone.retried > 0.05 {
						c.against("as many calls are repeated with the fewest users: %s fails without load", to)
					}
				}
				c.notThe("unbounded-concurrency", "%.3g attempts a call: it is repetitions that add the load", visits)
				c.Summary = fmt.Sprintf("%s makes %.3g attempts for each call to %s under load, %.0f %% of which fail: retries keep it overloaded", name, visits, to, 100*now.failed)
				c.Remedy = "a retry budget of at most 10 % of the calls, back-off with jitter, and retries at one layer only"
				out = append(out, c)
				break
			}
		}
	}
	return out
}
