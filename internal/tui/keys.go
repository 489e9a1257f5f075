package tui

import (
	"fmt"

	"github.com/captest/captest/internal/record"
)

// Action is what a key asks the experiment for.
type Action string

// Actions, sent to Options.Keys.
const (
	Quit Action = "quit" // end the run, write the report
	Next Action = "next" // go on to the next phase
	Mark Action = "mark" // remember this moment in the report

	// Of a fixed load: users, or percent of an open load's rate.
	More     Action = "load+1"
	MuchMore Action = "load+10"
	Less     Action = "load-1"
	MuchLess Action = "load-10"
	Hold     Action = "hold" // nothing new begins; the second time it goes on
)

// keyHelp is one line of the help page; short stands in the footer (empty: not there).
type keyHelp struct{ keys, short, long string }

func keys() []keyHelp {
	return []keyHelp{
		{"q", "quit", "end the run; the report is still written"},
		{"?", "help", "this page"},
		{"n", "next", "end this phase and go on to the next"},
		{"m", "mark", "mark this moment: it stands in the report"},
		{"w s", "load", "a user more, a user less; of a rate: 1 % of what was planned"},
		{"W S", "", "the same by ten"},
		{"space", "hold", "hold the load: nothing new begins, and nothing is owed; again: go on"},
		{"tab", "view", "next view: overview, latency, connections, log (shift-tab: back)"},
		{"+ -", "scale", "show a longer or shorter stretch of time in the charts"},
		{"ctrl-c", "", "like q; a second time leaves at once"},
	}
}

// asked is what the footer says after a key.
func asked(a Action, s *record.Snapshot) string {
	unit := func(n int) string {
		if s.Steer == record.ChangedRate {
			return fmt.Sprintf("%+d %% of the rate", n)
		}
		if n == 1 || n == -1 {
			return fmt.Sprintf("%+d user", n)
		}
		return fmt.Sprintf("%+d users", n)
	}
	switch a {
	case Next:
		return "asked for the next phase"
	case More:
		return unit(1)
	case MuchMore:
		return unit(10)
	case Less:
		return unit(-1)
	case MuchLess:
		return unit(-10)
	case Hold:
		if s.Held {
			return "going on"
		}
		return "held"
	}
	return "marked"
}

// steers says that an action changes the load, which not every load allows.
func (a Action) steers() bool { return a != Quit && a != Next && a != Mark }

// help is the page behind the question mark.
func help(w, h int) []line {
	out := []line{rule("keys", "any key goes back", w)}
	for _, k := range keys() {
		out = append(out, line{{fmt.Sprintf("  %-9s", k.keys), strong}, {k.long, plain}})
	}
	return append(out, nil,
		text("  What you press is an event of the run and stands in its events.jsonl.", label),
		text("  The screen only reads a snapshot: nothing it does slows the load.", label),
		text("  "+unknown+" is unknown; a ? after a reading: the last scrape of it failed.", label))[:min(h, len(out)+4)]
}
