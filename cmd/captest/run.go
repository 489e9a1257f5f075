package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/internal/tui"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

func newRun(e *env) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run [SCENARIO]",
		Short: "Run the experiment: find the capacity, overload, watch the recovery",
		Long: `Runs SCENARIO (a built-in name or a file, default "registration") against a target (default: the bundled services, which
captest starts and stops). Without a fixed load it measures one user, climbs 1, 2, 4, 8 … users until more users bring no more
goodput or a limit breaks, measures 10 users, overloads, lets go and watches the recovery.

A vegeta target file, http or json, is a scenario too: its first line tells, and its URLs, of one origin, are the target.

  captest run
  captest run --users 100 --concurrent 20          exactly 100 journeys, 20 at a time
  captest run --concurrent 50 --duration 1m
  captest run --concurrent 5 --duration 10m        with a screen, keys change the load while it runs (? lists them)
  captest run --rate 5 --duration 1m --limit 'p95<1s' --limit 'errors<1%'
  captest run --set fault=lock-contention          the bundled services with one fault planted (captest serve --help lists them)
  captest run targets.txt --rate 50 --duration 1m  what vegeta attack -targets targets.txt -rate 50 -duration 1m sends
` + exitStatus,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.given(c.Flags(), args)
			return runRun(c.Context(), e, &o)
		},
	}
	o.addFlags(c.Flags())
	return c
}

// runRun is the pipeline: files → target → folder → experiment → result → verdict.
func runRun(ctx context.Context, e *env, o *runOptions) error {
	j, err := o.prepare(ctx, e, targets.NewGuard)
	if err != nil {
		return err
	}
	control := &experiment.Control{}
	defer interrupted(control.Quit)()
	dir, err := perform(ctx, e, o, j, control)
	if dir == "" {
		return err
	}
	return finish(e, o, dir, err)
}

// perform carries a job out and gives the run folder, "" when it never came to an experiment.
func perform(ctx context.Context, e *env, o *runOptions, j *job, control *experiment.Control) (dir string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.maxDuration, experiment.ErrInterrupted)
	defer cancel()
	scenario, target := j.scenario, j.target
	folder, err := record.Create(o.out, scenario.Name, target.Name, time.Now())
	if err != nil {
		return "", invalid(err)
	}
	defer folder.Close()
	clock := record.NewClock()

	stack := &bundled{stderr: e.stderr, folder: folder, clock: clock, control: control, storeDir: o.storeDir}
	defer stack.stop()
	if target.Bundled {
		if target, err = stack.start(ctx, target); err != nil {
			return "", err
		}
	}

	seed := o.seed
	if !o.seedSet {
		seed = randomSeed()
	}
	info := record.RunInfo{
		ID: filepath.Base(folder.Dir()), Scenario: scenario.Name, Target: target.Name, Profile: target.Profile, Set: target.Set, Plan: plan(j.fixed),
		Effort: string(j.effort), Engine: j.engine, EngineWhy: j.engineWhy, Insecure: o.secure.insecure, NoBrake: o.noBrake, Seed: seed,
		Started: clock.Start().UTC(), CaptestVersion: version(), Host: observe.Fingerprint(), Steps: stepNames(scenario),
	}
	if o.battery != nil {
		info.Effort = experiment.EffortBattery
	}
	info.Host.Colocated = colocated(target)
	writeHead(folder, clock, info, j.limits, j.baseline)

	identity := drive.NewIdentity(seed, scenario.Name, folder.Reserve)
	config := drive.Config{Scenario: scenario, Target: target, Guard: j.guard, Identity: identity, Env: e.getenv, Clock: clock, TLS: j.tls, HTTP: drive.Version(o.secure.http), Sources: j.sources}
	engine, err := newEngine(j.engine, config)
	if err != nil {
		return "", invalid(err)
	}
	defer engine.Close()
	prober, err := drive.NewProber(config)
	if err != nil {
		return "", invalid(err)
	}
	defer prober.Close()

	fmt.Fprintf(e.stderr, "engine %s (%s)\n", j.engine, j.engineWhy)
	if o.secure.insecure {
		fmt.Fprintln(e.stderr, insecureWarning)
	}
	if o.noBrake {
		fmt.Fprintln(e.stderr, noBrakeWarning)
	}
	if j.engine == engineNative && e.getenv("GOGC") == "" {
		// It allocates nothing for a request, so collecting twice as often costs next to nothing and keeps the heap small.
		defer debug.SetGCPercent(debug.SetGCPercent(50))
	}
	recorder := record.NewRecorder(record.RecorderConfig{Clock: clock, Folder: folder, Steps: stepNames(scenario)})
	observer := observe.New(observe.Config{Target: target, Guard: j.guard, TLS: j.tls, Folder: folder, Clock: clock})
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { recorder.Run(background) })
	wg.Go(func() { observer.Run(background) })
	closeScreen := show(background, e, o, recorder, keys(control, folder, clock))

	restart, can, said := stack.restart(), settings{}, &held{}
	if target.Bundled {
		can = stack.settings(target)
	} else {
		restart, can = restartHook(target, said), settingsOf(target, said)
	}
	runErr := experiment.Run(ctx, experiment.Config{
		Scenario: scenario, Target: target, Guard: j.guard, Limits: j.limits, Engine: engine, Prober: prober, Asker: prober, NoTests: o.skipTests, Recorder: recorder,
		Folder: folder, Observer: observer, Clock: clock, Control: control, Effort: j.effort, Seed: seed, Arrivals: schedule.Arrivals(o.arrivals), Fixed: j.fixed, Battery: o.battery,
		Direct: func(service string) (experiment.Direct, error) {
			d, err := drive.NewDirect(config, service)
			if err != nil {
				return nil, err // and no interface that holds a nil pointer
			}
			return d, nil
		},
		Baseline: j.baseline, Restart: restart, Change: can.change, Suspect: can.suspect(folder.Dir()), NoBrake: o.noBrake, Own: experiment.OwnNow(len(j.sources)),
	})
	closeScreen()
	said.release(e.stderr)
	stopBackground()
	wg.Wait()
	engine.Close()
	debug.FreeOSMemory() // a page is made of a long run's frames: not on top of what sending needed
	stack.stop()
	writeEnd(folder, clock, runErr)
	if err := folder.Close(); err != nil {
		return "", fmt.Errorf("run folder %s: %w", folder.Dir(), err)
	}
	return folder.Dir(), runErr
}

