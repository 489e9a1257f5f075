package targets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/captest/captest/services"
)

// Restart replaces the process of a service, running or dead, by a new one at the same address and returns when that is
// ready. The old one gets SIGTERM and, when it is still there after the stop time-out, SIGKILL. When the new one does not
// come up, the error is a *StackError, the service stays down, and Restart may be tried again.
func (s *Stack) Restart(ctx context.Context, service string) error {
	return s.restart(ctx, service, nil)
}

// RestartWith restarts a service as Restart does, with knobs of its own on top of the stack's, by their names without the
// service; an empty set takes them away again. They hold, through any Restart, until the next RestartWith.
func (s *Stack) RestartWith(ctx context.Context, service string, set map[string]string) error {
	if !slices.Contains(s.order, service) {
		return fmt.Errorf("bundled services: restart %q: not one of those running (%s)", service, strings.Join(s.order, ", "))
	}
	if err := services.CheckKnobs(s.config.Profile, s.settings(&member{name: service, set: set})); err != nil {
		return err
	}
	return s.restart(ctx, service, func(m *member) { m.set = maps.Clone(set) })
}

func (s *Stack) restart(ctx context.Context, service string, change func(*member)) error {
	if !slices.Contains(s.order, service) {
		return fmt.Errorf("bundled services: restart %q: not one of those running (%s)", service, strings.Join(s.order, ", "))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
	}
	if s.life.Err() != nil {
		return fmt.Errorf("bundled services: restart %s: the stack is being stopped", service)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("bundled services: restart %s: %w", service, ctx.Err())
	}
	m := s.members[service]
	if err := m.process.stop(ctx, s.config.StopTimeout); err != nil {
		return err
	}
	if change != nil {
		change(m)
	}
	return s.launch(ctx, m, "", "restarted")
}

// Stop ends the services, the last started first: SIGTERM, and SIGKILL after the stop time-out of each. When ctx is done,
// those that are left get SIGKILL at once. It returns when all processes are reaped and all logs written and closed; the
// error says what is left, or which log is incomplete. Any number of calls, at any time, are one stop; a later call waits for
// it, or for its own ctx.
func (s *Stack) Stop(ctx context.Context) error {
	first := false
	s.once.Do(func() { first = true })
	if !first {
		select {
		case <-s.stopped:
			return s.left
		case <-ctx.Done():
			return fmt.Errorf("bundled services: still stopping: %w", ctx.Err())
		}
	}
	defer close(s.stopped)
	s.end()
	<-s.turn // a Restart gives up now, within killWait; its turn is the last
	var left []error
	for _, name := range slices.Backward(s.order) {
		m := s.members[name]
		if m == nil {
			continue // not reached by StartStack
		}
		if m.process != nil {
			if err := m.process.stop(ctx, s.config.StopTimeout); err != nil {
				left = append(left, err)
				continue // its log is still being written
			}
		}
		if err := m.log.Close(); err != nil {
			left = append(left, fmt.Errorf("bundled service %s: its log is incomplete: %w", name, err))
		}
		if err := m.held.Close(); err != nil {
			left = append(left, fmt.Errorf("bundled service %s: release its port: %w", name, err))
		}
	}
	s.spawner.Close()
	s.left = errors.Join(left...)
	return s.left
}
