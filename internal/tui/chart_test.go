package tui

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
)

func lines(rows []line) string {
	var out []string
	for _, r := range rows {
		out = append(out, theme{}.render(r))
	}
	return strings.Join(out, "\n")
}

func TestPlotDrawsKnownShapes(t *testing.T) {
	rising := series{points: []point{{0, 0, false}, {7, 15, true}}}
	if diff := cmp.Diff("⠀⠀⠀⡜\n⠀⠀⡜\n⠀⡜\n⡜", strings.ReplaceAll(lines(plot(4, 4, 15, rising)), " ", "⠀")); diff != "" {
		t.Errorf("rising line (-want +got):\n%s", diff)
	}
	flat := series{points: []point{{0, 5, false}, {3, 5, true}}}
	if got := lines(plot(2, 1, 5, flat)); got != "⠉⠉" {
		t.Errorf("line at the top: %q", got)
	}
	gap := series{points: []point{{0, 0, false}, {7, 0, false}}}
	if got := lines(plot(4, 1, 1, gap)); got != "⡀  ⢀" {
		t.Errorf("two points with unknown values between: %q", got)
	}
	if got := lines(plot(1, 1, 1, series{points: []point{{0, 99, false}}})); got != "⠁" {
		t.Errorf("a value above the axis is not drawn at its top: %q", got)
	}
}

func TestTopIsRoundAndCoversAll(t *testing.T) {
	for high, want := range map[float64]float64{0: 1, 0.3: 1, 1: 1, 7.4: 10, 10: 10, 11: 20, 24: 25, 26: 50, 501: 1000, 1071: 2000} {
		if got := top(1, series{points: []point{{0, high, false}}}); got != want {
			t.Errorf("top(%v) = %v, want %v", high, got, want)
		}
	}
}

func TestWindowMergesAndBreaks(t *testing.T) {
	var ticks []record.Tick
	for _, y := range []float64{1, 3, math.NaN(), 5, 7} {
		ticks = append(ticks, record.Tick{Goodput: y})
	}
	pick := func(t record.Tick) float64 { return t.Goodput }
	got := last(ticks, 8).line(4, false, pick) // two seconds a dot: _ _ | _ 1 | 3 NaN | 5 7
	if diff := cmp.Diff([]point{{1, 1, false}, {2, 3, true}, {3, 6, false}}, got, cmp.AllowUnexported(point{})); diff != "" {
		t.Errorf("means (-want +got):\n%s", diff)
	}
	if got := last(ticks, 8).line(4, true, pick); got[2].y != 7 {
		t.Errorf("worst of 5 and 7 is %v", got[2].y)
	}
}

func TestSparkKeepsSpikesAndIgnoresZero(t *testing.T) {
	ticks := make([]record.Tick, 60)
	ticks[30].Errors, ticks[59].Errors = 8, 1
	row, high := last(ticks, 60).spark(10, func(t record.Tick) float64 { return t.Errors })
	if row != "     █   ▂" || high != 8 {
		t.Errorf("spark %q, highest %v", row, high)
	}
}

func TestAxisNamesPhasesWhereTheyFit(t *testing.T) {
	var ticks []record.Tick
	for _, p := range []string{"ramp", "x", "overload"} {
		n := map[string]int{"ramp": 10, "x": 1, "overload": 9}[p]
		for range n {
			ticks = append(ticks, record.Tick{Phase: p})
		}
	}
	if got := last(ticks, 30).axis(30); got != "──────────ramp──────┴┴────────" {
		t.Errorf("axis %q", got)
	}
	if got := last(ticks, 20).axis(40); got != "ramp────────────────┴─┴overload─────────" {
		t.Errorf("axis %q", got)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		millis(0.423): "0.42 ms", millis(9.996): "10.0 ms", millis(99.96): "100 ms", millis(999.6): "1.00 s", millis(1312): "1.31 s", millis(9996): "10.0 s",
		millis(math.NaN()): unknown, millis(-1): unknown,
		rate(7.44): "7.4/s", rate(0): "0/s", rate(99.96): "100/s", rate(133): "133/s", rate(123456): "123k/s", rate(1.2e6): "1.2M/s", rate(math.Inf(1)): unknown,
		percent(0): "0 %", percent(0.04): "<0.1 %", percent(3.21): "3.2 %", percent(97.6): "98 %",
		count(99_999): "99999", count(100_000): "100k", count(1 << 63): ">1T",
		clock(35e9): "00:35", clock(3723e9): "1:02:03", clock(-5): "00:00",
		timeLeft(0): unknown, timeLeft(1): "0:01", timeLeft(100e9): "1:40",
		load(record.Load{Users: 1}): "1 user", load(record.Load{Users: 8}): "8 users", load(record.Load{RatePerSecond: 120}): "120/s", load(record.Load{}): unknown,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
