package report

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{digits3(0), "0"},
		{digits3(0.0421), "0.042"},
		{digits3(7.456), "7.46"},
		{digits3(9.996), "10.0"},
		{digits3(99.96), "100"},
		{digits3(12345.6), "12,346"},
		{digits3(-1234), "-1,234"},
		{digits3(math.NaN()), unknown},
		{digits3(math.Inf(1)), unknown},
		{digits3(1e-7), "1.0e-07"},
		{millis(0), "0 ms"},
		{millis(0.42), "0.420 ms"},
		{millis(205.3), "205 ms"},
		{millis(999.7), "1.00 s"},
		{millis(1330), "1.33 s"},
		{millis(605e3), "10 min 5 s"},
		{millis(math.NaN()), unknown},
		{percent(0), "0 %"},
		{percent(100), "100 %"},
		{percent(99.99), ">99.9 %"},
		{percent(0.004), "<0.1 %"},
		{percent(5.25), "5.2 %"},
		{count(0), "0"},
		{count(1234567), "1,234,567"},
		{number(37), "37"},
		{number(7.5), "7.50"},
		{number(-1200), "-1,200"},
		{bytesIn(8 << 30), "8.00 GiB"},
		{inUnit(848, "ms"), "848 ms"},
		{inUnit(0.5, "%"), "0.5 %"},
		{inUnit(7.4, "/s"), "7.40/s"},
		{inUnit(6, "s"), "6.00 s"},
		{inUnit(100, ""), "100"},
		{inUnit(3, "permits"), "3 permits"},
		{plural(1, "user", "users"), "1 user"},
		{plural(8, "user", "users"), "8 users"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":              "plain text",
		"Größe ✓ 漢字":              "Größe ✓ 漢字",
		"a\x1b[31mred\x1b[0m":     "a[31mred[0m",
		"a\nb\tc\r":               "a b c ",
		"x\u009b2Jy\u202ez\u200b": "x2Jyz",
		"bad\xffutf8":             "bad\ufffdutf8",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean(strings.Repeat("é", 5000)); len([]rune(got)) != textMax+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long string keeps %d characters", len([]rune(got)))
	}
}

func TestScrubReachesEveryString(t *testing.T) {
	type inner struct{ S string }
	type outer struct {
		P *inner
		L []inner
		M map[string]*inner
		N *float64
		I int
	}
	in := outer{P: &inner{"a\x1b"}, L: []inner{{"b\x07"}}, M: map[string]*inner{"k\x00": {"c\n"}}, N: ref(1), I: 3}
	want := outer{P: &inner{"a"}, L: []inner{{"b"}}, M: map[string]*inner{"k": {"c "}}, N: ref(1), I: 3}
	if diff := cmp.Diff(want, scrub(in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if in.P.S != "a\x1b" || in.M["k\x00"].S != "c\n" {
		t.Error("the original was changed")
	}
}

func TestWrapKeepsUnitsAndBreaksLongWords(t *testing.T) {
	if diff := cmp.Diff([]string{"took about", "12.5 ms, or", "80 users", "abcdefghijk", "lmnop"}, wrap("took about 12.5 ms, or 80 users abcdefghijklmnop", 11)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
