package drive

import (
	"context"
	"time"

	"github.com/captest/captest/internal/record"
)

// Walk is the functional probe of a whole journey: every step in turn, weights and think times aside, each judged as the load's
// are, one record.Probe per step. It ends at a step that fails, since those behind may need what that one gives; of
// alternatives (steps with weights) the next one is still asked. timeout, per step, is at most the step's own; 0 is the step's own.
func (p *Prober) Walk(ctx context.Context, onFresh bool, timeout time.Duration) []record.Probe {
	var u *user
	if onFresh {
		u = p.sender.user(0)
		defer u.rest()
	} else {
		k := p.keeper(keptKey{functional, ""})
		k.mu.Lock()
		defer k.mu.Unlock()
		u = k.user
	}
	var out []record.Probe
	begun := u.prepare(ctx)
	if onFresh {
		u.rest() // the connection setup came on is not fresh any more
	}
	if !begun.failed() {
		if err := u.begin(); err != nil {
			begun = result{fatal: err}
		}
	}
	for i := range p.sender.script.steps {
		s := &p.sender.script.steps[i]
		answer := begun
		if !begun.failed() {
			answer = u.send(ctx, s, min(choose(timeout, s.timeout), s.timeout), -1, nil)
		}
		out = append(out, p.stepProbe(i, onFresh, &answer))
		if answer.failed() && (s.weight <= 0 || begun.failed()) || ctx.Err() != nil {
			break
		}
	}
	return out
}

// stepProbe writes down the answer to one step of a walk.
func (p *Prober) stepProbe(i int, onFresh bool, answer *result) record.Probe {
	service := p.config.Scenario.Steps[i].Service
	if found, ok := p.config.Target.Find(service); ok {
		service = found.Name
	}
	x := record.Probe{Probe: functional, Connection: kept, Service: service, Step: p.sender.script.steps[i].name}
	if onFresh {
		x.Connection = fresh
	}
	p.fill(&x, answer)
	return x
}
