package diagnose

import (
	"fmt"
	"math"
	"slices"

	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
)

// demand is the service demand of one resource, and how it was found.
type demand struct {
	seconds   queueing.Interval // server-seconds a journey
	bounded   bool              // the interval says something
	how       string            // for people
	inflated  bool              // work a journey grows with load
	upTo      float64           // 1/s: known up to here
	atBest    use
	available bool
}

// demandOf regresses a resource's busy time on throughput over all loads. Where the loads do not allow that it divides
// busy time by completions, load by load; background work is then in it and the interval is the range over the loads.
func (s *sight) demandOf(r *resource) demand {
	d := demand{}
	var ok bool
	if d.atBest, ok = r.use(s.loads[0].window); !ok || !finite(d.atBest.busy) || d.atBest.busy <= 0 || s.best.GoodputPerSecond <= 0 {
		return d
	}
	d.available = true
	trials, at := s.trials(r)
	fit, err := queueing.FitDemand(trials)
	if err == nil && finite(fit.Demand.Low) && finite(fit.Demand.High) && fit.Demand.Low > 0 && fit.RSquared > 0.5 {
		d.seconds, d.bounded, d.upTo, d.inflated = fit.Demand, true, fit.UpTo, fit.Inflated
		d.how = fmt.Sprintf("regression over %d loads, R² %.2f", fit.Used, fit.RSquared)
		if fit.Inflated {
			d.how += fmt.Sprintf("; work a journey grows %.0f %% with load", 100*(fit.Drift-1))
		}
		return d
	}
	work, _ := r.worked(s.loads[0].window)
	v := work / s.best.GoodputPerSecond
	if v <= 0 || !finite(v) {
		return demand{}
	}
	d.seconds, d.upTo, d.how = queueing.Exactly(v), s.best.GoodputPerSecond, "busy time ÷ completions at the highest goodput"
	loaded := 0
	for i, t := range trials {
		if !at[i] || t.Completions < 10 || t.ErrorRatio > 0.01 || t.Busy <= 0 {
			continue
		}
		loaded++
		own := t.Busy / t.Completions
		d.seconds.Low, d.seconds.High = math.Min(d.seconds.Low, own), math.Max(d.seconds.High, own)
	}
	if loaded >= 2 && d.seconds.High > d.seconds.Low {
		d.bounded, d.how = true, fmt.Sprintf("busy time ÷ completions; range over %d loads", loaded)
	}
	return d
}

// trials are the loads as the regression wants them; at says which of them were trials of the run.
func (s *sight) trials(r *resource) (out []queueing.Trial, at []bool) {
	add := func(t queueing.Trial, real bool) { out, at = append(out, t), append(at, real) }
	for i := range s.res.Trials {
		t := &s.res.Trials[i]
		if t.Verdict == verdictInvalid || t.Phase == record.PhaseTests || t.N == 0 || t.Seconds <= 0 || t.Load.Users == 0 && t.Load.RatePerSecond == 0 {
			continue
		}
		busy, ok := r.worked(s.at(t).window)
		if !ok || busy < 0 || !finite(busy) {
			continue
		}
		failed := 0.0
		if t.ErrorPercent != nil {
			failed = math.Min(1, math.Max(0, *t.ErrorPercent/100))
		}
		// A closed load is ordered by its users, an open one by Little's law.
		users := float64(t.Load.Users)
		if users == 0 {
			users = t.InFlightMean
		}
		add(queueing.Trial{Users: users, Seconds: t.Seconds, Completions: t.GoodputPerSecond * t.Seconds, Busy: busy * t.Seconds, ErrorRatio: failed}, true)
	}
	if idle, ok := s.idle(); ok {
		if busy, ok := r.worked(idle); ok && busy >= 0 {
			add(queueing.Trial{Seconds: idle.to - idle.from, Busy: busy * (idle.to - idle.from)}, false)
		}
	} else if r.idle {
		add(queueing.Trial{Seconds: 5}, false)
	}
	return out, at
}

// idle is the longest stretch before the first load in which captest sent no journey, if it is long enough.
func (s *sight) idle() (window, bool) {
	if len(s.run.Frames) == 0 {
		return window{}, false
	}
	from, best := s.run.Frames[0].OffsetS, window{index: s.index}
	end := func(at float64) {
		if at-from > best.to-best.from {
			best.from, best.to = from, at
		}
	}
	for _, p := range s.run.Probes {
		if p.Probe == "health" || p.OffsetS >= s.all.from {
			continue
		}
		end(p.OffsetS)
		from = p.OffsetS + p.Ms/1000
	}
	end(s.all.from)
	return best, best.to-best.from >= 3
}

