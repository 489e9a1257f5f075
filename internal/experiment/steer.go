package experiment

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
)

// Why a load is not changed by hand.
var (
	errSearch = errors.New("the search decides the load; use n or q")
	errVegeta = errors.New("engine vegeta sends what it was given; use n or q")
	errNoLoad = errors.New("no load is running that could be changed")
)

// steering is the load in progress, as a person may change it.
type steering struct {
	x     *experiment
	load  *drive.Throttle
	trial int
	phase string
	mark  record.Load

	mu   sync.Mutex // held while something is changed, so that no mark comes after the trial's end
	over bool
}

// steered lets a person change a trial's load until over is called.
func (x *experiment) steered(s trialSpec, trial int) (over func()) {
	if s.load.Control == nil {
		return func() {}
	}
	t := &steering{x: x, load: s.load.Control, trial: trial, phase: s.phase, mark: s.mark}
	x.Control.steering(t)
	x.progress.steering(t)
	return func() {
		x.Control.steering(nil)
		x.progress.steering(nil)
		t.mu.Lock()
		t.over = true
		t.mu.Unlock()
	}
}

// Turn changes the load in progress by so many users, or, of an open load, percent of its planned rate. The error says why it
// cannot be changed.
func (c *Control) Turn(steps int) error {
	return c.act(func(t *steering) error { return t.turn(steps) })
}

// Hold holds the load in progress, or lets it go on. The error says why it cannot be.
func (c *Control) Hold() error { return c.act((*steering).hold) }

func (c *Control) act(do func(*steering) error) error {
	c.mu.Lock()
	t := c.steer
	c.mu.Unlock()
	if t == nil {
		return errNoLoad
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return errNoLoad
	}
	return do(t)
}

func (c *Control) steering(t *steering) {
	c.mu.Lock()
	c.steer = t
	c.mu.Unlock()
}

func (p *progress) steering(t *steering) {
	p.mu.Lock()
	p.steer = t
	p.mu.Unlock()
}

// whyFixed says why no load can be changed now.
func whyFixed(c Config) string {
	_, vegeta := c.Engine.(*drive.Vegeta)
	switch {
	case c.Fixed == nil:
		return errSearch.Error()
	case vegeta:
		return errVegeta.Error()
	}
	return errNoLoad.Error()
}

func (t *steering) turn(steps int) error {
	c := record.Change{What: record.ChangedUsers}
	text := ""
	if before, after, ok := t.load.AddUsers(steps); ok {
		c.Before, c.After = float64(before), float64(after)
		text = fmt.Sprintf("%d users instead of %d", after, before)
	} else if before, after, ok := t.load.AddRate(float64(steps) / 100); ok {
		c.What, c.Before, c.After = record.ChangedRate, before, after
		text = fmt.Sprintf("%.4g/s instead of %.4g/s", after, before)
	} else {
		return errNoLoad
	}
	t.changed(c, text)
	return nil
}

func (t *steering) hold() error {
	now, ok := t.load.Standing()
	if !ok || !t.load.Hold(!now.Held) {
		return errNoLoad
	}
	if now.Held {
		t.changed(record.Change{What: record.ChangedHold, Before: 1}, "the load goes on")
	} else {
		t.changed(record.Change{What: record.ChangedHold, After: 1}, "the load is held")
	}
	return nil
}

// changed writes a change down and puts what is recorded from now on under the load as it is now.
func (t *steering) changed(c record.Change, text string) {
	if c.Before == c.After {
		return // at its bound already
	}
	c.OffsetS = t.x.now().Seconds()
	t.x.event(record.EventLoad, t.trial, text, c)
	now, ok := t.load.Standing()
	if !ok {
		return // it ended meanwhile
	}
	m := record.Mark{Trial: t.trial, Phase: t.phase, Load: t.mark}
	switch {
	case now.Held:
		m.Phase, m.Load = record.PhaseHeld, record.Load{}
	case now.Users > 0:
		m.Load.Users = now.Users
	case t.mark.RatePerSecond > 0:
		m.Load.RatePerSecond = now.RatePerSecond
	}
	t.x.Recorder.Enter(m)
}

// show fills in how the load stands. spent is how long the phase has lasted; what it was held for does not count.
func (t *steering) show(s *record.Snapshot, spent *time.Duration) {
	now, ok := t.load.Standing()
	if !ok {
		return
	}
	*spent = now.Elapsed
	s.Load = record.Load{Users: now.Users, RatePerSecond: now.RatePerSecond, Arrivals: t.mark.Arrivals}
	s.Held, s.Steer, s.SteerWhy = now.Held, record.ChangedUsers, ""
	if t.mark.Users == 0 {
		s.Steer = record.ChangedRate
	}
}
