package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// Every fact of a recovery verdict reaches whoever reads the summary or the page.
func TestRecoveryFactsAreShown(t *testing.T) {
	t.Parallel()
	run, res := healthy(t)
	overload := res.Trials[len(res.Trials)-1]
	released := overload.StartS + overload.Seconds
	res.Recovery = &record.Recovery{
		Class: record.StuckRestart, SubClass: "deceptive", WatchedSeconds: 60, Summary: "still failing",
		HealthDeceptionSeconds: ref(58), ExpectedDrainSeconds: ref(6.7),
		Health:  &record.HealthStates{BothOK: 12, Deceptive: 58, BothBad: 3, Deceived: true},
		Restart: &record.Restart{Services: []string{"user"}, Cured: true, Seconds: ref(3.2)},
		Triggers: []record.Trigger{
			{Clients: "patient", Users: 50, Requests: 400, Class: record.SelfHealing, Seconds: ref(5.5), ExpectedDrainSeconds: ref(6.7), ReleasedS: released},
			{Clients: "aborting", TimeoutSeconds: ref(2.5), Users: 50, Requests: 300, Failed: 200, Aborted: 200, Class: record.Stuck, SubClass: "deceptive", HealthDeceptionSeconds: ref(58), ReleasedS: released + 8},
			{Clients: "patient", BackgroundPercent: ref(50), Class: record.Metastable},
		},
		Leaks: []record.Leak{{What: "process_open_fds", Where: "user", Before: 24, After: 224, Per1000: ref(286), PerFailed: ref(1), Per: "failed request", Limit: ref(256), ExhaustedSeconds: ref(3.2)}},
		Hysteresis: &record.Hysteresis{Found: true, P: ref(0.0004), Area: ref(0.4), Levels: []record.HysteresisLevel{
			{Percent: 75, OfferedPerSecond: 5.4, UpPerSecond: 5.4, DownPerSecond: 4.1, UpMs: ref(460), DownMs: ref(980), LatencyRatio: ref(2.13), Worse: true},
		}},
		RecoverablePercent: &record.Bounds{Confirmed: ref(25), Refuted: ref(50)},
		Undecided:          []record.Undecided{{What: "go_goroutines", Where: "billing", Why: "idle connections may live longer"}},
	}
	var text, page bytes.Buffer
	if err := Text(&text, res, TextOptions{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if err := HTML(&page, run, res); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"summary": strings.Join(strings.Fields(text.String()), " "), "page": page.String()} {
		for _, want := range []string{
			"STUCK_NEEDS_RESTART", "aborting, 2.5 s", "66.7 %", "STUCK (deceptive)", "5.5 s", "58 s", "METASTABLE", "→ 50.0 %", "1.00 for each failed request", "its limit of 256 is reached in 3.2 s at the overload", "Restarting user cured it in 3.2 s",
			"2.13", "Under 25.0 % of its capacity it still recovers", "go_goroutines of billing: idle connections may live longer", "wrong for 58 s", "p = 0.0004",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
	if !strings.Contains(page.String(), "good again after 5.5 s") {
		t.Error("the probes' strip does not mark the first recovery")
	}
}
