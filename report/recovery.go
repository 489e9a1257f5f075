package report

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/record"
)

// triggersTable has a row for each overload and what came after it.
func triggersTable(r *record.Result) table {
	t := table{
		ID: "triggers", Title: "Overloads", Caption: "Patient clients wait for their answers; aborting ones give up after so long and close the connection; → load kept up, of capacity. Times count from the last request sent. Drained: nothing in flight any more; expected: what was in flight ÷ the highest throughput.",
		Columns: []column{
			{Head: "clients"},
			{Head: "failed", Number: true},
			{Head: "class"},
			{Head: "good after", Number: true},
			{Head: "drained", Number: true},
			{Head: "expected", Number: true},
			{Head: "deceived", Number: true},
		},
	}
	if r.Recovery == nil {
		return t
	}
	for _, x := range r.Recovery.Triggers {
		clients, failed := x.Clients, dash
		if finite(x.TimeoutSeconds) {
			clients += ", " + tenths(*x.TimeoutSeconds)
		}
		if finite(x.BackgroundPercent) {
			clients += " → " + percent(*x.BackgroundPercent)
		}
		if x.Requests > 0 {
			failed = percent(100 * float64(x.Failed) / float64(x.Requests))
		}
		class := x.Class
		if x.SubClass != "" {
			class += " (" + x.SubClass + ")"
		}
		t.add(plainCells(clients, failed, class, opt(x.Seconds, tenths, dash), opt(x.DrainSeconds, tenths, dash), opt(x.ExpectedDrainSeconds, tenths, dash), opt(x.HealthDeceptionSeconds, tenths, dash))...)
	}
	return t
}

// hysteresisTable has the ladders' rungs beside each other.
func hysteresisTable(r *record.Result) table {
	t := table{
		ID: "hysteresis", Title: "The same load before and after", Caption: "Hysteresis: a load that is carried worse after the overload than before it.",
		Columns: []column{
			{Head: "of capacity"},
			{Head: "offered/s", Number: true},
			{Head: "good/s before", Number: true},
			{Head: "after", Number: true},
			{Head: "p50 before", Number: true},
			{Head: "after", Number: true},
			{Head: "ratio", Number: true},
		},
	}
	if r.Recovery == nil || r.Recovery.Hysteresis == nil {
		return t
	}
	for _, l := range r.Recovery.Hysteresis.Levels {
		row := plainCells(percent(l.Percent), digits3(l.OfferedPerSecond), digits3(l.UpPerSecond), digits3(l.DownPerSecond), opt(l.UpMs, millis, dash), opt(l.DownMs, millis, dash), opt(l.LatencyRatio, digits3, dash))
		if l.Worse {
			row[len(row)-1].Tone = "bad"
		}
		t.add(row...)
	}
	return t
}

func leaksTable(r *record.Result) table {
	t := table{
		ID: "leaks", Title: "Did not return", Caption: "What did not go back to where it was before the load.",
		Columns: []column{
			{Head: "what"},
			{Head: "where"},
			{Head: "before", Number: true},
			{Head: "after", Number: true},
			{Head: "per 1,000 requests", Number: true},
		},
	}
	if r.Recovery != nil {
		for _, l := range r.Recovery.Leaks {
			t.add(plainCells(l.What, l.Where, number(l.Before), number(l.After), opt(l.Per1000, digits3, dash))...)
		}
	}
	return t
}

// recoveryNotes are the facts that have no table, one sentence each.
func recoveryNotes(r *record.Result) []string {
	v := r.Recovery
	if v == nil {
		return nil
	}
	var out []string
	if h := v.Health; h != nil && h.Deceptive+h.KillRisk+h.BothBad > 0 {
		s := fmt.Sprintf("After the load the health check was right for %s (%s of them down) and wrong for %s", tenths(h.BothOK+h.BothBad), tenths(h.BothBad), tenths(h.Deceptive+h.KillRisk))
		if h.Deceptive > 0 {
			s += fmt.Sprintf(": for %s it said that a service was fine which did not work", tenths(h.Deceptive))
		}
		if h.Deceived {
			s += ". A load balancer would keep sending: let readiness check what the service needs (a permit, a pooled connection) with a short deadline"
		}
		out = append(out, s+".")
	}
	for i, l := range v.Leaks {
		if s := leakRate(l); s != "" && i < rowsMax {
			out = append(out, s)
		}
	}
	if x := v.Restart; x != nil && x.Cured {
		out = append(out, fmt.Sprintf("Restarting %s cured it in %s.", strings.Join(x.Services, ", "), opt(x.Seconds, tenths, "an unknown time")))
	}
	if b := v.RecoverablePercent; b != nil {
		switch {
		case finite(b.Confirmed) && finite(b.Refuted):
			out = append(out, fmt.Sprintf("Under %s of its capacity it still recovers from an overload, under %s no more.", percent(*b.Confirmed), percent(*b.Refuted)))
		case finite(b.Confirmed):
			out = append(out, fmt.Sprintf("Under %s of its capacity it still recovers from an overload; more was not tried.", percent(*b.Confirmed)))
		case finite(b.Refuted):
			out = append(out, fmt.Sprintf("Under %s of its capacity it does not recover from an overload; less was not tried.", percent(*b.Refuted)))
		}
	}
	if h := v.Hysteresis; h != nil && h.Found {
		out = append(out, "The same load is carried worse after the overload than before it: "+opt(h.P, func(p float64) string { return fmt.Sprintf("p = %.2g", p) }, "p unknown")+".")
	}
	return out
}

// leakRate says what a leak grows with and when it is over; "" when neither is known.
func leakRate(l record.Leak) string {
	s := ""
	switch {
	case finite(l.PerFailed):
		s = digits3(*l.PerFailed) + " for each " + l.Per
	case l.Per != "":
		s = "grows with each " + l.Per
	}
	if finite(l.Limit) && finite(l.ExhaustedSeconds) {
		end := "is reached"
		if *l.ExhaustedSeconds > 0 {
			end = "is reached in " + tenths(*l.ExhaustedSeconds) + " at the overload's pace"
		}
		s = join(s, "; ", "its limit of "+number(*l.Limit)+" "+end)
	}
	if s == "" {
		return ""
	}
	return l.What + " of " + l.Where + ": " + s + "."
}

// undecided are the questions the run left open.
func undecided(r *record.Result) []string {
	if r.Recovery == nil {
		return nil
	}
	var out []string
	for i, u := range r.Recovery.Undecided {
		if i == rowsMax {
			break
		}
		what := u.What
		if u.Where != "" {
			what += " of " + u.Where
		}
		out = append(out, what+": "+u.Why)
	}
	return out
}
