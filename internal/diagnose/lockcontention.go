package diagnose

import (
	"fmt"
	"math"
)

// mutexWait is what Go's runtime says of all mutexes of a process together.
const mutexWait = "go_sync_mutex_wait_total_seconds_total"

// mutexShare is the share of the requests in flight that must wait for mutexes, where no metric says for which.
const mutexShare = 0.3

// lockContention names lock-contention: requests wait for a lock that one of them holds at a time.
//
// Evidence: a lock that is held all the time while others wait, or a runtime whose goroutines wait for mutexes, while no
// other resource is full and CPU is not. Told apart: a blocked loop (the loop is free), full pools (they are not).
func lockContention(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, l := range s.loads {
			held, waiting, known := 0.0, 0.0, false
			for _, r := range s.of(lock, name) {
				if u, ok := r.use(l.window); ok && u.isFull() {
					held, waiting, known = u.utilization, u.waiting, true
				}
			}
			mutex, hasMutex := l.rate(name, mutexWait)
			// Loggers and metrics have mutexes too: it takes a good part of those who wait.
			if under := math.Max(l.trial.InFlightMean, float64(l.trial.Load.Users)); !known && (!hasMutex || mutex < math.Max(1, mutexShare*under) || s.anyFull(l, name)) {
				continue
			}
			c := claimOf("lock-contention", name)
			c.rank = s.rank(l)
			if known {
				c.evidence("lock held", 100*held, "%", "≥ 90", name+" hot_lock_held_seconds_total")
				c.evidence("requests waiting for it", waiting, "", "≥ 0.5", name+" hot_lock_wait_seconds_total")
			} else {
				waiting = mutex
				if s.allCoresBusy(l.window) {
					c.against("all cores of the machine are busy: whoever holds a mutex may be waiting for one")
				}
				c.maybe("which mutex, and whether requests wait for it, is not shown")
			}
			if hasMutex {
				c.evidence("goroutines waiting for mutexes", mutex, "", "< 1", name+" "+mutexWait)
			}
			p, ok := s.processor(name)
			if v, used := p.use(l.window); ok && used {
				c.evidence("CPU of the process", v.busy, fmt.Sprintf("of %.0f cores", p.servers), "", name+" process_cpu_seconds_total")
				if v.utilization < 0.8 {
					c.notThe("cpu-bound-hashing", "%s uses %.2g of %.0f cores", name, v.busy, p.servers)
				} else if !known {
					c.against("%s uses all its cores: whoever holds a mutex may be waiting for one", name)
				}
			}
			if u, ok := s.loopUse(l.window, name); ok && u < 0.7 {
				c.notThe("event-loop-blocked", "the event loops are %.0f %% busy", 100*u)
			}
			c.Summary = fmt.Sprintf("%.3g requests of %s wait for a lock that one of them holds at a time", waiting, name)
			c.Remedy = "hold the lock for less, split it by key, or do without it"
			out = append(out, c)
			break
		}
	}
	return out
}

// anyFull says whether any resource of a service but its CPU limits in a load.
func (s *sight) anyFull(l load, name string) bool {
	for i := range s.resources {
		if r := &s.resources[i]; r.where == name && r.kind != lock {
			if u, ok := r.use(l.window); ok && u.isFull() {
				return true
			}
		}
	}
	return false
}
