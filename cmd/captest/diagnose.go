package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/report"
)

// diagnoseOptions are the flags of `captest diagnose`.
type diagnoseOptions struct {
	whatIf []string
	users  int
	json   bool
}

func newDiagnose(e *env) *cobra.Command {
	var o diagnoseOptions
	c := &cobra.Command{
		Use:   "diagnose RUN",
		Short: "Say what limits the target of a run, and what a change would bring",
		Long: `Reads a run folder and prints causes, ceilings and, with --what-if, the curve the target would have then. It changes nothing
in the folder and sends nothing.

  captest diagnose RUN
  captest diagnose RUN --what-if user.cores=8
  captest diagnose RUN --what-if user.cores=8 --what-if hash.cost=10 --what-if pool.kill-bill=30 --users 200

A prediction holds while the work of a journey stays what was measured; its interval is that of the measurement and ±15 %
for the model. What can be changed depends on what the run measured: a wrong name lists it.
` + exitStatus,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return invalid(explain(e, args[0], &o)) },
	}
	c.Flags().StringArrayVar(&o.whatIf, "what-if", nil, "predict with NAME=VALUE changed, such as user.cores=8 (repeatable, applied in order)")
	c.Flags().IntVar(&o.users, "users", 0, "predict up to twice so many users (default: those of the highest goodput)")
	c.Flags().BoolVar(&o.json, "json", false, "write JSON")
	c.Flags().SortFlags = false
	return c
}

func explain(e *env, dir string, o *diagnoseOptions) error {
	run, res, err := conclude(dir)
	if err != nil {
		return err
	}
	var f *diagnose.Forecast
	if len(o.whatIf) > 0 || o.users != 0 {
		if f, err = diagnose.WhatIf(run, res, o.users, o.whatIf); err != nil {
			return err
		}
	}
	if !o.json {
		return enough(report.DiagnosisText(e.stdout, res, f, report.TextOptions{Color: e.color(e.stdoutTerminal), Width: 80}))
	}
	out := json.NewEncoder(e.stdout)
	out.SetIndent("", "  ")
	return out.Encode(report.DiagnosisOf(res, f))
}
