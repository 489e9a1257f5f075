package report

import (
	"fmt"
	"strconv"

	"github.com/captest/captest/internal/record"
)

// hopsTable has a row for each call inward: what its caller waits, what the callee works, and what requests met that were sent
// straight at it.
func hopsTable(r *record.Result) table {
	t := table{
		ID: "hops", Title: "Calls inward",
		Caption: "Mean time of one call: what its caller waits for it (permit, connection and answer), and what the callee works by its own account. Straight at it: the same identities, past every service before it, so many at a time and one.",
		Columns: []column{
			{Head: "hop"},
			{Head: "whose"}, // beside it, where a narrow screen shows it without scrolling
			{Head: "1 user: waits", Number: true, Wide: true},
			{Head: "works", Number: true, Wide: true},
			{Head: "best: waits", Number: true, Wide: true},
			{Head: "works", Number: true, Wide: true},
			{Head: "overload: waits", Number: true, Wide: true},
			{Head: "works", Number: true, Wide: true},
			{Head: "waits", Number: true, Narrow: true},
			{Head: "works", Number: true, Narrow: true},
			{Head: "straight at it", Number: true},
			{Head: "alone", Number: true, Wide: true},
		},
	}
	for _, h := range r.Hops {
		name := h.Callee
		if h.Caller != "" {
			name = h.Caller + " → " + h.Callee
		}
		judged := h.Best
		if h.Judged == "overload" {
			judged = h.Overload
		}
		row := []string{name, whoseWords(h)}
		for _, at := range []*record.HopTimes{h.Alone, h.Best, h.Overload, judged} {
			if at == nil {
				at = &record.HopTimes{}
			}
			row = append(row, opt(at.CallerMs, millis, dash), opt(at.CalleeMs, millis, dash))
		}
		straight, alone := dash, dash
		if d := h.Direct; d != nil {
			straight, alone = millis(d.MeanMs)+" × "+strconv.Itoa(d.Users), millis(d.AloneMs)
		}
		t.add(plainCells(append(row, straight, alone)...)...)
	}
	return t
}

// whoseWords say whose time a hop is. That a callee is exonerated is for the verdict to say.
func whoseWords(h record.Hop) string {
	s := unknown
	switch h.Whose {
	case record.WhoseCaller, record.WhoseCallee:
		s = "the " + h.Whose + "'s"
	case record.WhoseBetween:
		s = "between them"
	case record.WhoseShared:
		s = "both's"
	case record.WhoseNobody:
		s = "no time"
	case record.WhoseUnclear:
		s = "unclear"
	}
	return s
}

// hopVerdicts are the sentences, one a hop, that say more than its row.
func hopVerdicts(r *record.Result) []string {
	var out []string
	for i, h := range r.Hops {
		if i == rowsMax {
			break
		}
		if h.Verdict != "" && h.Whose != record.WhoseNobody {
			out = append(out, h.Verdict+".")
		}
	}
	return out
}

// hops is the table and, below it, the verdicts.
func (t *terminal) hops(r *record.Result) {
	if len(r.Hops) == 0 {
		return
	}
	t.table(hopsTable(r))
	verdicts := hopVerdicts(r)
	for _, v := range verdicts {
		t.wrapped("  · ", v, "")
	}
	if len(verdicts) > 0 {
		fmt.Fprintln(t.w)
	}
}
