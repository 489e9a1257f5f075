package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

func ms(v float64) *float64 { return &v }

// inward is a run whose caller queues in front of a Kill Bill that is fast.
func inward() *record.Result {
	ten, fifty := record.Load{Users: 10}, record.Load{Users: 50}
	return &record.Result{
		Validity: record.Validity{Valid: true},
		Run:      record.RunInfo{Scenario: "registration", Target: "reference", Plan: "capacity"},
		Hops: []record.Hop{
			{
				Caller: "billing", Callee: "kill-bill", Judged: "overload", Whose: record.WhoseCaller, Exonerated: true,
				Alone:    &record.HopTimes{Load: record.Load{Users: 1}, CallerMs: ms(207), CalleeMs: ms(201)},
				Best:     &record.HopTimes{Load: ten, CallerMs: ms(2050), CalleeMs: ms(205), QueueMs: ms(1800)},
				Overload: &record.HopTimes{Load: fifty, CallerMs: ms(5100), CalleeMs: ms(210)},
				Direct:   &record.HopDirect{AloneMs: 200, MeanMs: 206, P95Ms: 250, Users: 10, PerSecond: 48.5, N: 194, ProfiledMs: ms(198)},
				Verdict:  "billing waits 5.1 s for kill-bill, which works 210 ms: kill-bill is exonerated",
			},
			{Callee: "instance", Whose: record.WhoseUnknown, Direct: &record.HopDirect{AloneMs: 3, MeanMs: 4, Users: 10}, Verdict: "who waits for <b>instance</b>\x1b[2J is not known"},
		},
		Baseline: &record.Baseline{
			Name: "killbill", Service: "kill-bill", Provenance: "as quoted", Claimed: record.BaselineFigure{PerSecond: ms(133), MeanMs: ms(200)},
			Direct: &record.BaselineFigure{PerSecond: ms(48.5), MeanMs: ms(206), N: ms(194)}, DirectUsers: new(int), NeedsInFlight: ms(26.6),
		},
	}
}

func TestHopsInTheSummary(t *testing.T) {
	t.Parallel()
	r := inward()
	*r.Baseline.DirectUsers = 10
	var b bytes.Buffer
	if err := Text(&b, r, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	out := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"CALLS INWARD", "5.10 s", "206 ms × 10", "billing → kill-bill the caller's 5.10 s 210 ms 206 ms × 10", "billing waits 5.1 s for kill-bill, which works 210 ms: kill-bill is exonerated.",
		"straight at it 48.5/s at 206 ms, 10 at a time (the claim takes 26.6)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if width(line) > 80 {
			t.Errorf("%d columns: %s", width(line), line)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a service's name moves the cursor")
	}
}

func TestHopsOnThePage(t *testing.T) {
	t.Parallel()
	r := inward()
	*r.Baseline.DirectUsers = 10
	var b bytes.Buffer
	if err := HTML(&b, nil, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{`<section id="whose">`, "kill-bill is exonerated.", "206 ms × 10", "straight at it", "&lt;b&gt;instance"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	r.Hops, r.Baseline.Direct = nil, nil
	b.Reset()
	if err := HTML(&b, nil, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), `id="whose"`) || strings.Contains(b.String(), "straight at it") {
		t.Error("a run without hops has a section of them")
	}
}
