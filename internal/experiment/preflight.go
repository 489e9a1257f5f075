package experiment

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
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
	probes := x.walk(ctx, "fresh", 0)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	i := slices.IndexFunc(probes, func(p record.Probe) bool { return !p.OK })
	if i < 0 {
		return nil
	}
	p := probes[i]
	step := x.Scenario.Steps[0]
	if at := slices.IndexFunc(x.Scenario.Steps, func(s scenarios.Step) bool { return s.Name == p.Step }); at >= 0 {
		step = x.Scenario.Steps[at]
	}
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
	ms := map[string][]float64{}
	for i := range n + 2 {
		conn := "fresh"
		if i%2 == 1 {
			conn = "kept"
		}
		probes := x.walk(ctx, conn, 0)
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		x.health(ctx, conn, healthTimeout)
		for _, p := range probes {
			if i >= 2 && p.OK {
				ms[p.Step] = append(ms[p.Step], p.Ms)
			}
		}
	}
	x.bases = map[string]Quiet{}
	for i, s := range x.Scenario.Steps {
		of := ms[s.Name]
		if len(of) < n/2 {
			return &PreflightError{Step: s.Name, Class: fmt.Sprintf("only %d of %d quiet requests succeeded", len(of), n)}
		}
		x.bases[s.Name] = quiet(of)
		if i == 0 {
			x.base = x.bases[s.Name]
		}
	}
	return nil
}

// quiet sums up the times of probes, in ms.
func quiet(ms []float64) Quiet {
	slices.Sort(ms)
	return Quiet{MedianMs: quantile(ms, 0.5), P95Ms: quantile(ms, 0.95), N: len(ms)}
}

// walkMs is how long a quiet walk through all steps takes, in ms.
func (x *experiment) walkMs() float64 {
	sum := 0.0
	for _, q := range x.bases {
		sum += q.MedianMs
	}
	return sum
}

// longest timeout of any step.
func (x *experiment) longest() time.Duration {
	longest := time.Duration(0)
	for _, s := range x.Scenario.Steps {
		t := s.Timeout
		if t <= 0 {
			t = scenarios.DefaultTimeout
		}
		longest = max(longest, t)
	}
	return longest
}

// quantile of sorted values, nearest rank.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}
