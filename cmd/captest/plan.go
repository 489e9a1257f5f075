package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/report"
	"github.com/captest/captest/targets"
)

func newPlan(e *env) *cobra.Command {
	var o runOptions
	var answer time.Duration
	c := &cobra.Command{
		Use:   "plan [SCENARIO]",
		Short: "Say what a run would send, without sending anything",
		Long: `Takes the flags of captest run and says what that run would do: its phases with their loads, how many requests, how many rows
created on the target, the peak rate and users, connections, time. Nothing is sent, started or resolved; what run would refuse,
plan refuses with the same words (but for host names, which only a run resolves).

A closed load sends as fast as it is answered, and the search climbs for as long as that brings more. So the bounds are those of a
target that answers every request in --answer, under any load; a slower one gets fewer requests.

  captest plan
  captest plan --users 100 --concurrent 20
  captest plan my.yaml --target http://127.0.0.1:8001 --effort standard --answer 20ms
  captest plan --json -
` + exitStatus,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.given(c.Flags(), args)
			if answer < 100*time.Microsecond {
				return invalid(fmt.Errorf("--answer %s: must be at least 100µs", answer))
			}
			j, err := o.prepare(c.Context(), e, targets.DryGuard)
			if err != nil {
				return err
			}
			return tellPlan(e, &o, planOf(&o, j, answer))
		},
	}
	o.addFlags(c.Flags())
	c.Flags().DurationVar(&answer, "answer", 100*time.Millisecond, "no request is taken to be answered faster than this")
	c.Flags().Lookup("json").Usage = "also write the plan as JSON to FILE, or to stdout instead of the text with -"
	return c
}

// usualKnee stands for a small service: so many users are served at a time before others wait.
const usualKnee = 4

// planOf puts an outline into the report's words.
func planOf(o *runOptions, j *job, answer time.Duration) *report.Plan {
	out := experiment.Sketch(j.scenario, j.target, j.effort, j.fixed, answer, math.Inf(1), o.skipTests...)
	sum := out.Totals()
	p := &report.Plan{
		SchemaVersion: record.SchemaVersion, Scenario: j.scenario.Name, Target: j.target.Name, Bundled: j.target.Bundled, Engine: j.engine,
		EngineWhy: j.engineWhy, Effort: string(j.effort), Plan: plan(j.fixed), Limits: []string{}, Brake: !o.noBrake,
		AnswerMs: 1000 * answer.Seconds(), Phases: []report.PlanPhase{}, LongestS: o.maxDuration.Seconds(),
		Most: report.PlanMost{Requests: sum.Requests, Rows: sum.Writes, PeakPerSecond: sum.PeakPerSecond, PeakUsers: sum.PeakUsers, Connections: sum.Connections},
	}
	for _, s := range j.target.Services {
		p.Services = append(p.Services, report.PlanService{Name: s.Name, URL: s.URL})
	}
	for _, l := range j.limits {
		p.Limits = append(p.Limits, l.Expr)
	}
	for _, s := range out.Stages {
		x := report.PlanPhase{
			Phase: s.Phase, Load: s.Load, Note: s.Note, Requests: s.Requests, Rows: s.Writes, PeakPerSecond: s.PeakPerSecond, Connections: s.Connections,
		}
		if s.Seconds > 0 {
			x.Seconds = &s.Seconds
		}
		p.Phases = append(p.Phases, x)
	}
	switch {
	case j.fixed == nil:
		some := experiment.Sketch(j.scenario, j.target, j.effort, nil, answer, usualKnee, o.skipTests...).Totals()
		p.Usual = &report.PlanUsual{PerSecond: some.Carried, Requests: some.Requests, Rows: some.Writes}
		usual := experiment.UsualLength(j.scenario, j.target, j.effort, answer, o.skipTests...).Seconds()
		p.UsualSeconds = &usual
	case !sum.ByCount:
		p.UsualSeconds = &sum.Seconds
	}
	if j.fixed != nil {
		p.Load = j.fixed.Describe()
	}
	p.Notes = planNotes(o, j, answer)
	return p
}

func planNotes(o *runOptions, j *job, answer time.Duration) []string {
	notes := []string{fmt.Sprintf("Bounds hold if no request is answered in under %s (--answer), and for the HTTP requests of the scenario's steps; health checks, once or twice a second, and metrics come on top.", answer)}
	if j.fixed == nil {
		notes = append(notes, "The search ends its climb when more users bring no more, when a limit breaks or when the brake is pulled: a target with an end gets far fewer requests. A trial that captest itself spoilt is repeated once, on top. Time is that of a target which begins to queue at four users and heals by itself.")
	}
	if len(o.skipTests) > 0 && j.fixed == nil {
		notes = append(notes, "Tests that are not made (--skip-test): "+strings.Join(o.skipTests, ", ")+".")
	}
	if j.fixed != nil && j.fixed.Plan == nil && j.fixed.Total == 0 {
		notes = append(notes, "One journey of each user may be under way when the time is over.")
	}
	if !j.target.Bundled && len(o.allowHost) > 0 {
		notes = append(notes, "Load may leave this machine: --allow-host "+strings.Join(o.allowHost, ", ")+".")
	}
	return notes
}

// tellPlan prints the plan where it was asked for.
func tellPlan(e *env, o *runOptions, p *report.Plan) error {
	if o.json == "-" {
		return report.PlanJSON(e.stdout, p)
	}
	if o.json != "" {
		if err := toFile(o.json, func(f *os.File) error { return report.PlanJSON(f, p) }); err != nil {
			return err
		}
	}
	return enough(report.PlanText(e.stdout, p, report.TextOptions{Color: e.color(e.stdoutTerminal), Width: 80}))
}
