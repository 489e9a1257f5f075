package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/report"
)

// exportOptions are the flags of `captest export`.
type exportOptions struct {
	format, encoding, out string
	trial                 int
}

func newExport(e *env) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export RUN --format vegeta",
		Short: "Write a run in another tool's format",
		Long: `Writes a run folder as a vegeta result file, one attack for each step:

  captest export RUN --format vegeta | vegeta report
  captest export RUN --format vegeta --encoding csv --out results.csv

A run folder holds counts and a histogram for each second, not each request. One result is made for each counted request: its
latency is the middle of its histogram bucket (0.1 % or 1 µs wide) and counts from the intended start; its time is spread
evenly over the second in which it ended. Counts, statuses, errors and quantiles are the run's own; within a second, which
request had which latency and outcome is made up. Arrivals that never started have no result; how many there were is told on stderr.
` + exitStatus,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return invalid(export(e, args[0], &o)) },
	}
	c.Flags().StringVar(&o.format, "format", "", "vegeta")
	c.Flags().StringVar(&o.encoding, "encoding", "gob", "vegeta's encoding: gob, json or csv")
	c.Flags().StringVarP(&o.out, "out", "o", "", "FILE to write (default: stdout)")
	c.Flags().IntVar(&o.trial, "trial", -1, "only the measured part of this trial, counted from 0 (default: every request of the run)")
	c.Flags().SortFlags = false
	return c
}

func export(e *env, dir string, o *exportOptions) error {
	switch {
	case o.format == "":
		return errors.New("--format is missing; there is vegeta")
	case o.format != "vegeta":
		return fmt.Errorf("--format %s: not one of vegeta", o.format)
	case !slices.Contains(report.VegetaEncodings(), o.encoding):
		return fmt.Errorf("--encoding %s: not one of %s", o.encoding, strings.Join(report.VegetaEncodings(), ", "))
	case o.out == "" && o.encoding == "gob" && e.stdoutTerminal:
		return errors.New("gob is not for a terminal: give --out FILE, pipe it into vegeta report, or choose --encoding json")
	}
	run, err := record.Read(dir)
	if err != nil {
		return err
	}
	if trials := len(record.Summarise(run).Trials); o.trial >= trials {
		return fmt.Errorf("--trial %d: the run has %d, counted from 0", o.trial, trials)
	}
	var w io.Writer = e.stdout
	end := func() error { return nil }
	if o.out != "" {
		f, err := os.OpenFile(o.out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // two gob streams in one file cannot be read
		if err != nil {
			return err
		}
		w, end = f, f.Close
	}
	done, err := report.Vegeta(w, run, report.VegetaOptions{Encoding: o.encoding, Trial: o.trial})
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	for _, told := range []struct {
		n    uint64
		text string
	}{
		{done.Dropped, "arrivals never started and have no result"},
		{done.Lost, "requests are left out: their histograms are damaged"},
		{done.Odd, "good answers have a status that vegeta calls a failure"},
	} {
		if told.n > 0 {
			fmt.Fprintf(e.stderr, "note: %d %s\n", told.n, told.text)
		}
	}
	if done.Results == 0 {
		return errors.New("nothing to export: the run has no requests")
	}
	return nil
}
