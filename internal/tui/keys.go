package tui

import "fmt"

// Action is what a key asks the experiment for.
type Action string

// Actions, sent to Options.Keys.
const (
	Quit   Action = "quit"   // end the run, write the report
	Next   Action = "next"   // go on to the next phase
	Hold   Action = "hold"   // stay at this load; again: go on
	Up     Action = "up"     // 1 user more, or 1 % more rate
	Up10   Action = "up10"   // 10 users more, or 10 % more rate
	Down   Action = "down"   // 1 user fewer, or 1 % less rate
	Down10 Action = "down10" // 10 users fewer, or 10 % less rate
	Mark   Action = "mark"   // remember this moment in the report
)

// keyHelp is one line of the help page; short stands in the footer (empty: not there).
type keyHelp struct{ keys, short, long string }

func keys() []keyHelp {
	return []keyHelp{
		{"q", "quit", "end the run; the report is still written"},
		{"w s", "±1", "one user more, one fewer (open loads: 1 % of the rate)"},
		{"W S", "±10", "ten users more, ten fewer (open loads: 10 % of the rate)"},
		{"space", "hold", "stay at this load; press again to go on"},
		{"n", "next", "end this phase and go on to the next"},
		{"m", "mark", "mark this moment: it stands in the report"},
		{"tab", "view", "next view: overview, latency, connections, log (shift-tab: back)"},
		{"+ -", "scale", "show a longer or shorter stretch of time in the charts"},
		{"?", "help", "this page"},
		{"ctrl-c", "", "like q; a second time leaves at once"},
	}
}

// asked is what the footer says after a key.
func asked(a Action, open bool) string {
	step := map[Action]string{Up: "+1", Up10: "+10", Down: "-1", Down10: "-10"}[a]
	switch {
	case step != "" && open:
		return "asked for " + step + " %"
	case step != "" && (a == Up || a == Down):
		return "asked for " + step + " user"
	case step != "":
		return "asked for " + step + " users"
	case a == Hold:
		return "asked to hold or go on"
	case a == Next:
		return "asked for the next phase"
	case a == Mark:
		return "marked"
	}
	return ""
}

// help is the page behind the question mark.
func help(w, h int) []line {
	out := []line{rule("keys", "any key goes back", w)}
	for _, k := range keys() {
		out = append(out, line{{fmt.Sprintf("  %-9s", k.keys), strong}, {k.long, plain}})
	}
	return append(out, nil,
		text("  Every change of the load is an event of the run and stands in the report.", label),
		text("  The screen only reads a snapshot: nothing it does slows the load.", label),
		text("  "+unknown+" is unknown; a ? after a reading: the last scrape of it failed.", label))[:min(h, len(out)+4)]
}
