package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/internal/record"
)

// Diagnosis is what captest diagnose says of a run: the explaining part of run.json, and a forecast where one was asked for.
type Diagnosis struct {
	Run      string             `json:"run"`
	Validity record.Validity    `json:"validity"` // what limits belief in all of it
	Findings []record.Finding   `json:"findings"`
	Ceilings []record.Ceiling   `json:"ceilings"`
	Remarks  []string           `json:"remarks"`
	Baseline *record.Baseline   `json:"baseline"`
	WhatIf   *diagnose.Forecast `json:"what_if"`
}

// DiagnosisOf picks the explaining part out of a result.
func DiagnosisOf(r *record.Result, f *diagnose.Forecast) *Diagnosis {
	return &Diagnosis{Run: r.Run.ID, Validity: r.Validity, Findings: r.Findings, Ceilings: r.Ceilings, Remarks: r.Remarks, Baseline: r.Baseline, WhatIf: f}
}

// DiagnosisText writes findings, ceilings and forecast for a terminal.
func DiagnosisText(w io.Writer, r *record.Result, f *diagnose.Forecast, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = max(60, o.Width)
	r = scrub(r)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, o: o}
	t.wrapped("", r.Run.Scenario+" → "+targetName(r), "")
	fmt.Fprintln(t.w)
	for _, n := range stateNotices(r) {
		t.wrapped(t.paint("! ", "bad", true), n, "bad")
		fmt.Fprintln(t.w)
	}
	if len(r.Findings) == 0 {
		t.wrapped("  ", "No cause: nothing limits the target in this run, or too little was measured to say so.", "")
		fmt.Fprintln(t.w)
	}
	t.findings(r)
	t.table(ceilingsTable(r))
	t.remarks(r)
	if f != nil {
		t.forecast(scrub(f))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write text: %w", err)
	}
	return nil
}

// remarks are sentences about the ceilings.
func (t *terminal) remarks(r *record.Result) {
	for _, s := range r.Remarks {
		t.wrapped("  ", s, "")
	}
	if len(r.Remarks) > 0 {
		fmt.Fprintln(t.w)
	}
}

func (t *terminal) forecast(f *diagnose.Forecast) {
	t.heading("What if")
	t.wrapped("  ", strings.Join(f.Changes, ", "), "")
	for _, s := range f.Sentences {
		t.wrapped("  ", s, "")
	}
	t.wrapped("  ", "before: "+outlookText(f.Before), "dim")
	t.wrapped("  ", "after: "+outlookText(f.After), "dim")
	fmt.Fprintln(t.w)
	x := table{Title: "Curve", Columns: []column{
		{Head: "users", Number: true},
		{Head: "now", Number: true},
		{Head: "then", Number: true},
		{Head: "between", Number: true},
		{Head: "time now", Number: true},
		{Head: "time then", Number: true},
	}}
	for i, p := range f.After.Curve {
		now := f.Before.Curve[i]
		x.add(plainCells(number(float64(p.Users)), digits3(now.PerSecond.Value)+"/s", digits3(p.PerSecond.Value)+"/s",
			digits3(p.PerSecond.Low)+"–"+digits3(p.PerSecond.High), millis(now.ResponseMs.Value), millis(p.ResponseMs.Value))...)
	}
	t.table(x)
}

func outlookText(o diagnose.Outlook) string {
	s := fmt.Sprintf("at most %s/s (%s–%s), limited by %s", digits3(o.PerSecond.Value), digits3(o.PerSecond.Low), digits3(o.PerSecond.High), o.Limit)
	if o.Next != "" {
		s += ", then by " + o.Next
	}
	return s + "; waiting begins at " + digits3(o.KneeUsers) + " users"
}
