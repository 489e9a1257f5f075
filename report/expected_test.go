package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// battery is a run with the loads of the demonstration; figures are chosen, so what the table must say is known.
func battery(perSecond, meanMs float64, failed uint64, class string) *record.Result {
	r := &record.Result{Run: record.RunInfo{Plan: "capacity", Host: record.Host{CPUs: 2}}}
	at := func(phase string, users int, n uint64, x, ms float64) {
		r.Trials = append(r.Trials, record.Trial{
			Phase: phase, Load: record.Load{Users: users}, N: n, Seconds: 14, GoodputPerSecond: x, ErrorPercent: ref(0.0),
			Latency: record.Latency{MeanMs: ref(ms)}, ResolutionPercent: ref(5.0), Verdict: "pass",
		})
	}
	at("baseline", 1, 20, perSecond/4, 250)
	at("level", 10, 140, perSecond, meanMs)
	at("overload", 50, 100, perSecond, 5*meanMs)
	r.Recovery = &record.Recovery{Class: class, ResolutionSeconds: ref(0.9), CooledSeconds: ref(5.0), Triggers: []record.Trigger{
		{Clients: "patient", Users: 50, Requests: 200, Failed: failed, Class: class},
		{Clients: "aborting", Users: 50, Requests: 300, Failed: 300, Class: class},
	}}
	if class == record.SelfHealing {
		r.Recovery.Seconds = ref(3.0)
	} else {
		r.Recovery.WatchedSeconds = 30
		r.Recovery.Restart = &record.Restart{Services: []string{"user"}, Cured: true}
		r.Recovery.Leaks = []record.Leak{{What: "x"}}
	}
	return r
}

func expected() *Expected {
	invalid := battery(8, 1250, 0, record.SelfHealing)
	for i := range invalid.Trials {
		invalid.Trials[i].Verdict, invalid.Trials[i].Reasons = "invalid", []string{"captest itself used 190 % CPU of 2 cores"}
	}
	invalid.Recovery = nil
	x := ExpectedResults([]ExpectedRun{
		{Profile: "before", Dir: "runs/a", Report: "runs/a/report.html", Result: battery(4, 2500, 60, record.StuckRestart)},
		{Profile: "phase1", Dir: "runs/b", Report: "runs/b/report.html", Result: battery(8, 1250, 0, record.SelfHealing)},
		{Profile: "phase2", Dir: "runs/c", Report: "runs/c/report.html", Result: invalid},
		{Profile: "phase3", Why: "interrupted before its turn"},
	})
	x.Seconds, x.Interrupted = 400, true
	return x
}

func TestExpectedResultsSayWhatWasClaimedAndWhatWasMeasured(t *testing.T) {
	t.Parallel()
	type cell struct{ claimed, measured, why string }
	want := map[string][4]cell{
		"Max concurrent": {
			{"~20", "10 to 49: 60 of 200 failed at 50", ""},
			{"50+", "≥ 50, the most tried: 0 of 200 failed", ""},
			{"100+", "", "captest itself used 190 % CPU of 2 cores"},
			{"", "", "interrupted before its turn"},
		},
		"Recovery after load": {
			{"Requires restart", "STUCK_NEEDS_RESTART: not back after 30 s; restarting user cured it (n = 2 overloads)", ""},
			{"Self-healing", "SELF_HEALING in 3 s ± 0.9 s (n = 2 overloads)", ""},
			{"Self-healing", "", "the run ended before it was known"},
			{"", "", "interrupted before its turn"},
		},
		"Users/minute": {
			{"~100", "240 ± 12.0 (n = 140)", ""},
			{"~210", "480 ± 24.0 (n = 140)", ""},
			{"~400+", "", "captest itself used 190 % CPU of 2 cores"},
			{"", "", "interrupted before its turn"},
		},
		"Service stability": {
			{"Fragile", "60 of 360 failed; 1 leak", ""},
			{"Improved", "0 of 360 failed; no leak seen", ""},
			{"Resilient", "", "captest itself used 190 % CPU of 2 cores"},
			{"", "", "interrupted before its turn"},
		},
		"Latency @ 10 concurrent": {
			{"5.4s avg", "2.50 s ± 125 ms (n = 140)", ""},
			{"2.9s avg", "1.25 s ± 62.5 ms (n = 140)", ""},
			{"<1s avg", "", "captest itself used 190 % CPU of 2 cores"},
			{"", "", "interrupted before its turn"},
		},
	}
	x := expected()
	if len(x.Rows) != len(want) {
		t.Errorf("%d rows, the plan's table has %d", len(x.Rows), len(want))
	}
	for _, row := range x.Rows {
		for i, c := range row.Cells {
			got := cell{why: c.Why}
			if c.Claimed != nil {
				got.claimed = c.Claimed.Text
				if c.Claimed.Target != (c.Profile == "phase2") {
					t.Errorf("%s, %s: target %v; the plan heads phase 2 so, and nothing else", row.Metric, c.Profile, c.Claimed.Target)
				}
			}
			if c.Measured != nil {
				got.measured = c.Measured.Text
				if c.Measured.N == 0 || c.Measured.Unit == "" {
					t.Errorf("%s, %s: %+v", row.Metric, c.Profile, c.Measured)
				}
			}
			if got != want[row.Metric][i] {
				t.Errorf("%s, %s:\ngot  %+v\nwant %+v", row.Metric, c.Profile, got, want[row.Metric][i])
			}
		}
		if row.How == "" {
			t.Errorf("%s: it does not say how it was measured", row.Metric)
		}
	}
	if !strings.Contains(x.Source, "Expected Results") {
		t.Errorf("source %q", x.Source)
	}
}

func TestExpectedResultsFitATerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := ExpectedText(&b, expected(), TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := width(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"Requires restart", "100+ (aim)", "no claim", "not measured: interrupted", "INTERRUPTED", "runs/b/report.html", "phase3   not run", "Little", "fix plan"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := ExpectedJSON(&b, expected()); err != nil {
		t.Fatal(err)
	}
	var back Expected
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Rows) != 5 || back.Rows[0].Cells[2].Measured != nil || back.Rows[0].Cells[3].Claimed != nil {
		t.Errorf("%v: %+v", err, back)
	}
}
