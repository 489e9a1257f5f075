package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// TextOptions say how the summary is laid out.
type TextOptions struct {
	Color bool   // ANSI colours; the caller knows the terminal and NO_COLOR
	Width int    // columns; 0 means 80, less than 60 is taken as 60
	Dir   string // the run folder, "" when there is none to point at
}

// Text writes the summary for a terminal: the answer first, then what it rests on, then where the rest is.
func Text(w io.Writer, r *record.Result, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = max(60, o.Width)
	r = scrub(r)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, o: o}
	t.answer(r)
	t.warnings(r)
	t.limits(r)
	t.table(trialsTable(r))
	t.table(changesTable(r))
	t.method(r)
	t.table(stepsTable(r))
	t.statuses(r)
	t.table(errorsTable(r))
	t.findings(r)
	t.tests(r)
	t.table(ceilingsTable(r))
	t.remarks(r)
	t.hops(r)
	t.table(downstreamTable(r))
	t.recovery(r)
	t.footer(r)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write text: %w", err)
	}
	return nil
}

// terminal is one summary being written. A failed write shows at the final Flush.
type terminal struct {
	w *bufio.Writer
	o TextOptions
}

func (t *terminal) answer(r *record.Result) {
	a := answerOf(r)
	name := r.Run.Scenario + " → " + targetName(r)
	mark, tone := "?", "dim"
	switch a.Verdict {
	case gate.Pass:
		mark, tone = "✓", "good"
	case gate.Fail:
		mark, tone = "✗", "bad"
	}
	badge := mark + " " + strings.ToUpper(a.Verdict)
	line := t.paint(badge, tone, true) + "  " + t.paint(cut(a.Headline, t.o.Width-width(badge)-2), "", true)
	fmt.Fprintln(t.w, line)
	indent := strings.Repeat(" ", 2)
	if meaning := gate.Meaning(r.ExitCode); meaning != "" && r.ExitCode != gate.ExitPass {
		name += fmt.Sprintf(" · exit %d: %s", r.ExitCode, meaning)
	}
	fmt.Fprintln(t.w, t.paint(cut(indent+name, t.o.Width), "dim", false))
	for _, n := range stateNotices(r) {
		t.wrapped(t.paint("! ", "bad", true), n, "bad")
	}
	for _, why := range a.Why {
		t.wrapped(indent+"because ", why, "")
	}
	fmt.Fprintln(t.w)
	label := 0
	for _, f := range a.Facts {
		label = max(label, min(labelMax, width(f.Label)))
	}
	for _, f := range a.Facts {
		figure := t.paint(f.Value, f.Tone, true)
		head := indent + pad(cut(f.Label, label), label, false) + "  "
		t.wrappedAfter(head, f.Value, figure, f.rest())
		if f.Label == capacityLabel && r.Capacity.Method != "" {
			t.wrapped(strings.Repeat(" ", width(head)), r.Capacity.Method, "dim")
		}
	}
	fmt.Fprintln(t.w)
}

// labelMax bounds the column of labels.
const labelMax = 20

// rest is the sentence after the figure.
func (f fact) rest() string {
	sep := " · "
	switch {
	case f.Unit == "" && f.Detail != "":
		return "· " + f.Detail
	case strings.HasPrefix(f.Detail, "="):
		sep = " "
	case f.Label == loadLabel:
		sep = ": "
	}
	return join(f.Unit, sep, f.Detail)
}

func targetName(r *record.Result) string {
	if settings := r.Run.SettingsText(); settings != "" {
		return r.Run.Target + " (" + settings + ")"
	}
	return r.Run.Target
}

// warnings are always printed: they are what a reader would want to have known before believing a number.
func (t *terminal) warnings(r *record.Result) {
	all := warnings(r)
	for i, w := range all {
		if i == rowsMax {
			w = fmt.Sprintf("%d more warnings in run.json", len(all)-i)
		}
		t.wrapped(t.paint("! ", "bad", true), w, "")
		if i == rowsMax {
			break
		}
	}
	if len(all) > 0 {
		fmt.Fprintln(t.w)
	}
}

