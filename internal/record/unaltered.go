package record

import "math"

// Unaltered is the run until a test first changed a setting of the target: what was scraped, probed and sent after that is of
// another target. Events are all there. A run in which nothing was changed is given as it is.
func (r *Run) Unaltered() *Run {
	end := r.alteredS()
	if math.IsInf(end, 1) {
		return r
	}
	out := *r
	out.Frames = until(r.Frames, end, func(f *Frame) float64 { return f.OffsetS + f.Seconds })
	out.Scrapes = until(r.Scrapes, end, func(s *Scrape) float64 { return s.OffsetS })
	out.Probes = until(r.Probes, end, func(p *Probe) float64 { return p.OffsetS })
	out.Hosts = until(r.Hosts, end, func(h *HostReading) float64 { return h.OffsetS })
	out.Procs = until(r.Procs, end, func(p *ProcessReading) float64 { return p.OffsetS })
	return &out
}

// alteredS is when a setting was first changed, in seconds since the run began; +Inf: never.
func (r *Run) alteredS() float64 {
	end := math.Inf(1)
	for _, e := range r.Events {
		if e.Kind == EventSetting {
			end = math.Min(end, e.OffsetS)
		}
	}
	return end
}

// until keeps what was over by an instant.
func until[T any](all []T, end float64, over func(*T) float64) []T {
	var out []T
	for i := range all {
		if over(&all[i]) <= end {
			out = append(out, all[i])
		}
	}
	return out
}
