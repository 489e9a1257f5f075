package diagnose

import "fmt"

// slowDownstream names slow-downstream: the service at the end of the calls takes most of a journey even with one user.
//
// "Slow" needs a measure: three times its claimed time, or a second (slowFrom). Evidence is both sides of the call: a caller that
// waits while the callee answers fast exonerates the callee. Told apart: a pool, semaphore or queue (nothing waits with one
// user), too much concurrency (calls would get slower with load).
func slowDownstream(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, to := range s.calls(name) {
			if len(s.calls(to)) > 0 && s.slowBehind(to) || !s.slowAlone(name, to) || s.fastAlone(name, to) {
				continue
			}
			l := s.light()
			alone, _ := l.call(name, to)
			perJourney := alone.hold() * alone.rate / l.trial.GoodputPerSecond
			c := claimOf("slow-downstream", to)
			c.to = to
			c.evidence("time of a journey at "+to+", one user", 1000*perJourney, "ms", s.slowWords(to), name+" "+callSeconds)
			if l.trial.Latency.MeanMs != nil {
				c.evidence("share of the journey", 100*min(1, 1000*perJourney / *l.trial.Latency.MeanMs), "%", "≥ 50", "journeys of one user")
			}
			if ms, ok := s.callee(l.window, to); ok {
				c.evidence("by its own account, a creation", ms, "ms", "as its caller sees it", to)
				if ms < 0.5*1000*perJourney {
					c.against("%s itself accounts for %.0f ms only: the time is lost before it, in the network or a queue of the caller", to, ms)
				}
			} else {
				c.maybe("network")
			}
			c.notThe("pool-too-small", "with one user nobody waits for a connection (%.2g ms)", 1000*alone.pool)
			c.notThe("semaphore-too-small", "with one user nobody waits for a permit, and the journey takes that long already")
			for _, x := range s.loads {
				if now, ok := x.call(name, to); ok && now.hold() > mostStretch*alone.hold() {
					c.maybe("unbounded-concurrency")
				}
			}
			c.Summary = fmt.Sprintf("%s takes %.3g s of a journey with one user already; waiting for it is what limits", to, perJourney)
			c.Remedy = "make it faster, cache its answers or call it after answering; more permits hide it until it is full itself"
			out = append(out, c)
		}
	}
	return out
}

// light is the load with the fewest users.
func (s *sight) light() load {
	if s.lone != nil {
		return *s.lone
	}
	return s.loads[0]
}

// slowAlone says whether a downstream is slow by itself: with the fewest users it takes more than half of the journey, and
// longer than slowFrom allows.
func (s *sight) slowAlone(name, to string) bool {
	l := s.light()
	alone, ok := l.call(name, to)
	if !ok || l.trial.GoodputPerSecond <= 0 || l.trial.Latency.MeanMs == nil || l.trial.Load.Users < 1 || l.trial.Load.Users > mostAlone {
		return false
	}
	if e := l.trial.ErrorPercent; e != nil && *e > 5 {
		return false // calls of failed journeys would count as time of the good ones
	}
	ms := 1000 * alone.hold() * alone.rate / l.trial.GoodputPerSecond
	if own, ok := s.callee(l.window, to); ok && own < 0.5*ms {
		return false
	}
	// More than a journey takes cannot be part of it: calls that others make, or that are made beside it.
	return ms > s.slowFrom(to) && ms >= 0.5**l.trial.Latency.MeanMs && ms <= 1.3**l.trial.Latency.MeanMs
}

// mostAlone is how many users still are as good as one: beyond that, what is slow may be what waits.
const mostAlone = 2

// slowBehind says whether anything a service calls, or what that calls, is slow itself. Services may call each other.
func (s *sight) slowBehind(name string) bool {
	seen := []string{name}
	for i := 0; i < len(seen); i++ {
		for _, to := range s.calls(seen[i]) {
			if s.slowAlone(seen[i], to) {
				return true
			}
			seen = appendNew(seen, to)
		}
	}
	return false
}

// slowFrom in ms.
func (s *sight) slowFrom(to string) float64 {
	if b := s.res.Baseline; b != nil && b.Service == to && b.Claimed.MeanMs != nil && *b.Claimed.MeanMs > 0 {
		return max(500, 3**b.Claimed.MeanMs)
	}
	return 1000
}

func (s *sight) slowWords(to string) string { return fmt.Sprintf("> %.0f ms", s.slowFrom(to)) }

// callee is the mean duration of an account creation by a downstream's own account, in ms.
func (s *sight) callee(w window, to string) (float64, bool) {
	v, ok := w.mean(to, creation, label("stat", "mean"))
	return 1000 * v, ok && v > 0
}