// warnings of the validity come first: they are about every number.
func warnings(r *record.Result) []string { return slices.Concat(r.Validity.Warnings, r.Warnings) }

// stateNotices say, right under the verdict, what limits how far any number here may be believed.
func stateNotices(r *record.Result) []string {
	var list []string
	switch {
	case r.Run.CutShort:
		list = append(list, "CUT SHORT: captest was killed; this is rebuilt from what is on disk, where the last second or more is missing")
	case r.Run.Interrupted:
		list = append(list, "INTERRUPTED: ended early on request")
	}
	if s := brakeNotice(r); s != "" {
		list = append(list, "BRAKE: "+s)
	}
	if r.Run.NoBrake {
		list = append(list, "NO BRAKE: "+brakeOff)
	}
	if r.Run.Insecure {
		list = append(list, "INSECURE: no certificate was verified; whatever answered may not have been the target")
	}
	if !r.Validity.Valid {
		list = append(list, "NOT VALID: "+orElse(strings.Join(r.Validity.Reasons, "; "), "no reason was recorded"))
	}
	return list
}

func (t *terminal) limits(r *record.Result) {
	if len(r.Limits) == 0 {
		return
	}
	t.heading("Limits")
	expr := 0
	for _, l := range r.Limits {
		expr = max(expr, width(l.Expr))
	}
	expr = min(expr, t.o.Width/2)
	for _, l := range r.Limits {
		m := limitMark(l)
		t.wrappedAfter("  "+t.paint(m.Text, m.Tone, true)+" "+pad(cut(l.Expr, expr), expr, false)+"  ", "", "", limitValue(l))
	}
	fmt.Fprintln(t.w)
}

// method adds what the trials say besides the figure.
func (t *terminal) method(r *record.Result) {
	if r.Run.Plan != gate.PlanCapacity {
		return
	}
	c, text := r.Capacity, ""
	if finite(c.Concurrency.Knee) {
		text = "requests begin to wait above " + digits3(*c.Concurrency.Knee) + " users: time of one user × highest throughput"
	}
	if finite(c.PerSecond.Confirmed) || finite(c.PerSecond.Refuted) { // otherwise the answer has the note already
		text = join(text, "; ", c.Note)
	}
	line := curveLine(r)
	for _, x := range []string{text, line} {
		if x != "" {
			t.wrapped("  ", x, "dim")
		}
	}
	if text != "" || line != "" {
		fmt.Fprintln(t.w)
	}
}

func (t *terminal) statuses(r *record.Result) {
	if s := statusLine(r); s != "" {
		t.wrapped("  status: ", s, "dim")
		fmt.Fprintln(t.w)
	}
}

func (t *terminal) findings(r *record.Result) {
	if len(r.Findings) == 0 {
		return
	}
	t.heading("Findings")
	for _, f := range r.Findings {
		cause := cut(f.Cause, t.o.Width/2)
		head := "  " + t.paint(cause, "", true)
		rest := strings.TrimSpace(strings.Join(nonEmpty(roleWords(f.Role), f.Where, confidenceWords(f.Confidence)), ", "))
		fmt.Fprintln(t.w, head+t.paint(cut("  "+rest, t.o.Width-2-width(cause)), "dim", false))
		t.wrapped("    ", f.Summary, "")
		for _, e := range f.Evidence {
			t.wrapped("    · ", evidenceText(e), "")
		}
		for _, x := range f.Contradictions {
			t.wrapped("    ! against it: ", x, "")
		}
		for _, x := range f.RuledOut {
			t.wrapped("    not "+x.Cause+": ", x.Why, "dim")
		}
		if len(f.Lookalikes) > 0 {
			t.wrapped("    not told apart: ", strings.Join(f.Lookalikes, ", "), "dim")
		}
		if f.Remedy != "" {
			t.wrapped("    → ", join(f.Remedy, "; ", predictionText(f.Prediction)), "")
		}
	}
	fmt.Fprintln(t.w)
}

