package report

import (
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestTestsAreTold: each says what was asked, what came out and what that means, or why it was not made.
func TestTestsAreTold(t *testing.T) {
	t.Parallel()
	burst := func(form string) record.Test {
		return record.Test{Name: record.TestBurst, Words: map[string]string{"form": form}, Values: map[string]float64{
			"requests": 16, "bursts": 5, "single_ms": 250, "first_ms": 260, "last_ms": 2100, "servers": 3.2, "servers_low": 2.4, "servers_high": 4.3,
			"slope_ms": 125, "slope_low_ms": 120, "slope_high_ms": 130, "service_ms": 400,
		}}
	}
	coupling := func(k float64) record.Test {
		return record.Test{Name: record.TestCoupling, Words: map[string]string{"path": "/health", "step": "register"}, Values: map[string]float64{
			"load_per_second": 9, "trivial_idle_ms": 1, "trivial_load_ms": 2, "step_idle_ms": 250, "step_load_ms": 900, "coupling": k, "coupling_low": k / 2, "coupling_high": 2 * k,
		}}
	}
	for _, tt := range []struct {
		test record.Test
		want []string
	}{
		{burst("even"), []string{"16 requests at once, 5 times", "260 ms to 2.10 s", "one alone takes 250 ms", "one every 125 ms (120 ms–130 ms)", "served one at a time"}},
		{burst("steps"), []string{"3.20 (2.40–4.30) at a time", "400 ms each"}},
		{burst("shared"), []string{"late and together"}},
		{burst("together"), []string{"none waits for another"}},
		{burst("unclear"), []string{"is not known"}},
		{coupling(0.9), []string{"GET /health takes 1.00 ms at rest and 2.00 ms beside 9.00/s of register", "k = 0.900 (0.450–1.80)", "all requests share"}},
		{coupling(0.01), []string{"the step's own"}},
		{coupling(0.1), []string{"tells nothing apart"}},
		{record.Test{Name: record.TestCoupling}, []string{"rose too little"}},
		{
			record.Test{Name: record.TestShortCircuit, Words: map[string]string{"step": "register"}, Values: map[string]float64{"refused_ms": 2, "single_ms": 250, "behind_percent": 99.2, "load_users": 8, "load_step_ms": 900, "load_refused_ms": 3}},
			[]string{"refused in 2.00 ms", "99.2 % of that", "beside 8 users, whose requests take 900 ms, in 3.00 ms"},
		},
		{
			record.Test{Name: record.TestConnections, Words: map[string]string{"shared": "not made: HTTP/1.1 is spoken"}, Values: map[string]float64{"users": 4, "kept_per_second": 10, "kept_ms": 400, "fresh_per_second": 8, "fresh_ms": 500, "dial_ms": 1, "dial_max_ms": 1020}},
			[]string{"4 users get 10.0/s", "8.00/s on a fresh one", "1.02 s at most", "HTTP/1.1 is spoken"},
		},
		{record.Test{Name: "another", Values: map[string]float64{"x_ms": 3}}, []string{"x_ms 3.00"}},
		{record.Test{Name: record.TestKnob, Skipped: "not wanted"}, []string{"not made: not wanted"}},
	} {
		lines := testLines(&record.Result{Tests: []record.Test{tt.test}})
		if len(lines) != 1 || lines[0].Name != tt.test.Name || lines[0].Skipped != (tt.test.Skipped != "") {
			t.Fatalf("%+v: %+v", tt.test, lines)
		}
		for _, want := range tt.want {
			if !strings.Contains(lines[0].Text, want) {
				t.Errorf("%s: %q has no %q", tt.test.Name, lines[0].Text, want)
			}
		}
	}
}

// TestTestsAreShown: in the summary and on the page, and nothing of them where there were none.
func TestTestsAreShown(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{true, false} {
		r := &record.Result{}
		if made {
			r.Tests = []record.Test{{Name: record.TestBurst, Where: "user", Skipped: "a burst of 8 would take about \x1b[2J40 s"}}
		}
		var text, html strings.Builder
		if err := Text(&text, r, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := HTML(&html, &record.Run{}, r); err != nil {
			t.Fatal(err)
		}
		for what, s := range map[string]string{"summary": text.String(), "page": html.String()} {
			if strings.Contains(s, "would take about") != made || strings.Contains(s, "\x1b[2J") {
				t.Errorf("%s with tests %t: %s", what, made, s)
			}
		}
	}
}
