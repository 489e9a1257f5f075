package experiment

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sort"
	"time"

	"github.com/captest/captest/internal/record"
)

// UnreachableError: nothing answers at a service's address, so there is nothing to measure.
type UnreachableError struct {
	Service, URL string
	Cause        error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("target service %s at %s cannot be reached: %v", e.Service, e.URL, e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// Hint is the next step.
func (e *UnreachableError) Hint() string {
	return "is it running, and is the URL right? `captest run` without --target starts the bundled services"
}

// PreflightError: the target answers, but one quiet request does not get what the scenario expects. Load would only repeat the mistake.
type PreflightError struct {
	Step   string
	Status int
	Class  string
}

func (e *PreflightError) Error() string {
	if e.Status > 0 {
		return fmt.Sprintf("step %s: one quiet request was answered with status %d, which the scenario does not expect (%s)", e.Step, e.Status, e.Class)
	}
	return fmt.Sprintf("step %s: one quiet request failed (%s)", e.Step, e.Class)
}

// Hint is the next step.
func (e *PreflightError) Hint() string {
	return "does the scenario fit this target? see its steps with `captest scenarios`, or write your own file"
}

// dialTimeout of the reachability check: a host that has not answered by then is not there.
const dialTimeout = 5 * time.Second

// reach opens one connection to every service the scenario uses.
func (x *experiment) reach(ctx context.Context) error {
	for _, name := range x.Scenario.Services() {
		s, ok := x.Target.Find(name)
		if !ok {
			return fmt.Errorf("target %s has no service %q", x.Target.Name, name)
		}
		conn, err := x.Guard.Dialer(dialTimeout).DialContext(ctx, "tcp", address(s.URL))
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			x.event(record.EventTarget, -1, err.Error(), map[string]string{"service": s.Name, "state": "unreachable"})
			return &UnreachableError{Service: s.Name, URL: s.URL, Cause: err}
		}
		_ = conn.Close() // opened only to see that it can be
	}
	return nil
}

// address of a base URL, with the scheme's port when it names none.
func address(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// preflight sends one request that must succeed: a scenario that does not fit its target is found here, not after minutes of load.
func (x *experiment) preflight(ctx context.Context) error {
	p := x.probe(ctx, "functional", "fresh", x.longest())
	if p.OK {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	step := x.Scenario.Steps[0]
	s, _ := x.Target.Find(step.Service)
	switch p.Error {
	case record.ErrorRefused.String(), record.ErrorDNS.String(), record.ErrorTimeout.String(), record.ErrorReset.String(), record.ErrorClosed.String(), record.ErrorTLS.String():
		return &UnreachableError{Service: s.Name, URL: s.URL, Cause: fmt.Errorf("one quiet request: %s", p.Error)}
	}
	return &PreflightError{Step: step.Name, Status: p.Status, Class: p.Error}
}

// Quiet is what the probes measured before any load: the yardstick of recovery, in ms.
type Quiet struct {
	MedianMs, P95Ms float64
	N               int
}

// quietBaseline probes the idle target, alternating fresh and kept connections. The first two warm caches and pools and are left out.
func (x *experiment) quietBaseline(ctx context.Context) error {
	n := x.pace.probes
	x.phase("quiet", fmt.Sprintf("%d single requests on the idle target", n), 0)
	var ms []float64
	for i := range n + 2 {
		conn := "fresh"
		if i%2 == 1 {
			conn = "kept"
		}
		p := x.probe(ctx, "functional", conn, x.longest())
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		x.probe(ctx, "health", conn, healthTimeout)
		if i >= 2 && p.OK {
			ms = append(ms, p.Ms)
		}
	}
	if len(ms) < n/2 {
		return &PreflightError{Step: x.Scenario.Steps[0].Name, Class: fmt.Sprintf("only %d of %d quiet requests succeeded", len(ms), n)}
	}
	sort.Float64s(ms)
	x.base = Quiet{MedianMs: quantile(ms, 0.5), P95Ms: quantile(ms, 0.95), N: len(ms)}
	return nil
}

// longest timeout of the scenario's first step, which the functional probe sends.
func (x *experiment) longest() time.Duration {
	if t := x.Scenario.Steps[0].Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}

// quantile of sorted values, nearest rank.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}
