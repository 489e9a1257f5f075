package experiment

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// PhaseTests is the phase of every load that a discriminating test holds. Its trials say nothing of the capacity.
const PhaseTests = record.PhaseTests

// test tells causes apart that look the same under load. Source: measurement 5.2.
type test struct {
	name     string
	expected time.Duration
	// run makes the test on a target at rest and leaves it so. A test that cannot be made gives why in Skipped; its error is the
	// end of the run.
	run func(ctx context.Context) (record.Test, error)
}

// quietTests are those made between the search and the overload, when the target is known to be well.
func (x *experiment) quietTests() []test {
	var out []test
	if x.Asker != nil {
		out = x.askingTests()
	}
	return append(out, x.tierTests()...)
}

// askingTests ask the scenario's first step in ways of their own.
func (x *experiment) askingTests() []test {
	return []test{
		{record.TestBurst, burstBudget + 4*time.Second, x.resting("", x.burstTest)},
		{record.TestCoupling, couplingIdle + couplingWarm + couplingMeasured, x.resting("", x.couplingTest)},
		{record.TestShortCircuit, shortLoaded + time.Second, x.resting("", x.shortCircuitTest)},
		{record.TestConnections, 2*connectionsLength + 2*time.Second, x.resting("", x.connectionsTest)},
	}
}

// resting makes a test, at a service that its result would name, and sees the target at rest after it. One that leaves the target
// wounded is the last.
func (x *experiment) resting(where string, run func(context.Context) (record.Test, error)) func(context.Context) (record.Test, error) {
	return func(ctx context.Context) (record.Test, error) {
		if x.wounded {
			return record.Test{Where: where, Skipped: "the target did not come to rest after the test before"}, nil
		}
		x.testSent = false
		out, err := run(ctx)
		if err == nil && ctx.Err() == nil && x.testSent {
			x.wounded = x.drain(ctx) == search.Wounded
		}
		return out, err
	}
}

// testsAhead is how long the tests that are wanted take: those between search and overload, and those at the end, of which there are
// none where captest can change no setting.
func (c *Config) testsAhead() (quiet, late time.Duration) {
	x := &experiment{Config: *c}
	quiet = x.expectedOf(x.quietTests())
	if c.Change != nil {
		late = x.expectedOf(x.lateTests())
	}
	return quiet, late
}

// expectedOf is how long tests take that are wanted.
func (x *experiment) expectedOf(tests []test) time.Duration {
	d := time.Duration(0)
	for _, t := range tests {
		if !slices.Contains(x.NoTests, t.name) {
			d += t.expected
		}
	}
	return d
}

// discriminate makes tests one after the other and writes down what they measured, or why they were not made. follows is how long
// the run usually takes behind them. A *Braked says that the brake ended them: no more is asked of the target.
func (x *experiment) discriminate(ctx context.Context, tests []test, follows time.Duration) error {
	var braked *Braked
	for i, t := range tests {
		if slices.Contains(x.NoTests, t.name) {
			x.event(record.EventTest, -1, "", record.Test{Name: t.name, Skipped: "not wanted"})
			continue
		}
		if braked != nil {
			x.event(record.EventTest, -1, "", record.Test{Name: t.name, Skipped: "the brake was pulled in the test before"})
			continue
		}
		x.progress.ahead(x.expectedOf(tests[i+1:]) + follows)
		x.phase(PhaseTests, t.name, t.expected)
		found, err := t.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.As(err, &braked) {
			return err
		}
		found.Name = t.name
		x.event(record.EventTest, -1, found.Skipped, found)
	}
	if braked != nil {
		return braked
	}
	return nil
}
