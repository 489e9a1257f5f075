package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// runOptions are the flags of `captest run`.
type runOptions struct {
	scenario    string
	target      string
	targetSet   bool
	effort      string
	limits      []string
	baseline    string
	out         string
	json        string
	noTUI       bool
	engine      string
	seed        uint64
	seedSet     bool
	allowHost   []string
	maxDuration time.Duration
	storeDir    string
	store       string
	set         map[string]string
	noBrake     bool
	skipTests   []string
	battery     *experiment.Battery // of captest demo; nil: none

	users      uint64
	concurrent int
	rate       string
	arrivals   string
	duration   time.Duration

	connections int
	sources     []string

	secure secureOptions
}

// noBrakeWarning is what a person must have read before a target is driven on in distress.
const noBrakeWarning = "WARNING: --no-brake: load goes on, and is raised, however badly the target fares"

func (o *runOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.target, "target", "t", "reference", "where load goes: NAME[:PROFILE], FILE or URL")
	f.StringToStringVar(&o.set, "set", nil, setUsage)
	f.StringVar(&o.effort, "effort", string(experiment.Quick), "how long to look: quick, standard or thorough")
	f.StringArrayVarP(&o.limits, "limit", "l", nil, "a limit like 'p95<1s', 'register.p99<2s', 'errors<1%', 'goodput>5/s', 'capacity>=5/s', 'recovery<10s' (repeatable; replaces the scenario's)")
	f.StringVar(&o.baseline, "baseline", "", "published figure to compare with (default: the scenario's; none for no comparison)")
	f.StringVarP(&o.out, "out", "o", "captest-runs", "folder that run folders are made in")
	f.StringVar(&o.json, "json", "", "also write run.json to FILE, or to stdout instead of the summary with -")
	f.BoolVar(&o.noTUI, "no-tui", false, "plain progress lines even on a terminal")
	f.StringVar(&o.engine, "engine", "auto", "who sends: auto, native, http or vegeta (open loads of one step)")
	f.Uint64Var(&o.seed, "seed", 0, "makes request data reproducible (default: random)")
	f.StringArrayVar(&o.allowHost, "allow-host", nil, "address, prefix or name load may reach besides loopback (repeatable)")
	f.DurationVar(&o.maxDuration, "max-duration", 30*time.Minute, "the run is interrupted after this long, whatever happens (default of standard effort 1h, of thorough 3h)")
	f.BoolVar(&o.noBrake, "no-brake", false, "go on with the load even when more than half of the requests fail or no health check is answered")
	f.StringArrayVar(&o.skipTests, "skip-test", nil, "a test that is not to be made: "+strings.Join(record.Tests(), ", ")+" (repeatable)")
	f.StringVar(&o.storeDir, "store-dir", "", "keep the bundled services' databases in this folder (default: a temporary one, removed at the end)")
	addStore(f, &o.store)
	f.Uint64Var(&o.users, "users", 0, "fixed load: journeys in all")
	f.IntVar(&o.concurrent, "concurrent", 0, "fixed load: virtual users at a time")
	f.StringVar(&o.rate, "rate", "", "fixed load: arrivals, like 5, 5/s or 300/min")
	f.StringVar(&o.arrivals, "arrivals", string(schedule.Slotted), "how an open load arrives: slotted, constant or poisson")
	f.DurationVar(&o.duration, "duration", 0, "fixed load: how long")
	f.IntVar(&o.connections, "connections", 0, "open load: at most so many users, each with its connection; arrivals beyond wait, late, timed from when they were due")
	f.StringSliceVar(&o.sources, "source", nil, "addresses or prefixes of this machine that connections come from, in turn, such as 127.0.0.0/24 (native engine)")
	o.secure.addFlags(f)
	f.SortFlags = false
}

