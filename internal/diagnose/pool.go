package diagnose

import "fmt"

// smallPool names pool-too-small: calls wait for a connection of a pool whose connections are all in use.
//
// Evidence: waiters, and as many connections in use as are open. Told apart: a semaphore (permits run out and the pool has
// idle connections), a slow downstream (calls would hold their connection longer than with one user), and leaked
// connections (they stay in use without load; weigh sees to that).
func smallPool(s *sight) []claim {
	var out []claim
	for _, r := range s.of(clientPool, "") {
		l, u, full := s.fullAt(r)
		if !full {
			continue
		}
		now, ok := l.call(r.where, r.to)
		if !ok {
			continue
		}
		c := claimOf("pool-too-small", r.where)
		c.rank = s.rank(l)
		c.to = r.to
		c.evidence("connections in use", u.busy, fmt.Sprintf("of %.0f", r.servers), "≥ 90 %", r.where+" "+callSeconds)
		c.evidence("calls waiting for a connection", u.waiting, "", "≥ 0.5", r.where+" "+poolWait)
		c.evidence("a call holds its connection for", 1000*now.hold(), "ms", "", r.where+" "+callSeconds)
		if !s.heldAsAlone(&c, r, now) {
			continue
		}
		if s.behindIsFull(l, r.to) {
			continue
		}
		c.notThe("semaphore-too-small", "calls have their permit and wait for a connection")
		s.idleBehind(&c, l, r.to)
		c.Summary = fmt.Sprintf("%.0f connection%s from %s to %s, each held for %.3g ms, allow %.3g calls a second; %.3g calls wait for one", r.servers, plural(r.servers), r.where, r.to, 1000*now.hold(), r.servers/now.hold(), u.waiting)
		c.Remedy = fmt.Sprintf("a pool of throughput wanted × %.3g s × 1.3 connections, within what %s carries", now.hold(), r.to)
		out = append(out, c)
	}
	return out
}

// heldAsAlone says whether calls take no longer than with one user, which exonerates the downstream; false, with nothing
// claimed, where they take much longer.
func (s *sight) heldAsAlone(c *claim, r *resource, now call) bool {
	if s.lone == nil {
		c.maybe("slow-downstream")
		return true
	}
	alone, ok := s.lone.call(r.where, r.to)
	if !ok || alone.hold() <= 0 {
		c.maybe("slow-downstream")
		return true
	}
	ratio := now.hold() / alone.hold()
	if ratio > mostStretch {
		return false
	}
	c.notThe("slow-downstream", "a call to %s takes %.3g ms, and %.3g ms with one user", r.to, 1000*now.hold(), 1000*alone.hold())
	return true
}

// mostStretch is by how much calls may take longer under load before the downstream is suspected itself.
const mostStretch = 2

// behindIsFull says whether something at a downstream, or further down, limits in this load: then holding a permit or a
// connection to it is a consequence.
func (s *sight) behindIsFull(l load, to string) bool {
	seen := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if seen[name] {
			return false
		}
		seen[name] = true
		for i := range s.resources {
			r := &s.resources[i]
			if r.where != name || r.kind == cpu {
				continue
			}
			if u, ok := r.use(l.window); ok && u.isFull() {
				return true
			}
		}
		for _, next := range s.calls(name) {
			if visit(next) {
				return true
			}
		}
		return false
	}
	return visit(to)
}

// idleBehind notes that the downstream has room, if it says so.
func (s *sight) idleBehind(c *claim, l load, to string) {
	for _, r := range s.of(slots, to) {
		if u, ok := r.use(l.window); ok && u.utilization < 0.7 {
			c.notThe("unbounded-concurrency", "%s has %.3g of %.0f places in use", to, u.busy, r.servers)
		}
	}
}
