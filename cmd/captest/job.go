package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// job is what `captest run` was asked to do, read and checked, with nothing started and nothing sent.
type job struct {
	scenario  *scenarios.Scenario
	limits    []scenarios.Limit
	fixed     *experiment.Fixed // nil: the capacity plan
	target    *targets.Target
	engine    string // as run.json names it
	engineWhy string
	sources   []netip.Addr
	tls       *tls.Config
	effort    experiment.Effort
	baseline  *targets.Baseline
	guard     *targets.Guard
}

// prepare reads everything the command line names and refuses what cannot be run. newGuard is targets.NewGuard, or DryGuard where
// nothing may be sent, not even a question to a resolver.
func (o *runOptions) prepare(ctx context.Context, e *env, newGuard func(*targets.Target, []string) (*targets.Guard, error)) (*job, error) {
	j := &job{}
	var err error
	if j.scenario, j.limits, j.fixed, err = o.load(); err != nil {
		return nil, invalid(err)
	}
	if j.target, err = o.findTarget(j.scenario, e.getenv); err != nil {
		return nil, invalid(err)
	}
	if err := o.applySet(j.target); err != nil {
		return nil, invalid(err)
	}
	if j.target.Bundled {
		if j.target.Store, err = chooseStore(e, o.store, j.target.Store); err != nil {
			return nil, invalid(err)
		}
	} else if o.store != "" {
		return nil, invalid(errors.New("--store is for the bundled services; this target keeps its rows itself"))
	}
	if j.engine, j.engineWhy, err = chooseEngine(o, j.scenario, j.target, j.fixed); err != nil {
		return nil, invalid(err)
	}
	if j.sources, err = parseSources(o.sources); err != nil {
		return nil, invalid(err)
	}
	j.tls, err = o.secure.config()
	if err = errors.Join(err, o.secure.fits(j.target)); err != nil {
		return nil, invalid(err)
	}
	if j.effort, err = experiment.ParseEffort(o.effort); err != nil {
		return nil, invalid(err)
	}
	if j.baseline, err = o.loadBaseline(j.scenario); err != nil {
		return nil, &exitError{code: gate.ExitBaseline, cause: err}
	}
	if j.guard, err = newGuard(j.target, o.allowHost); err != nil {
		return nil, invalid(err)
	}
	if !j.target.Bundled {
		if err := j.guard.Check(ctx, j.target); err != nil {
			return nil, err
		}
	}
	if err := j.target.CheckServices(j.scenario.Services()); err != nil {
		return nil, invalid(err)
	}
	if err := j.scenario.Check(e.getenv); err != nil {
		return nil, invalid(err)
	}
	return j, nil
}