// tests are what was asked to tell causes apart.
func (t *terminal) tests(r *record.Result) {
	lines := testLines(r)
	if len(lines) == 0 {
		return
	}
	t.heading("Tests")
	for _, l := range lines {
		tone := ""
		if l.Skipped {
			tone = "dim"
		}
		t.wrapped("  "+l.Name+": ", l.Text, tone)
	}
	fmt.Fprintln(t.w)
}

// recovery is what stands behind the verdict.
func (t *terminal) recovery(r *record.Result) {
	t.table(triggersTable(r))
	t.table(hysteresisTable(r))
	t.table(leaksTable(r))
	notes, open := recoveryNotes(r), undecided(r)
	for _, n := range notes {
		t.wrapped("  ", n, "")
	}
	for _, u := range open {
		t.wrapped("  not decided: ", u, "dim")
	}
	if len(notes)+len(open) > 0 {
		fmt.Fprintln(t.w)
	}
}

func (t *terminal) footer(r *record.Result) {
	var about []string
	if r.Run.Effort != "" {
		about = append(about, r.Run.Effort+" effort")
	}
	if r.Run.Engine != "" {
		about = append(about, "engine "+join(r.Run.Engine, ", ", r.Run.EngineWhy))
	}
	if r.Run.Host.CPUs > 0 {
		where := plural(uint64(r.Run.Host.CPUs), "CPU", "CPUs")
		if r.Run.Host.Colocated {
			where += " shared with the target"
		}
		about = append(about, where)
	}
	if finite(r.Validity.GeneratorCPUPercent) {
		about = append(about, "captest used "+percent(*r.Validity.GeneratorCPUPercent)+" of a core")
	}
	if finite(r.Validity.ScheduleLagP99Ms) {
		about = append(about, "schedule lag p99 "+millis(*r.Validity.ScheduleLagP99Ms))
	}
	if len(about) > 0 {
		t.wrapped("  ", strings.Join(about, " · "), "dim")
	}
	if t.o.Dir != "" {
		dir := clean(t.o.Dir)
		fmt.Fprintf(t.w, "  report  %s\n  data    %s\n", dir+"/report.html", dir+"/run.json")
	}
}

func roleWords(role string) string {
	switch role {
	case "slow-because":
		return "why it is slow"
	case "or-because":
		return "possible instead"
	case "stuck-because":
		return "why it is stuck"
	case "next":
		return "what limits next"
	default:
		return role
	}
}

func confidenceWords(c string) string {
	switch c {
	case "C1":
		return "consistent (C1)"
	case "C2":
		return "likely (C2)"
	case "C3":
		return "confirmed (C3)"
	default:
		return c
	}
}

func evidenceText(e record.Evidence) string {
	s := e.What + " " + inUnit(e.Value, e.Unit)
	if e.Expected != "" {
		s += " (expected " + e.Expected + ")"
	}
	if e.Source != "" {
		s += " [" + e.Source + "]"
	}
	return s
}

func predictionText(p *record.Prediction) string {
	if p == nil || !finite(p.PerSecond) {
		return ""
	}
	s := "were this limit gone altogether, the next would be at about " + digits3(*p.PerSecond) + "/s"
	if p.Interval != nil && finite(p.Interval.Confirmed) && finite(p.Interval.Refuted) {
		s += " (" + digits3(*p.Interval.Confirmed) + "–" + digits3(*p.Interval.Refuted) + ")"
	}
	if p.Limit != "" {
		s += ": " + p.Limit
	}
	return strings.Join(append([]string{s}, p.Needs...), "; ")
}

func nonEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func width(s string) int { return lipgloss.Width(s) }
