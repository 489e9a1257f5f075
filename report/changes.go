package report

import "github.com/captest/captest/internal/record"

// changesTable lists what a person did to the run while it ran.
func changesTable(r *record.Result) table {
	t := table{
		ID: "changes", Title: "By hand",
		Caption: "What was changed or marked at the keyboard while the run went on; time counts from the run's start.",
		Columns: []column{{Head: "at", Number: true}, {Head: "what"}, {Head: "before", Number: true}, {Head: "after", Number: true}},
	}
	for _, c := range r.Changes {
		before, after := dash, dash
		what := c.What
		switch c.What {
		case record.ChangedUsers:
			before, after = number(c.Before), number(c.After)
		case record.ChangedRate:
			before, after = digits3(c.Before)+"/s", digits3(c.After)+"/s"
		case record.ChangedHold:
			if what = "held"; c.After == 0 {
				what = "went on"
			}
		}
		t.add(plainCells(seconds(c.OffsetS), what, before, after)...)
	}
	return t
}
