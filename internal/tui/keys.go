package tui

import "fmt"

// Action is what a key asks the experiment for.
type Action string

// Actions, sent to Options.Keys.
const (
	Quit Action = "quit" // end the run, write the report
	Next Action = "next" // go on to the next phase
	Mark Action = "mark" // remember this moment in the report
)

// keyHelp is one line of the help page; short stands in the footer (empty: not there).
type keyHelp struct{ keys, short, long string }

func keys() []keyHelp {
	return []keyHelp{
		{"q", "quit", "end the run; the report is still written"},
		{"n", "next", "end this phase and go on to the next"},
		{"m", "mark", "mark this moment: it stands in the report"},
		{"tab", "view", "next view: overview, latency, connections, log (shift-tab: back)"},
		{"+ -", "scale", "show a longer or shorter stretch of time in the charts"},
		{"?", "help", "this page"},
		{"ctrl-c", "", "like q; a second time leaves at once"},
	}
}

// asked is what the footer says after a key.
func asked(a Action) string {
	if a == Next {
		return "asked for the next phase"
	}
	return "marked"
}

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
