package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Columns of the table, in characters of 80.
const (
	expectedProfile = 8
	expectedClaimed = 22
)

// ExpectedText writes the table for a terminal.
func ExpectedText(w io.Writer, x *Expected, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = max(70, o.Width)
	x = scrub(x)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, o: o}
	t.heading("Expected results: claimed beside measured")
	t.expectedLine("", "claimed", "measured here", "dim")
	for _, row := range x.Rows {
		fmt.Fprintln(b, "  "+t.paint(row.Metric, "", true))
		for _, c := range row.Cells {
			claim := "no claim"
			if c.Claimed != nil {
				claim = c.Claimed.Text
				if c.Claimed.Target {
					claim += " (aim)"
				}
			}
			measured := "not measured: " + c.Why
			if c.Measured != nil {
				measured = c.Measured.Text
			}
			t.expectedLine(c.Profile, claim, measured, "")
		}
	}
	fmt.Fprintln(b)
	t.wrapped("  claimed: ", x.Source+"; (aim): the plan's target, measured by nobody", "dim")
	for _, row := range x.Rows {
		t.wrapped("  "+row.Metric+": ", row.How, "dim")
	}
	t.wrapped("  ", "± is a 95 % half-width within this run, of recovery the time between two probes.", "dim")
	fmt.Fprintln(b)
	for _, n := range x.Notes {
		t.wrapped("  ", n, "")
	}
	fmt.Fprintln(b)
	if x.Interrupted {
		t.wrapped(t.paint("! ", "bad", true), "INTERRUPTED: ended early on request; what was measured until then stands", "bad")
	}
	for _, r := range x.Runs {
		switch {
		case r.Report != "":
			fmt.Fprintf(b, "  %-*s %s\n", expectedProfile, r.Profile, r.Report)
		default:
			fmt.Fprintf(b, "  %-*s not run\n", expectedProfile, r.Profile)
		}
		if r.Why != "" {
			t.wrapped(strings.Repeat(" ", expectedProfile+3), r.Why, "dim")
		}
	}
	where := ""
	if n := x.Host.CPUs; n > 0 {
		where = fmt.Sprintf(" on %s shared by load and services", plural(uint64(n), "CPU", "CPUs"))
	}
	fmt.Fprintf(b, "  took %s%s\n", tenths(x.Seconds), where)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write text: %w", err)
	}
	return nil
}

// expectedLine writes one line of the table, the two last columns wrapped within their own.
func (t *terminal) expectedLine(profile, claimed, measured, tone string) {
	head := "    " + pad(profile, expectedProfile, false) + " "
	left := wrap(claimed, expectedClaimed)
	right := wrap(measured, t.o.Width-width(head)-expectedClaimed-2)
	for i := range max(len(left), len(right)) {
		a, b := "", ""
		if i < len(left) {
			a = left[i]
		}
		if i < len(right) {
			b = right[i]
		}
		fmt.Fprintln(t.w, strings.TrimRight(t.paint(head+pad(a, expectedClaimed, false)+"  "+b, tone, false), " "))
		head = strings.Repeat(" ", width(head))
	}
}