// given takes in what the command line said besides the values of its flags: the scenario, and which flags stand there at all.
func (o *runOptions) given(f *pflag.FlagSet, args []string) {
	o.scenario = "registration"
	if len(args) == 1 {
		o.scenario = args[0]
	}
	o.seedSet, o.targetSet = f.Changed("seed"), f.Changed("target")
	if longest, ok := longestRun[experiment.Effort(o.effort)]; ok && !f.Changed("max-duration") {
		o.maxDuration = longest
	}
}

// longestRun of efforts whose own loads and pauses may take longer than the flag's default.
var longestRun = map[experiment.Effort]time.Duration{experiment.Standard: time.Hour, experiment.Thorough: 3 * time.Hour}

// setUsage is the same for every command that starts the bundled services.
const setUsage = "flip one knob of the bundled services or plant a fault: KNOB=VALUE, SERVICE.KNOB=VALUE or fault=NAME (repeatable)"

// applySet puts --set on top of what the target's file sets, and holds the whole against the knobs there are.
func (o *runOptions) applySet(t *targets.Target) error {
	if !t.Bundled {
		if len(o.set) > 0 {
			return &settingError{target: t.Name}
		}
		return nil
	}
	if t.Set == nil {
		t.Set = map[string]string{}
	}
	maps.Copy(t.Set, o.set)
	return services.CheckKnobs(t.Profile, t.Set)
}

// settingError is --set for services that captest did not bring along.
type settingError struct{ target string }

func (e *settingError) Error() string {
	return fmt.Sprintf("--set: target %s is not bundled with captest, so it has no knobs", e.target)
}

// Hint is the next step.
func (e *settingError) Hint() string { return "leave --set out, or run against --target reference" }

// load reads everything the files and flags say about the journey and its load. All mistakes of the flags come together.
func (o *runOptions) load() (*scenarios.Scenario, []scenarios.Limit, *experiment.Fixed, error) {
	s, err := scenarios.Load(o.scenario)
	if err != nil {
		return nil, nil, nil, cmp.Or(mistaken(o.scenario, false), err)
	}
	var wrong []error
	limits := s.Limits
	if len(o.limits) > 0 {
		limits = nil
	}
	for _, expr := range o.limits {
		l, err := scenarios.ParseLimit(expr)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case l.Step != "" && !hasStep(s, l.Step):
			wrong = append(wrong, fmt.Errorf("limit %q: scenario %s has no step %q", expr, s.Name, l.Step))
		default:
			limits = append(limits, l)
		}
	}
	if err := checkEngine(o.engine); err != nil {
		wrong = append(wrong, err)
	}
	for _, name := range o.skipTests {
		if !slices.Contains(record.Tests(), name) {
			wrong = append(wrong, fmt.Errorf("--skip-test %q is no test; there are %s", name, strings.Join(record.Tests(), ", ")))
		}
	}
	if err := schedule.Arrivals(o.arrivals).Check(); err != nil {
		wrong = append(wrong, fmt.Errorf("--arrivals: %w", err))
	}
	if o.maxDuration <= 0 {
		wrong = append(wrong, fmt.Errorf("--max-duration %s: must be more than 0", o.maxDuration))
	}
	fixed, err := o.fixed(s.Load)
	if err != nil {
		wrong = append(wrong, err)
	}
	if err := o.bound(fixed); err != nil && len(wrong) == 0 {
		wrong = append(wrong, err)
	}
	return s, limits, fixed, errors.Join(wrong...)
}

// fixed load of the flags, or else of the scenario file; nil for the capacity plan.
func (o *runOptions) fixed(file *scenarios.FixedLoad) (*experiment.Fixed, error) {
	if o.users == 0 && o.concurrent == 0 && o.rate == "" && o.duration == 0 {
		if file == nil {
			return nil, nil
		}
		return o.fromFile(file)
	}
	switch {
	case o.rate != "" && (o.concurrent != 0 || o.users != 0):
		return nil, errors.New("--rate is an open load; --concurrent and --users are a closed one: give one kind")
	case o.rate != "":
		return o.open()
	case o.concurrent < 0:
		return nil, fmt.Errorf("--concurrent %d: must be at least 1", o.concurrent)
	case o.users > 0 && o.duration > 0:
		return nil, errors.New("--users ends a load by count, --duration by time: give one of them")
	case o.users > 0:
		return &experiment.Fixed{Users: max(1, min(o.concurrent, int(min(o.users, 1<<20)))), Total: o.users}, nil
	case o.concurrent > 0 && o.duration > 0:
		return &experiment.Fixed{Users: o.concurrent, For: o.duration}, nil
	case o.concurrent > 0:
		return nil, errors.New("--concurrent needs --duration (how long) or --users (how many in all)")
	default:
		return nil, fmt.Errorf("--duration %s needs --concurrent or --rate", o.duration)
	}
}

