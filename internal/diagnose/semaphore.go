package diagnose

import (
	"fmt"
	"math"
)

// smallSemaphore names semaphore-too-small: every permit for calls to a downstream is taken, and calls wait for one.
//
// Told apart: a pool (calls that have a permit wait for a connection), a downstream that is full or slow itself (calls take
// longer than with one user, or something behind limits), retries (weigh sees to that).
func smallSemaphore(s *sight) []claim {
	var out []claim
	for _, r := range s.of(semaphore, "") {
		l, u, full := s.fullAt(r)
		if !full || s.behindIsFull(l, r.to) {
			continue
		}
		if r.to == allDownstreams {
			out = append(out, s.bulkhead(r, l, u)...)
			continue
		}
		now, ok := l.call(r.where, r.to)
		if !ok || now.pool > 0.3*now.seconds || now.rate*now.seconds < 0.6*r.servers {
			continue
		}
		c := claimOf("semaphore-too-small", r.where)
		c.rank = s.rank(l)
		c.to = r.to
		if !s.heldAsAlone(&c, r, now) || s.slowAlone(r.where, r.to) {
			continue
		}
		c.evidence("permits in use", u.busy, fmt.Sprintf("of %.0f", r.servers), "≥ 90 %", r.where+" semaphore_in_use")
		c.evidence("calls waiting for a permit", u.waiting, "", "≥ 0.5", r.where+" semaphore_waiting")
		c.evidence("a call holds its permit for", 1000*now.seconds, "ms", "", r.where+" "+callSeconds)
		c.notThe("pool-too-small", "calls with a permit wait %.3g ms for a connection", 1000*now.pool)
		s.idleBehind(&c, l, r.to)
		c.Summary = fmt.Sprintf("%.0f permit%s of %s for %s, each held for %.3g ms, allow %.3g calls a second; %.3g calls wait for one", r.servers, plural(r.servers), r.where, r.to, 1000*now.seconds, r.servers/now.seconds, u.waiting)
		c.Remedy = fmt.Sprintf("a semaphore of throughput wanted × %.3g s × 1.2, within what %s carries, with a bounded wait", now.seconds, r.to)
		out = append(out, c)
	}
	return out
}

// allDownstreams is behind the permits of a library that counts them without saying what for.
const allDownstreams = "its downstreams"

// bulkhead is the same of permits that are known without the calls they are for: held no longer than with one user, they are too few.
func (s *sight) bulkhead(r *resource, l load, u use) []claim {
	c := claimOf("semaphore-too-small", r.where)
	c.rank, c.to = s.rank(l), r.to
	held := u.busy / l.trial.GoodputPerSecond
	switch alone, ok := s.heldAlone(r); {
	case !ok: // what they are held for may have become slow
		c.inside = false
		c.maybe("slow-downstream")
	case held > mostStretch*alone:
		return nil
	default:
		c.notThe("slow-downstream", "a journey holds a permit for %.3g s, and for %.3g s with one user", held, alone)
	}
	c.maybe("pool-too-small")
	c.evidence("permits in use", u.busy, fmt.Sprintf("of %.0f", r.servers), "≥ 90 %", r.where+" "+r.shown)
	c.evidence("calls waiting for a permit", u.waiting, "", "≥ 0.5", r.where+" "+r.queued)
	c.Summary = fmt.Sprintf("%.0f of %.0f permits of %s for calls are taken, %.3g s a journey, and %.3g calls wait for one", math.Round(u.busy), r.servers, r.where, held, u.waiting)
	c.Remedy = fmt.Sprintf("a bulkhead of throughput wanted × %.3g s × 1.2, within what is behind it carries, with a bounded wait", held)
	return []claim{c}
}
