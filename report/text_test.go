package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
)

func text(t *testing.T, r *record.Result, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var fixtures = []struct {
	name string
	make func(testing.TB) (*record.Run, *record.Result)
}{
	{"healthy", healthy},
	{"stuck", wedged},
	{"cut-short", cutShort},
	{"fixed", fixed},
	{"nothing-known", nothing},
	{"hostile", hostile},
}

func TestText(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			_, r := f.make(t)
			out := text(t, r, TextOptions{Dir: "captest-runs/20261123T095700Z-registration-reference"})
			for i, line := range strings.Split(out, "\n") {
				if width(line) > 80 {
					t.Errorf("line %d has %d columns: %s", i+1, width(line), line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("line %d ends in blanks: %q", i+1, line)
				}
			}
			for _, c := range out {
				if c != '\n' && (unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Cf, c)) {
					t.Fatalf("control character %U in the output", c)
				}
			}
			golden.RequireEqual(t, out)
		})
	}
}

func TestTextColor(t *testing.T) {
	_, r := wedged(t)
	colored := text(t, r, TextOptions{Color: true})
	if !strings.Contains(colored, "\x1b[1;31m✗ FAIL\x1b[0m") {
		t.Error("the verdict is not painted")
	}
	var bare strings.Builder
	for i, part := range strings.Split(colored, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		bare.WriteString(part)
	}
	// Colour must never carry meaning or move anything.
	plain := text(t, r, TextOptions{})
	trim := func(s string) []string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return lines
	}
	if diff := cmp.Diff(trim(plain), trim(bare.String())); diff != "" {
		t.Errorf("colours change the text (-plain +coloured):\n%s", diff)
	}
}

// TestTextAnswers checks what a reader must find, independent of layout.
func TestTextAnswers(t *testing.T) {
	tests := []struct {
		name string
		make func(testing.TB) (*record.Run, *record.Result)
		want []string
		not  []string
	}{
		{"healthy", healthy, []string{"✓ PASS", "7.21–7.83 registrations/s", "433–470 users/minute", "7.21–7.83", "closed ramp, one run", "SELF_HEALING", "in 6 s", "not independently confirmed", "1.33 s mean at 10 users", "(n = 75)", "✓ register.p95<1s", "cpu-bound-hashing"}, []string{"unknown"}},
		{"stuck", wedged, []string{"✗ FAIL", "exit 115", "STUCK (deceptive)", "did not recover", "timeout", "http_requests_in_progress", "! user: 14 scrapes failed"}, []string{"PASS"}},
		{"cut short", cutShort, []string{"? INCONCLUSIVE", "CUT SHORT: captest was killed", "NOT VALID", "torn"}, []string{"PASS", "SELF_HEALING"}},
		{"fixed", fixed, []string{"✗ FAIL", "100 journeys, 20 at a time: 100 ok in 13.2 s", "exit 99"}, []string{"Recovery"}},
		{"nothing", nothing, []string{"? INCONCLUSIVE", "unknown", "not tested"}, []string{" 0/s", "0 ms", "0 %", "NaN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, r := tt.make(t)
			out := strings.Join(strings.Fields(text(t, r, TextOptions{})), " ")
			for _, w := range tt.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is missing in:\n%s", w, out)
				}
			}
			for _, w := range tt.not {
				if strings.Contains(out, w) {
					t.Errorf("%q must not be in:\n%s", w, out)
				}
			}
		})
	}
}

func TestTextNarrowAndWide(t *testing.T) {
	_, r := healthy(t)
	for _, w := range []int{1, 60, 72, 100, 200} {
		for _, line := range strings.Split(text(t, r, TextOptions{Width: w}), "\n") {
			if width(line) > max(w, 72) { // seven numeric columns need 72: a cut number would be a wrong one
				t.Errorf("width %d: line of %d columns: %s", w, width(line), line)
			}
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe closed") }

func TestWriteErrorsSurface(t *testing.T) {
	run, r := fixed(t)
	if err := Text(broken{}, r, TextOptions{}); err == nil || !strings.Contains(err.Error(), "pipe closed") {
		t.Errorf("Text: %v", err)
	}
	if err := HTML(broken{}, run, r); err == nil || !strings.Contains(err.Error(), "pipe closed") {
		t.Errorf("HTML: %v", err)
	}
	if err := JSON(broken{}, r); err == nil || !strings.Contains(err.Error(), "pipe closed") {
		t.Errorf("JSON: %v", err)
	}
}

func TestJSON(t *testing.T) {
	_, r := hostile(t)
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.String() {
		if c != '\n' && unicode.Is(unicode.Cc, c) {
			t.Fatalf("control character %U in the output", c)
		}
	}
	var back record.Result
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Run.Scenario != escape {
		t.Errorf("a string did not survive: %q", back.Run.Scenario)
	}
	if !strings.Contains(b.String(), "\n  \"schema_version\": 1") {
		t.Error("not indented, or without a version")
	}
}

// What was done by hand stands in the summary and on the page.
func TestChangesByHandAreListed(t *testing.T) {
	run, r := fixed(t)
	r.Changes = []record.Change{
		{OffsetS: 3.2, What: record.ChangedUsers, Before: 20, After: 30},
		{OffsetS: 4, What: record.ChangedRate, Before: 50, After: 55.5},
		{OffsetS: 5, What: record.ChangedHold, After: 1},
		{OffsetS: 9, What: record.ChangedHold, Before: 1},
		{OffsetS: 10, What: record.ChangedMark},
	}
	var page bytes.Buffer
	if err := HTML(&page, run, r); err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]string{"summary": strings.ToLower(text(t, r, TextOptions{})), "page": strings.ToLower(page.String())} {
		for _, want := range []string{"by hand", "3.20 s", "30", "55.5/s", "held", "went on", "mark"} {
			if !strings.Contains(got, want) {
				t.Errorf("the %s lacks %q", where, want)
			}
		}
	}
}
