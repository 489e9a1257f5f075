// Package experiment ORDERS a run: which load comes next, for how long, and when it is over; then whether the target comes back.
//
// It stands over the straight line schedule → drive → record and runs trials through it. Deciding functions are pure
// (levels in → next level out), so that they run in simulation. It does not explain, judge or show anything: what it
// learnt goes into the run folder as events.
package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// Config is all an experiment works with. Everything in it is already started; nothing is closed here.
type Config struct {
	Scenario *scenarios.Scenario
	Target   *targets.Target
	Guard    *targets.Guard
	Limits   []scenarios.Limit
	Engine   drive.Engine
	Prober   Prober
	Asker    Asker // nil: no tests are made that tell causes apart
	Recorder *record.Recorder
	Folder   *record.Folder
	Observer *observe.Observer
	Clock    record.Clock
	Control  *Control
	Effort   Effort
	Own      Own               // what captest has for connections; zero: unknown
	Seed     uint64            // of the open loads' arrivals
	Arrivals schedule.Arrivals // how they come; "" is slotted
	Fixed    *Fixed            // nil runs the capacity plan
	Battery  *Battery          // instead of the search; nil: none
	Baseline *targets.Baseline // nil for none
	NoBrake  bool              // go on however badly the target fares
	NoTests  []string          // names of tests that are not to be made (record.Test…)
	// Direct makes what pushes the scenario's identities straight at an inner service; nil: nothing can.
	Direct func(service string) (Direct, error)
	// Restart restarts one service of the target; nil when captest cannot.
	Restart func(ctx context.Context, service string) error
	// Change gives a setting of one service a value and returns when the service runs with it; nil when captest cannot.
	Change func(ctx context.Context, service, setting, value string) error
	// Suspect explains the run folder so far and says which settings to change to prove it; nil: nobody does.
	Suspect func() (Suspicion, error)
	// Latest reads a service's gauges; nil is Observer.Latest.
	Latest func(service string) (record.Scrape, bool)
}

// Plan names as run.json carries them.
const (
	PlanCapacity = "capacity"
	PlanFixed    = "fixed"
)

// ErrInterrupted ends a run early on request: q on the screen, SIGINT, SIGTERM, or the run's time limit.
var ErrInterrupted = errors.New("interrupted")

// experiment is one run in progress.
type experiment struct {
	Config
	pace       pace
	care       recoveryPace
	progress   *progress
	plan       search.Plan
	found      []search.Trial // of the search so far
	trials     int
	base       Quiet            // of the first step
	bases      map[string]Quiet // of every step
	readings   *readings
	quietSpan  Span    // when the target was idle, before any load
	top        level   // the closed level with the highest goodput so far
	silentS    float64 // how long no health check had been answered when the last load ended
	overloadMs float64 // mean response time under the patient overload
	triggers   []record.Trigger

	aloneMs []float64 // the first step alone, as the burst test met it

	testSent  bool      // the test in progress has asked the target for something
	wounded   bool      // a test left the target so that it did not come to rest
	asked     LoadCount // what tests have asked for besides the recorded load
	recovered string    // class of the recovery verdict; "" before there is one
	altered   bool      // a setting of the target has been changed: what happens now is not the target's doing

	invalidTrials []string // why, each
	lagP99        *float64 // highest of any trial, ms
	portsTold     bool     // a warning of ports has been given
	disturbed     bool     // the screen has been told of other work on the machine
}

// Run carries the whole plan out and returns when the target is quiet again. ErrInterrupted and *UnreachableError and
// *PreflightError are told apart by the caller; whatever happened before an error is in the run folder already.
func Run(ctx context.Context, c Config) error {
	x := &experiment{Config: c, pace: paces[c.Effort], care: recoveryOf(c.Effort), progress: newProgress(c)}
	if x.pace.probes == 0 {
		x.pace = paces[Quick]
	}
	if x.Arrivals == "" {
		x.Arrivals = schedule.Slotted
	}
	if c.Battery != nil {
		x.care = batteryPace
	}
	ctx, stop := c.Control.bind(ctx)
	defer stop()
	c.Recorder.Decorate(x.progress.decorate)

	err := x.run(ctx)
	if down := c.Control.down(); down != nil && x.altered {
		x.warn("%s, while a test had changed a setting: the verdict on the target stands", down)
		err = nil
	} else if down != nil {
		x.recordCrash(down)
		err = nil // the target's end is a result, not a failure of the experiment
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrInterrupted) {
		err = ErrInterrupted
	}
	x.validity()
	x.progress.enter("done", "", 0)
	x.Recorder.Enter(record.Mark{Trial: -1, Phase: "done"})
	return err
}

func (x *experiment) run(ctx context.Context) error {
	x.phase("preflight", "is the target there?", 2*time.Second)
	if err := x.forecastDescriptors(); err != nil {
		return err
	}
	if err := x.reach(ctx); err != nil {
		return err
	}
	if x.Fixed != nil {
		return x.fixed(ctx)
	}
	if x.Battery != nil {
		return x.battery(ctx)
	}
	return x.capacityPlan(ctx)
}

// capacityPlan: quiet baseline, the search, tests that tell causes apart, overload, release, recovery watch, tests that change
// settings.
func (x *experiment) capacityPlan(ctx context.Context) error {
	if err := x.atRest(ctx); err != nil {
		return err
	}
	if err := x.search(ctx); err != nil {
		return err
	}
	x.progress.atTheEnd(0)
	return x.discriminate(ctx, x.lateTests(), 0)
}

// atRest learns how the target is without load. Its gauges are read from then on, until ctx is done.
func (x *experiment) atRest(ctx context.Context) error {
	if err := x.preflight(ctx); err != nil {
		return err
	}
	x.readings = x.collect(ctx)
	began := x.now().Seconds()
	if err := x.quietBaseline(ctx); err != nil {
		return err
	}
	// Nothing is asked for a while: what the target uses without work is one point of every service demand's regression.
	if err := sleep(ctx, idleSpan); err != nil {
		return err
	}
	if err := x.rest(ctx, began); err != nil {
		return err
	}
	x.quietSpan = Span{began, x.now().Seconds()}
	return nil
}

// idleSpan of an idle target holds three readings of its metrics.
const idleSpan = 3500 * time.Millisecond

// phase moves the run on: screen, frames and events all learn of it at once.
func (x *experiment) phase(name, note string, expected time.Duration) {
	x.progress.enter(name, note, expected)
	x.Recorder.Enter(record.Mark{Trial: -1, Phase: name})
	x.event(record.EventPhase, -1, note, map[string]string{"phase": name})
}

// event appends to events.jsonl. Marshalling our own structures cannot fail; a folder that cannot be written is
// reported once by Folder.Err at the end of the run.
func (x *experiment) event(kind record.EventKind, trial int, text string, data any) {
	e := record.Event{OffsetS: x.now().Seconds(), Kind: kind, Trial: trial, Text: text}
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			raw, _ = json.Marshal(fmt.Sprintf("not writable: %v", err))
		}
		e.Data = raw
	}
	x.Folder.Event(e)
}

func (x *experiment) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	x.progress.warn(text)
	x.event(record.EventWarning, -1, text, nil)
}

// note is a plain remark in the log of events; it belongs to no trial and needs no attention.
func (x *experiment) note(text string) {
	x.event(record.EventPhase, -1, text, nil)
}

func (x *experiment) now() time.Duration { return time.Duration(x.Clock.Now()) }

// sleep waits for d or for the context, whichever is first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
