package diagnose

import (
	"math"

	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
)

// predict says for what limits how much its removal would bring at most: the next ceiling. It is the limit of a cure that
// takes the resource away altogether, and no promise of any cure.
func (s *sight) predict(claims []claim) {
	if s.unmeasured() != "" {
		return
	}
	for i := range claims {
		c := &claims[i]
		k, known := kindOf[c.Cause]
		if c.Role != SlowBecause || c.aside || !known {
			continue
		}
		if c.Cause == "connection-per-request" { // its cure takes the work away, and no resource
			if o, err := s.changed(c.Where + ".client=pooled"); err == nil && o.PerSecond.Value > s.best.GoodputPerSecond {
				r := o.PerSecond
				c.Prediction = s.needing(&record.Prediction{PerSecond: &r.Value, Interval: &record.Bounds{Confirmed: &r.Low, Refuted: &r.High}, Limit: o.Limit})
			}
			continue
		}
		for j := range s.resources {
			r := &s.resources[j]
			if r.kind != k || r.where != c.Where || c.to != "" && r.to != "" && r.to != c.to && r.kind != slots {
				continue
			}
			if next := s.without(r); next != nil {
				c.Prediction = s.needing(next)
			}
			break
		}
	}
}

// changed is the outlook after one change.
func (s *sight) changed(expr string) (Outlook, error) {
	sys := s.system()
	changes, err := s.change(&sys, expr)
	if err != nil {
		return Outlook{}, err
	}
	p, err := queueing.Predict(sys, 1, changes...) // the ceiling is of any number of users
	return outlookOf(p.After), err
}

// needing says with a prediction what else that throughput takes.
func (s *sight) needing(p *record.Prediction) *record.Prediction {
	p.Needs = s.needs(*p.PerSecond)
	return p
}

var kindOf = map[string]kind{
	"event-loop-blocked": loop, "connection-per-request": loop, "cpu-bound-hashing": hashPool, "pool-too-small": clientPool, "semaphore-too-small": semaphore,
	"database-pool-starved": database, "lock-contention": lock,
}

// without is the lowest ceiling that stays when a resource has no limit any more. Work that is taken off an event loop
// still has to be done by a core.
func (s *sight) without(gone *resource) *record.Prediction {
	best := math.Inf(1)
	var p *record.Prediction
	consider := func(r *resource, d demand) {
		if !d.available || r.servers == 0 || r.servers/d.seconds.Value >= best {
			return
		}
		v := r.servers / d.seconds.Value
		low, high := v, v
		if d.bounded && d.seconds.Low > 0 {
			low, high = r.servers/d.seconds.High, r.servers/d.seconds.Low
		}
		low, high = low*(1-queueing.ModelError), high*(1+queueing.ModelError)
		if !finite(low) || !finite(high) || !finite(v) {
			return
		}
		best = v
		p = &record.Prediction{PerSecond: &v, Interval: &record.Bounds{Confirmed: &low, Refuted: &high}, Limit: r.said()}
	}
	for i := range s.resources {
		// More cores for hashing are more CPU too: it is nearly all that the process computes.
		r := &s.resources[i]
		more := gone.kind == hashPool && (r.kind == cpu && r.where == gone.where || r.kind == machine)
		if r != gone && !more {
			consider(r, s.freed(r, s.demandOf(r)))
		}
	}
	if gone.kind == loop {
		if r, ok := s.hashing(gone.where); ok {
			before := best
			consider(&r, s.demandOf(&r))
			if best < before {
				p.Limit = "hashing on all cores, in " + gone.where
			}
		}
	}
	if p != nil && *p.PerSecond <= s.best.GoodputPerSecond {
		return nil // measured at different loads: no more is promised than was reached
	}
	return p
}