// ceilings gives the throughput each instrumented resource allows, lowest first: servers ÷ demand (utilisation law, Denning
// & Buzen 1978). A service that hashes always has its hashing among them, on a loop or in a pool.
func (s *sight) ceilings() []record.Ceiling {
	out := []record.Ceiling{}
	for i := range s.resources {
		r := &s.resources[i]
		if r.servers == 0 {
			continue
		}
		if d := s.demandOf(r); d.available {
			out = append(out, ceilingOf(r.name(), r.where, r.servers, d))
		}
	}
	for _, name := range s.index.services {
		if r, ok := s.hashing(name); ok {
			if d := s.demandOf(&r); d.available {
				out = append(out, ceilingOf("hashing, on all cores", name, r.servers, d))
			}
		}
	}
	out = slices.DeleteFunc(out, func(c record.Ceiling) bool {
		return !finite(c.PerSecond) || !finite(c.DemandMs) || !finite(*c.UtilisationPercent)
	})
	slices.SortStableFunc(out, func(a, b record.Ceiling) int {
		switch {
		case a.PerSecond < b.PerSecond:
			return -1
		case a.PerSecond > b.PerSecond:
			return 1
		}
		return 0
	})
	return out
}

// hashing on the event loop of a service: what the machine's cores would allow, were they all used for it.
func (s *sight) hashing(name string) (resource, bool) {
	cores, ok := s.cores()
	if !ok || s.all.highest(name, "hash_pool_size") > 0 || s.all.highest(name, "hashes_total") < 1 || !s.index.has(name, "event_loop_busy_seconds_total") {
		return resource{}, false
	}
	// Loops may be more than there are cores: then a hash lasts longer than it takes, and the CPU's account says what it takes.
	busy := func(w window) (float64, bool) {
		clock, ok := w.rate(name, "hash_seconds_total")
		if used, known := w.rate(name, "process_cpu_seconds_total"); known && used > 0 {
			clock = math.Min(clock, used)
		}
		return clock, ok
	}
	return resource{kind: hashPool, where: name, servers: cores, idle: true, busy: busy}, true
}

func ceilingOf(name, where string, servers float64, d demand) record.Ceiling {
	u := 100 * d.atBest.busy / servers
	c := record.Ceiling{Resource: name, Where: where, Servers: servers, DemandMs: 1000 * d.seconds.Value, PerSecond: servers / d.seconds.Value, UtilisationPercent: &u, Method: d.how}
	if d.bounded && d.seconds.Low > 0 {
		low, high := servers/d.seconds.High, servers/d.seconds.Low
		if finite(low) && finite(high) {
			c.Interval = &record.Bounds{Confirmed: &low, Refuted: &high}
		}
	}
	return c
}

// freed is a resource's demand were nothing full behind it: permits and connections are held while calls wait there, and waiting is
// never demand (measurement 1.5). With one user nobody waits.
func (s *sight) freed(r *resource, d demand) demand {
	if r.kind != semaphore && r.kind != clientPool || !s.behindIsFull(s.loads[0], r.to) {
		return d
	}
	if alone, ok := s.heldAlone(r); ok && alone < d.seconds.Value {
		d.seconds, d.bounded = queueing.Exactly(alone), false
	}
	return d
}

// heldAlone is for how long a journey holds a resource with the fewest users, in s; false where that was not seen.
func (s *sight) heldAlone(r *resource) (seconds float64, ok bool) {
	if s.lone == nil {
		return 0, false
	}
	busy, ok := r.worked(s.lone.window)
	seconds = busy / s.lone.trial.GoodputPerSecond
	return seconds, ok && finite(seconds) && seconds > 0
}

// system is the run as queueing sees it: what predictions start from.
func (s *sight) system() queueing.System {
	sys := queueing.System{Highest: s.best.GoodputPerSecond, Flat: s.saturated()}
	for i := range s.resources {
		r := &s.resources[i]
		d := s.freed(r, s.demandOf(r))
		if !d.available {
			continue
		}
		q := queueing.Resource{Name: r.full(), Demand: d.seconds, Servers: r.servers, Overlaps: r.overlaps, Utilization: math.Max(0, d.atBest.utilization), Queue: d.atBest.isFull()}
		if r.servers == 0 {
			if r.kind == clientPool {
				continue // how large it may grow is unknown, so it has no ceiling
			}
			q.Delay = true
		}
		if _, u, full := s.fullAt(r); full {
			q.Utilization, q.Queue = math.Max(q.Utilization, u.utilization), true
		}
		sys.Resources = append(sys.Resources, q)
	}
	return sys
}
