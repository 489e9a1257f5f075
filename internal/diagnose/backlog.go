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
	drops := s.listenDrops()
	var out []claim
	for _, name := range s.servicesSeen() {
		limit := s.all.highest(name, "accept_queue_limit")
		queue, full, n := 0.0, 0.0, 0.0
		for _, r := range s.all.readings(name, "accept_queue_length") {
			n++
			queue = math.Max(queue, r.v)
			if limit > 0 && r.v >= limit {
				full++
			}
		}
		queue = math.Max(queue, s.queued(s.all, name))
		if limit == 0 && n == 0 && s.longQueues(s.all, name) < 2 {
			continue // once, at the instant a load begins, any queue is long; and drops are counted for the whole machine
		}
		if queue < 1 || limit > 0 && queue < limit || limit == 0 && (drops < 1 || queue < longQueue) || limit > 0 && full < 2 && drops < 1 {
			continue
		}
		c := claimOf("accept-backlog", name)
		c.evidence("accept queue at most", queue, "", fmt.Sprintf("below its limit of %.0f", limit), name+" accept_queue_length, kernel")
		if n > 0 {
			c.evidence("readings with a full queue", 100*full/n, "%", "0", name+" accept_queue_length")
		}
		if drops > 0 {
			c.evidence("connections the kernel dropped", drops, "on this machine", "0", "kernel, ListenOverflows")
		}
		if rate, ok := s.loads[0].rate(name, "connections_accepted_total"); ok {
			c.evidence("connections accepted", rate, "/s", "", name+" connections_accepted_total")
		}
		if u, ok := s.loopUse(s.loads[0].window, name); ok && u < 0.7 {
			c.notThe("event-loop-blocked", "the event loops of %s are %.0f %% busy", name, 100*u)
		}
		if peak, most, _ := s.files(s.all, name); most > 0 && peak < 0.8*most {
			c.notThe("descriptor-exhaustion", "%.0f of %.0f descriptors are open", peak, most)
		}
		if drops == 0 {
			c.maybe("event-loop-blocked")
		}
		c.Summary = fmt.Sprintf("connections to %s wait to be accepted: its accept queue is full (%.0f), and the kernel drops what comes then", name, queue)
		c.Remedy = "keep connections alive so that fewer are opened, accept faster, and raise backlog and net.core.somaxconn"
		out = append(out, c)
	}
	return out
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

// listenDrops is by how much the kernel's count of dropped connections grew under load.
func (s *sight) listenDrops() float64 {
	first, last, n := 0.0, 0.0, 0
	for i := range s.run.Hosts {
		if h := &s.run.Hosts[i]; h.ListenOverflows != nil && h.OffsetS >= s.all.from-slack && h.OffsetS <= s.all.to+slack {
			if n == 0 {
				first = *h.ListenOverflows
			}
			last = *h.ListenOverflows
			n++
		}
	}
	return math.Max(0, last-first)
}
