package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/report"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// demoLength bounds the whole demonstration, the starting and stopping of services included; demoSpare is kept for the last
// stop and the table.
const (
	demoLength = 8 * time.Minute
	demoSpare  = 25 * time.Second
)

func newDemo(e *env) *cobra.Command {
	o := runOptions{scenario: "registration", targetSet: true, effort: string(experiment.Quick), engine: "auto", arrivals: string(schedule.Slotted), battery: &experiment.Battery{}}
	var profiles []string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show what the incident's fixes bring: every profile of the bundled services, claimed beside measured",
		Long: `Runs the same short battery on each profile of the bundled services (before, phase1, phase2, phase3), which it starts and
stops: 1 user, 10 users, 50 at once, and the recovery from them. Then it prints the "Expected Results" of the incident's fix plan
with what was measured here beside each claim. It takes under 8 minutes; what a profile had no time for is said to be not measured.
Each profile leaves a run folder with its report.

  captest demo
  captest demo --profile before,phase1             some of them
  captest demo --json -                            the table as JSON

The exit status is 0 when it ran through, whatever the figures are.
` + exitStatus,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, p := range profiles {
				if !slices.Contains(services.Profiles(), p) {
					return invalid(fmt.Errorf("--profile %s: not one of %v", p, services.Profiles()))
				}
			}
			if _, err := chooseStore(e, o.store, ""); err != nil {
				return invalid(err)
			}
			if len(profiles) == 0 {
				return invalid(errors.New("--profile: name one at least"))
			}
			d := &demo{env: e, options: o, profiles: profiles}
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&profiles, "profile", services.Profiles(), "profiles to run, in this order")
	f.StringVarP(&o.out, "out", "o", "captest-runs", "folder that run folders are made in")
	f.StringVar(&o.json, "json", "", "also write the table as JSON to FILE, or to stdout instead of the text with -")
	f.BoolVar(&o.noTUI, "no-tui", false, "plain progress lines even on a terminal")
	addStore(f, &o.store)
	f.SortFlags = false
	return c
}

// demo is one demonstration in progress.
type demo struct {
	env      *env
	options  runOptions
	profiles []string

	mu      sync.Mutex
	quit    bool
	failed  error               // of the first profile that could not be run
	control *experiment.Control // of the run in progress
}

func (d *demo) run(ctx context.Context) error {
	began := time.Now()
	defer interrupted(d.stop)()
	until := began.Add(demoLength - demoSpare)
	var runs []report.ExpectedRun
	for i, p := range d.profiles {
		runs = append(runs, d.profile(ctx, p, i, time.Until(until)/time.Duration(len(d.profiles)-i)))
	}
	x := report.ExpectedResults(runs)
	x.Seconds, x.Interrupted = time.Since(began).Seconds(), d.stopped()
	if err := d.tell(x); err != nil {
		return err
	}
	if x.Interrupted {
		return &exitError{code: gate.ExitInterrupted}
	}
	return d.failed
}

// profile runs the battery on one profile, within a time.
func (d *demo) profile(ctx context.Context, name string, i int, within time.Duration) report.ExpectedRun {
	out := report.ExpectedRun{Profile: name}
	control := d.next()
	if control == nil {
		out.Why = "interrupted before its turn"
		return out
	}
	o, e := d.options, d.env
	o.target, o.maxDuration = "reference:"+name, within
	o.battery = &experiment.Battery{Ahead: time.Duration(len(d.profiles)-i-1) * experiment.BatteryUsual}
	fmt.Fprintf(e.stderr, "%s, %d of %d: about %s left in all\n", name, i+1, len(d.profiles), (experiment.BatteryUsual + o.battery.Ahead).Round(time.Second))
	began := time.Now()
	j, err := o.prepare(ctx, e, targets.NewGuard)
	if err != nil {
		return d.fail(out, err)
	}
	dir, err := perform(ctx, e, &o, j, control)
	if control.Quitted() { // by a key of the screen, which knows this run alone
		d.stop()
	}
	spent := time.Since(began).Seconds()
	out.Seconds = &spent
	if dir == "" && d.stopped() {
		out.Interrupted, out.Why = true, "interrupted while its services started"
		return out
	}
	if dir == "" {
		return d.fail(out, err)
	}
	out.Dir, out.Report = dir, filepath.Join(dir, "report.html")
	run, res, failed := conclude(dir)
	if failed == nil {
		failed = write(dir, run, res)
	}
	switch {
	case failed != nil:
		out.Report = ""
		return d.fail(out, failed)
	case errors.Is(err, experiment.ErrInterrupted) && !d.stopped():
		out.Interrupted, out.Why = true, fmt.Sprintf("its %.0f s were over before the end of the battery", within.Seconds())
	case errors.Is(err, experiment.ErrInterrupted):
		out.Interrupted, out.Why = true, "interrupted before the end of the battery"
	case err != nil:
		return d.fail(out, err)
	}
	out.Result = res
	return out
}

// fail notes that a profile could not be run; the others still are.
func (d *demo) fail(r report.ExpectedRun, err error) report.ExpectedRun {
	r.Why = err.Error()
	if d.failed == nil {
		d.failed = fmt.Errorf("profile %s: %w", r.Profile, err)
	}
	return r
}

// next gives the control of the next run, nil when no more is wanted.
func (d *demo) next() *experiment.Control {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quit {
		return nil
	}
	d.control = &experiment.Control{}
	return d.control
}

// stop ends the run in progress and everything after it.
func (d *demo) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quit = true
	if d.control != nil {
		d.control.Quit()
	}
}

func (d *demo) stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.quit
}

// tell prints the table where it was asked for.
func (d *demo) tell(x *report.Expected) error {
	e := d.env
	switch d.options.json {
	case "-":
		return report.ExpectedJSON(e.stdout, x)
	case "":
	default:
		if err := toFile(d.options.json, func(f *os.File) error { return report.ExpectedJSON(f, x) }); err != nil {
			return err
		}
	}
	return report.ExpectedText(e.stdout, x, report.TextOptions{Color: e.color(e.stdoutTerminal), Width: 80})
}
