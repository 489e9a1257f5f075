package diagnose

import (
	"fmt"
	"math"

	"github.com/captest/captest/internal/record"
)

// descriptors names descriptor-exhaustion: a process with nearly as many open files as it may have.
//
// Evidence: open descriptors ≥ 90 % of the limit, by the service's account or the kernel's. What they are spent on, if the
// kernel says so, tells whether it is a leak or churn. Told apart: an accept backlog, which is a consequence (weigh).
func descriptors(s *sight) []claim {
	var out []claim
	loaded := s.all
	loaded.to += stillWorking
	for _, name := range s.servicesSeen() {
		peak, limit, source := s.files(loaded, name)
		if limit <= 0 || peak < 0.9*limit {
			continue
		}
		c := claimOf("descriptor-exhaustion", name)
		c.stuck = true
		c.evidence("descriptors open at most", peak, fmt.Sprintf("of %.0f", limit), "≥ 90 %", source)
		before := s.before(name, "process_open_fds")
		if before > 0 {
			c.evidence("before the load", before, "", "", source)
		}
		if s.after != nil {
			if still, _, _ := s.files(*s.after, name); still > 0 {
				c.evidence("without load afterwards", still, "", "as before", source)
			}
		}
		for _, to := range s.calls(name) {
			if now, ok := s.all.call(name, to); ok && now.opened >= 0.5 {
				c.evidence("connections opened a call to "+to, now.opened, "", "", name+" "+connsOpened)
			}
		}
		if q := s.queued(s.all, name); q > 0 {
			c.evidence("connections that nobody accepted", q, "", "0", "kernel, "+name)
		}
		c.notThe("memory-pressure", "it is descriptors that ran out: %.0f of %.0f", peak, limit)
		c.Summary = fmt.Sprintf("%s had %.0f of its %.0f descriptors open; beyond that it can neither accept nor call", name, peak, limit)
		c.Remedy = "reuse connections, close what is idle, bound requests in flight, and raise the limit of open files to what is then needed"
		out = append(out, c)
	}
	return out
}

// stillWorking is for how long after the last load its requests may be at work, in s: a scrape that fails meanwhile tells nothing.
const stillWorking = 10

// files are a service's open descriptors at most within a window, and its limit.
func (s *sight) files(w window, name string) (peak, limit float64, source string) {
	source = name + " process_open_fds"
	peak, limit = w.highest(name, "process_open_fds"), s.all.highest(name, "process_max_fds")
	for _, p := range s.processes(w, name) {
		// Descriptors are those of all its processes, the limit that of each.
		if p.FDs != nil && p.FDLimit != nil && *p.FDLimit > 0 && len(p.PIDs) <= 1 {
			if limit == 0 || *p.FDs > peak {
				peak, source = math.Max(peak, *p.FDs), "kernel, "+name
			}
			limit = *p.FDLimit
		}
	}
	return peak, limit, source
}

// descriptorsLeft rules out that a service ran out of descriptors within a window.
func (s *sight) descriptorsLeft(c *claim, w window, name string) {
	if peak, most, _ := s.files(w, name); most > 0 && peak < 0.8*most {
		c.notThe("descriptor-exhaustion", "%.0f of %.0f descriptors are open", peak, most)
	}
}

// needs tells of services that may run out of descriptors at a throughput: what a journey a second kept open under each load
// (peak less the idle level, by Little's law descriptors × seconds a journey) goes on being so, between its extremes.
func (s *sight) needs(perSecond float64) []string {
	var out []string
	for _, name := range s.servicesSeen() {
		_, limit, _ := s.files(s.all, name)
		idle := s.before(name, "process_open_fds")
		if limit <= 0 || idle <= 0 {
			continue
		}
		low, high := math.Inf(1), 0.0
		for i := range s.res.Trials {
			t := &s.res.Trials[i]
			if t.Verdict == verdictInvalid || t.Phase == record.PhaseTests || t.GoodputPerSecond <= 0 || t.ErrorPercent == nil || *t.ErrorPercent > 1 {
				continue
			}
			if peak, _, _ := s.files(s.at(t).window, name); peak > 0 {
				each := math.Max(0, peak-idle) / t.GoodputPerSecond
				low, high = math.Min(low, each), math.Max(high, each)
			}
		}
		low, high = idle+low*perSecond, idle+high*perSecond
		switch {
		case finite(low) && low > limit:
			out = append(out, fmt.Sprintf("%s then needs %.0f–%.0f descriptors, and has %.0f: it breaks before it gets there", name, low, high, limit))
		case finite(low) && high > limit:
			out = append(out, fmt.Sprintf("%s then needs %.0f–%.0f descriptors, and has %.0f: it may break before it gets there", name, low, high, limit))
		}
	}
	return out
}

// queued is the longest accept queue of a service within a window, by the kernel.
func (s *sight) queued(w window, name string) float64 {
	most := 0.0
	for _, p := range s.processes(w, name) {
		if p.AcceptQueue != nil {
			most = math.Max(most, *p.AcceptQueue)
		}
	}
	return most
}

// servicesSeen are those with metrics, then those the kernel alone was asked about.
func (s *sight) servicesSeen() []string {
	out := append([]string{}, s.index.services...)
	for i := range s.run.Procs {
		out = appendNew(out, s.run.Procs[i].Service)
	}
	return out
}
