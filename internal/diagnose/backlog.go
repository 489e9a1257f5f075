package diagnose

import (
	"fmt"
	"math"
)

// backlog names accept-backlog: connections wait for a service to accept them, and the kernel drops the next.
//
// Evidence: an accept queue as long as its limit under load, or drops counted by the kernel while a queue stood. Told
// apart: a blocked loop and spent descriptors, whose consequence it is (weigh).
func backlog(s *sight) []claim {
	var out []claim
	for _, name := range s.servicesSeen() {
		for _, l := range s.loads {
			q, ok := s.acceptQueue(l.window, name)
			if !ok {
				continue
			}
			c := claimOf("accept-backlog", name)
			c.rank = s.rank(l)
			c.aside = pressing(l.trial.Phase) // what only an overload brings about does not limit the loads before it
			c.evidence("accept queue at most", q.longest, "", fmt.Sprintf("below its limit of %.0f", q.limit), name+" accept_queue_length, kernel")
			if q.readings > 0 {
				c.evidence("readings with a full queue", 100*q.full/q.readings, "%", "0", name+" accept_queue_length")
			}
			if q.drops > 0 {
				c.evidence("connections the kernel dropped", q.drops, "on this machine", "0", "kernel, ListenOverflows")
			}
			if rate, ok := l.rate(name, "connections_accepted_total"); ok {
				c.evidence("connections accepted", rate, "/s", "", name+" connections_accepted_total")
			}
			if u, ok := s.loopUse(l.window, name); ok && u < 0.7 {
				c.notThe("event-loop-blocked", "the event loops of %s are %.0f %% busy", name, 100*u)
			}
			s.descriptorsLeft(&c, l.window, name)
			if q.drops == 0 {
				c.maybe("event-loop-blocked")
			}
			if other := s.alsoQueues(l.window, name); q.limit == 0 && other != "" {
				c.against("drops are counted for the whole machine, and connections queue at %s too", other)
			}
			c.Summary = fmt.Sprintf("connections to %s wait to be accepted: its accept queue is full (%.0f), and the kernel drops what comes then", name, q.longest)
			c.Remedy = "keep connections alive so that fewer are opened, accept faster, and raise backlog and net.core.somaxconn"
			out = append(out, c)
			break
		}
	}
	return out
}

// acceptQueue is what is known of a service's accept queue in a load.
type acceptQueue struct {
	limit, longest float64 // connections; limit 0: unknown
	readings, full float64 // of the service's own gauge
	drops          float64 // of the whole machine
}

// acceptQueue is a service's in a load; false where nothing waits there that matters. Once, at the instant a load begins, any queue is
// long, and drops are counted for the whole machine.
func (s *sight) acceptQueue(w window, name string) (acceptQueue, bool) {
	q := acceptQueue{limit: s.all.highest(name, "accept_queue_limit"), drops: s.listenDrops(w)}
	for _, r := range w.readings(name, "accept_queue_length") {
		q.readings++
		q.longest = math.Max(q.longest, r.v)
		if q.limit > 0 && r.v >= q.limit {
			q.full++
		}
	}
	q.longest = math.Max(q.longest, s.queued(w, name))
	if q.limit > 0 {
		return q, q.longest >= math.Max(1, q.limit) && (q.full >= 2 || q.drops >= 1)
	}
	return q, (q.readings > 0 || s.longQueues(w, name) >= 2) && q.drops >= 1 && q.longest >= longQueue
}

// alsoQueues is another service at which connections wait for long; "" for none.
func (s *sight) alsoQueues(w window, name string) string {
	for _, other := range s.servicesSeen() {
		if other != name && s.longQueues(w, other) >= 2 {
			return other
		}
	}
	return ""
}

// longQueue is one that is not emptied at once, where its limit is not known.
const longQueue = 8

// longQueues counts the kernel's readings of such a queue.
func (s *sight) longQueues(w window, name string) int {
	n := 0
	for _, p := range s.processes(w, name) {
		if p.AcceptQueue != nil && *p.AcceptQueue >= longQueue {
			n++
		}
	}
	return n
}

// listenDrops is by how much the kernel's count of dropped connections grew in a load.
func (s *sight) listenDrops(w window) float64 {
	first, last, n := 0.0, 0.0, 0
	for i := range s.run.Hosts {
		if h := &s.run.Hosts[i]; h.ListenOverflows != nil && h.OffsetS >= w.from-slack && h.OffsetS <= w.to+slack {
			if n == 0 {
				first = *h.ListenOverflows
			}
			last = *h.ListenOverflows
			n++
		}
	}
	return math.Max(0, last-first)
}
