package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/captest/captest/internal/diagnose"
)

func forecast() *diagnose.Forecast {
	at := func(users int, x, ms float64) diagnose.Point {
		return diagnose.Point{Users: users, PerSecond: diagnose.Range{Low: .9 * x, Value: x, High: 1.1 * x}, ResponseMs: diagnose.Range{Low: .9 * ms, Value: ms, High: 1.1 * ms}}
	}
	return &diagnose.Forecast{
		Changes: []string{"user.cores=8", "hash.cost=10"}, Users: 10, Sentences: []string{"highest throughput goes from 10/s to 46.5/s"},
		Before: diagnose.Outlook{PerSecond: diagnose.Range{Low: 9, Value: 10, High: 11}, Limit: "user hash pool", KneeUsers: 4, Curve: []diagnose.Point{at(1, 2.4, 410), at(10, 10, 1000)}},
		After:  diagnose.Outlook{PerSecond: diagnose.Range{Low: 36, Value: 46.5, High: 55}, Limit: "user semaphore to billing", Next: "user hash pool", KneeUsers: 13, Curve: []diagnose.Point{at(1, 3.6, 278), at(10, 35, 285)}},
	}
}

// TestDiagnosisText: findings with what speaks against them and what was not told apart, ceilings with their remarks, and
// the curve before and after.
func TestDiagnosisText(t *testing.T) {
	t.Parallel()
	_, r := healthy(t)
	r.Remarks = []string{"Hashing takes 200 ms."}
	r.Findings[0].Contradictions, r.Findings[0].Lookalikes = []string{"others took the cores"}, []string{"lock-contention"}
	var b bytes.Buffer
	if err := DiagnosisText(&b, r, forecast(), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		r.Findings[0].Cause, "! against it: others took the cores", "not told apart: lock-contention", "CEILINGS", "Hashing takes 200 ms.", "user.cores=8, hash.cost=10",
		"before: at most 10.0/s (9.00–11.0), limited by user hash pool", "after: at most 46.5/s (36.0–55.0), limited by user semaphore to billing", "31.5–38.5", "waiting begins",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if width(line) > 80 {
			t.Errorf("wider than 80: %q", line)
		}
	}
	r.Findings, r.Ceilings, b = nil, nil, bytes.Buffer{}
	if err := DiagnosisText(&b, r, nil, TextOptions{}); err != nil || !strings.Contains(b.String(), "No cause") {
		t.Errorf("without findings (%v):\n%s", err, b.String())
	}
}

// TestDiagnosisTextIsSafe: a service's or a caller's words cannot move the cursor.
func TestDiagnosisTextIsSafe(t *testing.T) {
	t.Parallel()
	_, r := hostile(t)
	f := forecast()
	f.Changes[0], f.After.Limit = "\x1b[2Jx=1", "\x1b]0;owned\x07"
	r.Remarks, r.Findings[0].Contradictions, r.Findings[0].Lookalikes = []string{"\x1b[2J"}, []string{"\x1b[2J"}, []string{"\x1b[2J"}
	var b bytes.Buffer
	if err := DiagnosisText(&b, r, f, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07") {
		t.Errorf("control characters in %q", b.String())
	}
}

// TestPageSaysWhatSpeaksAgainst: the page has what the terminal has of a finding, and the remarks.
func TestPageSaysWhatSpeaksAgainst(t *testing.T) {
	t.Parallel()
	run, r := healthy(t)
	r.Remarks = []string{"Hashing takes 200 ms."}
	r.Findings[0].Contradictions, r.Findings[0].Lookalikes = []string{"others took the cores"}, []string{"lock-contention", "network"}
	var b bytes.Buffer
	if err := HTML(&b, run, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<li>others took the cores</li>", "Not told apart: lock-contention, network", "Hashing takes 200 ms."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q on the page", want)
		}
	}
}