// bound puts --connections on a fixed load.
func (o *runOptions) bound(f *experiment.Fixed) error {
	switch {
	case o.connections == 0:
		return nil
	case o.connections < 0 || o.connections > 100_000:
		return fmt.Errorf("--connections %d: must be from 1 to 100000", o.connections)
	case f == nil || f.Plan == nil:
		return errors.New("--connections is for an open load (--rate and --duration): users of a closed load have one connection each")
	}
	f.Connections = o.connections
	return nil
}

func (o *runOptions) open() (*experiment.Fixed, error) {
	text := o.rate
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "/s" // a bare number is per second, as everywhere in the field
	}
	rate, err := scenarios.ParseRate(text)
	if err != nil {
		return nil, fmt.Errorf("--rate %s: %w", o.rate, err)
	}
	if o.duration <= 0 {
		return nil, errors.New("--rate needs --duration")
	}
	return openLoad(rate, o.duration, o.arrivals, o.seed)
}

func openLoad(rate float64, d time.Duration, arrivals string, seed uint64) (*experiment.Fixed, error) {
	if arrivals == "" {
		arrivals = string(schedule.Slotted)
	}
	plan, err := schedule.Fixed(rate, d, schedule.Arrivals(arrivals), seed)
	if err != nil {
		return nil, err
	}
	return &experiment.Fixed{Plan: plan, For: d, RatePerSecond: rate}, nil
}

// fromFile turns a scenario's own load into a fixed one.
func (o *runOptions) fromFile(l *scenarios.FixedLoad) (*experiment.Fixed, error) {
	closed := func(s scenarios.LoadStage) bool { return s.Users > 0 }
	switch {
	case slices.ContainsFunc(l.Stages, closed):
		ramp := &schedule.Ramp{}
		for i, s := range l.Stages {
			if s.Rate > 0 {
				return nil, fmt.Errorf("load.stages: stage %d sets a rate and others count users; a load has one kind", i+1)
			}
			ramp.Stages = append(ramp.Stages, schedule.RampStage{Users: s.Users, For: s.For})
		}
		return &experiment.Fixed{Ramp: ramp}, ramp.Check()
	case len(l.Stages) > 0:
		plan := &schedule.Plan{Arrivals: schedule.Arrivals(l.Arrivals), Seed: o.seed}
		var total time.Duration
		from := 0.0
		for _, s := range l.Stages {
			plan.Stages = append(plan.Stages, schedule.Stage{From: from, To: s.Rate, For: s.For})
			from, total = s.Rate, total+s.For
		}
		return &experiment.Fixed{Plan: plan, For: total}, plan.Check()
	case l.Rate > 0:
		return openLoad(l.Rate, l.For, l.Arrivals, o.seed)
	default:
		return &experiment.Fixed{Users: l.Users, Total: l.Total, For: l.For}, nil
	}
}

func (o *runOptions) loadBaseline(s *scenarios.Scenario) (*targets.Baseline, error) {
	name := o.baseline
	if name == "" {
		name = s.Baseline
	}
	if name == "" || name == "none" {
		return nil, nil
	}
	return targets.LoadBaseline(name)
}

func hasStep(s *scenarios.Scenario, name string) bool {
	for _, x := range s.Steps {
		if x.Name == name {
			return true
		}
	}
	return false
}
