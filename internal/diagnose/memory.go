package diagnose

import (
	"fmt"
	"strings"
)

// collecting is what garbage collection costs a process within a window.
type collecting struct {
	share  float64 // of the process's CPU, or of the time where only pauses are known
	cycles float64 // 1/s
	cores  float64 // CPU of the process
	pauses bool    // share is of the time
	// which metrics say so
	time, count string
}

// mostCollecting is the share of CPU from which collection is a cause, and fewestCycles what must go with it: a runtime's
// own estimate of that share is poor while it hardly collects.
const (
	mostCollecting = 0.25
	fewestCycles   = 4
)

func (s *sight) collector(w window, name string) (collecting, bool) {
	c := collecting{time: "go_cpu_classes_gc_total_cpu_seconds_total", count: "go_gc_duration_seconds_count"}
	if gc, ok := w.rate(name, c.time); ok {
		cores, ok := w.rate(name, "process_cpu_seconds_total")
		if !ok || cores <= 0 {
			return c, false
		}
		c.share, c.cores = gc/cores, cores
		c.cycles, _ = w.rate(name, c.count)
		return c, true
	}
	c.time, c.count, c.pauses = "gc.pause_sum", "gc.pauses", true
	var ok bool
	c.share, ok = w.rate(name, c.time)
	c.cycles, _ = w.rate(name, c.count)
	for _, gc := range w.index.values(name, c.time, "gc") {
		if strings.HasSuffix(gc, "Cycles") { // of a concurrent collector: they last while the program runs
			running, _ := w.rate(name, c.time, label("gc", gc))
			cycles, _ := w.rate(name, c.count, label("gc", gc))
			c.share, c.cycles = c.share-running, c.cycles-cycles
		}
	}
	c.cores, _ = w.rate(name, "process_cpu_seconds_total")
	return c, ok
}

// memoryPressure names memory-pressure: a runtime that spends its CPU, or its time, on collecting garbage under load.
//
// Evidence: a quarter of its CPU or more, many cycles a second, more than with the fewest users. Told apart: hashing and
// loops that look busy because the collector takes their core (weigh).
func memoryPressure(s *sight) []claim {
	var out []claim
	for _, name := range s.index.services {
		for _, l := range s.loads {
			gc, ok := s.collector(l.window, name)
			if !ok || gc.share < mostCollecting || gc.cycles < fewestCycles || gc.cores < 0.1 {
				continue
			}
			c := claimOf("memory-pressure", name)
			c.rank = s.rank(l)
			takes := fmt.Sprintf("spends %.0f %% of its CPU on it", 100*min(1, gc.share))
			if gc.pauses {
				takes = fmt.Sprintf("stands still for %.0f %% of the time", 100*min(1, gc.share))
				c.evidence("time spent in pauses of garbage collection", 100*min(1, gc.share), "%", "< 25", name+" "+gc.time)
			} else {
				c.evidence("CPU spent on garbage collection", 100*min(1, gc.share), "%", "< 25", name+" "+gc.time)
				if p, ok := s.processor(name); ok && p.servers-gc.cores > gc.share*gc.cores { // it collects with what would be idle
					c.against("%.2g of the %.0f cores that %s may use are idle, and collecting takes %.2g: no CPU is short for it", p.servers-gc.cores, p.servers, name, gc.share*gc.cores)
				}
			}
			c.evidence("collections", gc.cycles, "/s", "", name+" "+gc.count)
			if calm, ok := s.collector(s.light().window, name); ok && s.lone != nil {
				c.evidence("collections with the fewest users", calm.cycles, "/s", "fewer", name+" "+gc.count)
				if calm.cycles >= gc.cycles {
					c.against("with the fewest users it collects %.3g times a second: that is what its work takes, and no pressure", calm.cycles)
				}
			}
			if rss := l.highest(name, "process_resident_memory_bytes"); rss > 0 {
				c.evidence("resident memory", rss, "bytes", "", name+" process_resident_memory_bytes")
			}
			for _, r := range s.of(hashPool, name) {
				if u, ok := r.use(l.window); ok {
					c.evidence("CPU of the process left for its work", gc.cores*(1-min(1, gc.share)), "cores", fmt.Sprintf("%.2g hashes at once want as many", u.busy), name)
				}
			}
			c.Summary = fmt.Sprintf("%s collects garbage %.3g times a second under load and %s", name, gc.cycles, takes)
			c.Remedy = "a higher memory limit or heap, less memory a request, and a bound on requests in flight, each of which keeps its memory"
			out = append(out, c)
			break
		}
	}
	return out
}