// finish turns the folder into result, page and summary, exactly as `captest report` would tomorrow.
func finish(e *env, o *runOptions, dir string, runErr error) error {
	run, res, err := conclude(dir)
	if err != nil {
		return errors.Join(runErr, err)
	}
	if errors.Is(runErr, experiment.ErrInterrupted) {
		res.ExitCode = gate.ExitInterrupted
	} else if runErr != nil {
		res.ExitCode = exitCode(runErr)
	}
	if err := write(dir, run, res); err != nil {
		return errors.Join(runErr, err)
	}
	if runErr != nil && !errors.Is(runErr, experiment.ErrInterrupted) {
		return runErr // it never came to a measurement: the error says more than an empty table
	}
	if err := tell(e, o.json, dir, res); err != nil {
		return err
	}
	if res.ExitCode != gate.ExitPass {
		return &exitError{code: res.ExitCode}
	}
	return nil
}

// show starts the screen, or plain lines where there is no terminal, and gives what ends it. Neither can slow the load:
// both only read the recorder's published snapshot, on goroutines of their own.
func show(ctx context.Context, e *env, o *runOptions, r *record.Recorder, pressed func(tui.Action)) (end func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if !e.terminal || o.noTUI || e.getenv("CI") != "" || e.getenv("TERM") == "dumb" {
			tui.Plain(ctx, e.stderr, r.Snapshot, done)
			return
		}
		err := tui.Run(ctx, tui.Options{
			Snapshot: r.Snapshot, Out: e.stderr, In: e.stdin, Done: done, Color: e.color(e.terminal), Keys: pressed,
		})
		if errors.Is(err, tui.ErrLeave) {
			pressed(tui.Quit)
			return
		}
		if err != nil {
			fmt.Fprintf(e.stderr, "the screen could not be shown (%v); plain lines instead\n", err)
			tui.Plain(ctx, e.stderr, r.Snapshot, done)
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
}

// keys carries what a person presses into the run, and into its folder.
func keys(c *experiment.Control, f *record.Folder, clock record.Clock) func(tui.Action) {
	return func(a tui.Action) {
		at := float64(clock.Now()) / 1e9
		var refused error
		switch a {
		case tui.Quit:
			c.Quit()
		case tui.Next:
			c.Next()
		case tui.More:
			refused = c.Turn(1)
		case tui.MuchMore:
			refused = c.Turn(10)
		case tui.Less:
			refused = c.Turn(-1)
		case tui.MuchLess:
			refused = c.Turn(-10)
		case tui.Hold:
			refused = c.Hold()
		}
		data := map[string]string{"key": string(a)}
		if refused != nil {
			data["refused"] = refused.Error()
		}
		f.Event(record.Event{OffsetS: at, Kind: record.EventKey, Trial: -1, Data: mustJSON(data)})
	}
}

func plan(f *experiment.Fixed) string {
	if f != nil {
		return experiment.PlanFixed
	}
	return experiment.PlanCapacity
}

func stepNames(s *scenarios.Scenario) []string {
	var names []string
	for _, x := range s.Steps {
		names = append(names, x.Name)
	}
	return names
}

func randomSeed() uint64 {
	var b [8]byte
	if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
		return uint64(time.Now().UnixNano()) ^ uint64(os.Getpid())<<48
	}
	return binary.LittleEndian.Uint64(b[:])
}
