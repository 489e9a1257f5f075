package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

func newReport(e *env) *cobra.Command {
	var json string
	c := &cobra.Command{
		Use:   "report RUN…",
		Short: "Rebuild result and page of a run folder, also of one that was cut short",
		Long: `Reads each run folder again, writes its run.json and report.html, and prints the summary. A run that was killed is
reported as far as it came, and says so.
` + exitStatus,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, dirs []string) error {
			var all []error
			for _, dir := range dirs {
				if _, err := again(e, dir, json); err != nil {
					all = append(all, err)
				}
			}
			return invalid(errors.Join(all...))
		},
	}
	c.Flags().StringVar(&json, "json", "", "also write run.json to FILE, or to stdout instead of the summary with -")
	return c
}

func newGate(e *env) *cobra.Command {
	var json string
	c := &cobra.Command{
		Use:   "gate RUN",
		Short: "Judge a run folder again and exit with its verdict",
		Long:  "Prints what `captest report` prints, and exits with the run's own exit code.\n" + exitStatus,
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			res, err := again(e, args[0], json)
			if err != nil {
				return invalid(err)
			}
			if res.ExitCode != gate.ExitPass {
				return &exitError{code: res.ExitCode}
			}
			return nil
		},
	}
	c.Flags().StringVar(&json, "json", "", "also write run.json to FILE, or to stdout instead of the summary with -")
	return c
}

// again rebuilds one folder's result.
func again(e *env, dir, json string) (*record.Result, error) {
	run, res, err := conclude(dir)
	if err != nil {
		return nil, err
	}
	if err := write(dir, run, res); err != nil {
		return nil, err
	}
	return res, tell(e, json, dir, res)
}
