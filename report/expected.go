package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/captest/captest/internal/record"
)

// Expected is what `captest demo` writes: the "Expected Results" of the incident's fix plan, claimed beside measured here.
type Expected struct {
	SchemaVersion int           `json:"schema_version"`
	Source        string        `json:"source"` // of every claimed figure
	Runs          []ExpectedRun `json:"runs"`
	Rows          []ExpectedRow `json:"rows"`
	Notes         []string      `json:"notes"`
	Host          record.Host   `json:"host"`
	Seconds       float64       `json:"seconds"`     // the whole demonstration took
	Interrupted   bool          `json:"interrupted"` // it ended early on request
}

// ExpectedRun is one profile of the bundled services.
type ExpectedRun struct {
	Profile     string         `json:"profile"`
	Dir         string         `json:"dir"`           // its run folder; "" when it never came to one
	Report      string         `json:"report"`        // its page
	Seconds     *float64       `json:"seconds"`       // null: not run
	Interrupted bool           `json:"interrupted"`   // before the end of its battery
	Why         string         `json:"why,omitempty"` // it was not measured, or not wholly
	Result      *record.Result `json:"-"`
}

// ExpectedRow is one line of the plan's table.
type ExpectedRow struct {
	Metric string         `json:"metric"`
	How    string         `json:"how"` // it was measured
	Cells  []ExpectedCell `json:"cells"`
}

// ExpectedCell holds a claim against a measurement; either may be missing.
type ExpectedCell struct {
	Profile  string           `json:"profile"`
	Claimed  *ExpectedClaim   `json:"claimed"`  // null: the plan claims nothing
	Measured *ExpectedMeasure `json:"measured"` // null: not measured, and why says so
	Why      string           `json:"why,omitempty"`
}

// ExpectedClaim is a figure in the plan's own words.
type ExpectedClaim struct {
	Text   string `json:"text"`
	Target bool   `json:"target"` // the plan's aim, not a measurement of its authors
}

// ExpectedMeasure is a figure of a run. Unit is one of users, seconds, per_minute, percent, ms.
type ExpectedMeasure struct {
	Text  string   `json:"text"` // for people, n and uncertainty included
	Value *float64 `json:"value"`
	Unit  string   `json:"unit"`
	Half  *float64 `json:"half_width"` // 95 % half-width, in the unit; null: not a mean, see how
	N     uint64   `json:"n"`          // what it rests on: requests, or overloads
}

// expectedSource names where the claims stand.
const expectedSource = `the incident's fix plan ("HTTPX Connection Pool & Service Resilience Fix Plan"), table "Expected Results"`

// claims of that table, by metric and profile. It has no column for phase 3, and heads phase 2 "Target".
var claims = []struct {
	metric, how string
	of          map[string]ExpectedClaim
	measure     func(*record.Result) (*ExpectedMeasure, string)
}{
	{
		"Max concurrent", "the most users at once, of those tried, with under 1 % of the requests failed",
		claimed("~20", "50+", "100+"), maxConcurrent,
	},
	{
		"Recovery after load", "after 50 users at once who wait, and again after 50 who give up early; the worse of the two",
		claimed("Requires restart", "Self-healing", "Self-healing"), recoveryAfter,
	},
	{
		"Users/minute", "registrations at 10 concurrent, with the 95 % half-width from one-second counts",
		claimed("~100", "~210", "~400+"), usersPerMinute,
	},
	{
		"Service stability", "requests failed of clients that waited, in all loads; what did not come back after them",
		claimed("Fragile", "Improved", "Resilient"), stability,
	},
	{
		"Latency @ 10 concurrent", "mean response time; its half-width is that of the rate, since R = N/X in a closed load without pauses (Little)",
		claimed("5.4s avg", "2.9s avg", "<1s avg"), latencyAtTen,
	},
}

func claimed(before, phase1, phase2 string) map[string]ExpectedClaim {
	return map[string]ExpectedClaim{"before": {Text: before}, "phase1": {Text: phase1}, "phase2": {Text: phase2, Target: true}}
}

// littleNote holds the claims against each other: Little's law, X = N/R, at 10 concurrent.
const littleNote = "The claims by Little's law (X = N/R at 10 concurrent): before 10/5.4 s = 111 a minute and phase 1 10/2.9 s = 207 agree with " +
	"the plan's ~100 and ~210; phase 2 does not agree with itself: under 1 s at 10 is over 600 a minute, and it says 400+."

const machineNote = "The plan's figures are of another machine, with real services; only the order and the kind of failure can be compared."

// ExpectedResults builds the table from the runs, in their order.
func ExpectedResults(runs []ExpectedRun) *Expected {
	x := &Expected{SchemaVersion: record.SchemaVersion, Source: expectedSource, Runs: runs, Notes: []string{littleNote, machineNote}}
	for _, c := range claims {
		row := ExpectedRow{Metric: c.metric, How: c.how}
		for _, r := range runs {
			cell := ExpectedCell{Profile: r.Profile}
			if claim, ok := c.of[r.Profile]; ok {
				cell.Claimed = &claim
			}
			if r.Result == nil {
				cell.Why = r.Why
			} else {
				x.Host = r.Result.Run.Host
				cell.Measured, cell.Why = c.measure(r.Result)
			}
			row.Cells = append(row.Cells, cell)
		}
		x.Rows = append(x.Rows, row)
	}
	return x
}

// ExpectedJSON writes the table as JSON.
func ExpectedJSON(w io.Writer, x *Expected) error {
	data, err := json.MarshalIndent(scrub(x), "", "  ")
	if err != nil {
		return fmt.Errorf("report: encode expected results: %w", err)
	}
	if _, err := w.Write(append(escapeControls(data), '\n')); err != nil {
		return fmt.Errorf("report: write json: %w", err)
	}
	return nil
}
