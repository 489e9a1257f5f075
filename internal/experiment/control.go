package experiment

import (
	"context"
	"errors"
	"sync"
)

// Control is how the outside reaches a run in progress: a person's keys, a signal, a service that died. Safe for
// concurrent use; the zero value is ready.
type Control struct {
	mu     sync.Mutex
	cancel context.CancelCauseFunc // the whole run
	skip   context.CancelCauseFunc // the trial in progress
	early  error                   // arrived before the run began
	exit   *Exit
	quit   bool
	steer  *steering // the load in progress, where it can be changed
}

// Exit is a service of the bundled stack that ended by itself.
type Exit struct{ Service, Detail string }

func (e *Exit) Error() string { return e.Service + " service exited: " + e.Detail }

var errNext = errors.New("next phase asked for")

// Quit ends the run early; the report is still written.
func (c *Control) Quit() {
	c.mu.Lock()
	c.quit = true
	c.mu.Unlock()
	c.end(ErrInterrupted)
}

// Quitted says whether somebody asked the run to end; its time limit does not.
func (c *Control) Quitted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quit
}

// Exited tells the run that a service died. The run ends: capacity of a dead service is no figure.
func (c *Control) Exited(service, detail string) {
	e := &Exit{Service: service, Detail: detail}
	c.mu.Lock()
	if c.exit == nil {
		c.exit = e
	}
	c.mu.Unlock()
	c.end(e)
}

// Next ends the trial in progress; the run goes on with what comes after it.
func (c *Control) Next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skip != nil {
		c.skip(errNext)
	}
}

func (c *Control) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel == nil {
		c.early = cause
		return
	}
	c.cancel(cause)
}

func (c *Control) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if c.early != nil {
		cancel(c.early)
	}
	return ctx, func() { cancel(nil) }
}

// trial gives the context one trial runs under.
func (c *Control) trial(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skip = cancel
	return ctx, func() { cancel(nil) }
}

func (c *Control) down() *Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit
}
