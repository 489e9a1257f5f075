package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/report"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// writeHead puts down what a run folder needs to be understood without this process.
func writeHead(f *record.Folder, clock record.Clock, info record.RunInfo, limits []scenarios.Limit, b *targets.Baseline) {
	put := func(kind record.EventKind, data any) {
		f.Event(record.Event{OffsetS: float64(clock.Now()) / 1e9, Kind: kind, Trial: -1, Data: mustJSON(data)})
	}
	put(record.EventRun, info)
	exprs := []string{}
	for _, l := range limits {
		exprs = append(exprs, l.Expr)
	}
	put(record.EventLimits, exprs)
	if b != nil {
		put(record.EventBaseline, record.Baseline{
			Name: b.Name, Provenance: b.Provenance, Notes: b.Notes, Service: b.Service,
			Claimed: record.BaselineFigure{PerSecond: &b.PerSecond, MeanMs: &b.MeanMs},
		})
	}
}

func writeEnd(f *record.Folder, clock record.Clock, runErr error) {
	reason, text := "done", ""
	switch {
	case errors.Is(runErr, experiment.ErrInterrupted):
		reason = "interrupted"
	case runErr != nil:
		reason, text = "error", runErr.Error()
	}
	f.Event(record.Event{OffsetS: float64(clock.Now()) / 1e9, Kind: record.EventEnd, Trial: -1, Text: text, Data: mustJSON(map[string]string{"reason": reason})})
}

// conclude makes the result from a run folder alone: the same path for a run that just ended and for one found after a crash.
func conclude(dir string) (*record.Run, *record.Result, error) {
	run, err := record.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	res := record.Summarise(run)
	var limits []scenarios.Limit
	for _, expr := range limitsOf(run) {
		l, err := scenarios.ParseLimit(expr)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", dir, err)
		}
		limits = append(limits, l)
	}
	if run.Info.Plan == experiment.PlanCapacity && res.Capacity.Method == "" { // the search did not live to state it
		res.Capacity = experiment.Capacity(res.Trials, limitsOf(run))
	}
	diagnose.Explain(run, res)
	gate.Judge(run, res, limits)
	if res.Run.Interrupted {
		res.ExitCode = gate.ExitInterrupted
	}
	return run, res, nil
}

func limitsOf(run *record.Run) []string {
	for _, e := range run.Events {
		if e.Kind != record.EventLimits {
			continue
		}
		var exprs []string
		if json.Unmarshal(e.Data, &exprs) == nil {
			return exprs
		}
	}
	return nil
}

// write puts run.json and the page into the folder.
func write(dir string, run *record.Run, res *record.Result) error {
	if err := record.WriteResult(dir, res); err != nil {
		return err
	}
	page := filepath.Join(dir, "report.html")
	tmp, err := os.CreateTemp(dir, ".report-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := report.HTML(tmp, run, res); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", page, err), tmp.Close())
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), page)
}

// tell prints the result where it was asked for.
func tell(e *env, jsonTo, dir string, res *record.Result) error {
	switch jsonTo {
	case "-":
		return enough(report.JSON(e.stdout, res))
	case "":
	default:
		if err := toFile(jsonTo, func(f *os.File) error { return report.JSON(f, res) }); err != nil {
			return err
		}
	}
	return enough(report.Text(e.stdout, res, report.TextOptions{Color: e.color(e.stdoutTerminal), Width: 80, Dir: dir}))
}

// enough forgives a reader of the standard output, such as head, that has seen enough and closed it.
func enough(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// toFile writes what --json asked for; a file that cannot be made is a mistake of the command line.
func toFile(name string, put func(*os.File) error) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return invalid(err)
	}
	if err := errors.Join(put(f), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// mustJSON of our own structures, which cannot fail to marshal.
func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
