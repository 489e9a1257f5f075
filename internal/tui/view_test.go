package tui

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/exp/golden"
	"pgregory.net/rapid"

	"github.com/captest/captest/internal/record"
)

func TestOverview(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {60, 15}} {
		for name, s := range map[string]*record.Snapshot{"start": start(), "ramp": ramp(), "overload": overload(), "recovery": recovery(), "done": done()} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				golden.RequireEqual(t, screen(s, size[0], size[1], state{}, theme{})+"\n")
			})
		}
	}
}

func TestOtherViews(t *testing.T) {
	for i, v := range views()[1:] {
		t.Run(v.name, func(t *testing.T) {
			golden.RequireEqual(t, screen(overload(), 80, 24, state{view: i + 1}, theme{})+"\n")
		})
	}
	t.Run("help", func(t *testing.T) { golden.RequireEqual(t, screen(ramp(), 80, 24, state{help: true}, theme{})+"\n") })
	t.Run("coloured", func(t *testing.T) {
		golden.RequireEqual(t, screen(overload(), 80, 24, state{}, newTheme(true))+"\n")
	})
	t.Run("finishing", func(t *testing.T) {
		golden.RequireEqual(t, screen(ramp(), 80, 24, state{quitting: true}, theme{})+"\n")
	})
	t.Run("tiny", func(t *testing.T) { golden.RequireEqual(t, screen(ramp(), 30, 4, state{}, theme{})+"\n") })
}

// What an operator steers by must be on the smallest usual window, whole.
func TestOverviewKeepsTheEssentials(t *testing.T) {
	for _, want := range []string{"registration on reference:before", "8 users", "7.4/s", "1.31 s", "none in 203", "event loop busy", "[overview]", "1:40 left", "0:05 left", "q quit", "? help"} {
		if got := screen(ramp(), 80, 24, state{}, theme{}); !strings.Contains(got, want) {
			t.Errorf("80×24 overview lacks %q:\n%s", want, got)
		}
	}
	got := screen(recovery(), 80, 24, state{}, theme{})
	for _, want := range []string{"2 of 4 fail", "register, fresh", "register, kept", "health, fresh", "health, kept", "FAILS"} {
		if !strings.Contains(got, want) {
			t.Errorf("80×24 recovery lacks %q:\n%s", want, got)
		}
	}
}

// Before anything was measured there must not be a single measured-looking zero.
func TestStartShowsUnknown(t *testing.T) {
	for i, v := range views() {
		got := screen(start(), 80, 24, state{view: i}, theme{})
		for _, zero := range []string{"0/s", "0.0", "0 ms", "0 %", "0.00"} {
			if strings.Contains(got, zero) {
				t.Errorf("%s shows %q before anything is known:\n%s", v.name, zero, got)
			}
		}
	}
}

func TestColourOffMeansNoEscapes(t *testing.T) {
	if got := screen(overload(), 120, 40, state{}, newTheme(false)); strings.ContainsRune(got, '\x1b') {
		t.Errorf("escape sequence without colour: %q", got)
	}
	if got := screen(overload(), 120, 40, state{}, newTheme(true)); !strings.ContainsRune(got, '\x1b') {
		t.Error("no style with colour")
	}
}

func TestSaturatedGaugesAreAlwaysShown(t *testing.T) {
	s := ramp()
	s.Gauges = nil
	for i := range 40 {
		s.Gauges = append(s.Gauges, record.Gauge{Service: "user", Name: fmt.Sprintf("gauge %d", i), Value: 1, Max: 10})
	}
	s.Gauges[39] = record.Gauge{Service: "kill-bill", Name: "the full one", Value: 10, Max: 10}
	got := screen(s, 80, 24, state{}, theme{})
	if !strings.Contains(got, "the full one") || !strings.Contains(got, "more under connections") {
		t.Errorf("the gauge at its limit is hidden:\n%s", got)
	}
}

func TestCleanDisarmsForeignText(t *testing.T) {
	for in, want := range map[string]string{
		"plain name":             "plain name",
		"Zürich":                 "Zürich",
		"注册":                     "注册",
		"e\u0301":                "e",
		"a\x1b[31mred\x07":       "a?[31mred?",
		"two\nlines\tand\rtabs":  "two lines and?tabs",
		"rtl\u202eevil\u200d":    "rtl?evil?",
		"rocket 🚀":               "rocket ?",
		"\xff\xfe":               "??",
		"\u00a0hard":             "?hard",
		strings.Repeat("x", 999): strings.Repeat("x", maxName) + "…",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// No snapshot and no window size may panic, overflow the window or let a control character through.
func TestScreenNeverOverflows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		w, h := rapid.IntRange(0, 200).Draw(t, "w"), rapid.IntRange(0, 70).Draw(t, "h")
		if rapid.Bool().Draw(t, "usual size") {
			w, h = max(w, minWidth), max(h, minHeight)
		}
		u := state{
			view: rapid.IntRange(0, len(views())-1).Draw(t, "view"), scale: rapid.IntRange(0, len(scales())-1).Draw(t, "scale"),
			help: rapid.IntRange(0, 9).Draw(t, "help") == 0, quitting: rapid.Bool().Draw(t, "quitting"), note: rapid.SampledFrom([]string{"", "asked for +10 users"}).Draw(t, "note"),
		}
		got := screen(s, w, h, u, theme{})
		rows := strings.Split(got, "\n")
		if got != "" && len(rows) > h {
			t.Fatalf("%d rows in a window of %d", len(rows), h)
		}
		for _, r := range rows {
			if n := lipgloss.Width(r); n > w {
				t.Fatalf("row of %d columns in a window of %d: %q", n, w, r)
			}
			if i := strings.IndexFunc(r, unicode.IsControl); i >= 0 {
				t.Fatalf("control character in %q", r)
			}
		}
	})
}

func drawSnapshot(t *rapid.T) *record.Snapshot {
	if rapid.IntRange(0, 20).Draw(t, "nil") == 0 {
		return nil
	}
	float := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 2000), rapid.SampledFrom([]float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 1e-300}))
	word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "register", "注册注册注册", "\x1b[2J", "🚀🚀", strings.Repeat("long ", 200), "a\u0301\u200d\u202e"}))
	number := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300))
	span := rapid.Map(rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 4e12)), func(n int64) time.Duration { return time.Duration(n) })
	quantiles := rapid.Custom(func(t *rapid.T) record.Quantiles {
		return record.Quantiles{N: number.Draw(t, "n"), MeanMs: float.Draw(t, "mean"), P50Ms: float.Draw(t, "p50"), P90Ms: float.Draw(t, "p90"), P95Ms: float.Draw(t, "p95"), P99Ms: float.Draw(t, "p99"), MaxMs: float.Draw(t, "max")}
	})
	ticks := rapid.Custom(func(t *rapid.T) record.Tick {
		return record.Tick{Goodput: float.Draw(t, "goodput"), Errors: float.Draw(t, "errors"), P50Ms: float.Draw(t, "p50"), P95Ms: float.Draw(t, "p95"), P99Ms: float.Draw(t, "p99"), Phase: word.Draw(t, "phase")}
	})
	gauge := rapid.Custom(func(t *rapid.T) record.Gauge {
		return record.Gauge{Service: word.Draw(t, "service"), Name: word.Draw(t, "name"), Value: float.Draw(t, "value"), Max: float.Draw(t, "max"), Unit: word.Draw(t, "unit"), Stale: rapid.Bool().Draw(t, "stale")}
	})
	probe := rapid.Custom(func(t *rapid.T) record.ProbeNow {
		return record.ProbeNow{Name: word.Draw(t, "probe"), OK: rapid.Bool().Draw(t, "ok"), Ms: float.Draw(t, "ms")}
	})
	step := rapid.Custom(func(t *rapid.T) record.StepNow {
		return record.StepNow{Name: word.Draw(t, "step"), N: number.Draw(t, "n"), OK: number.Draw(t, "ok"), Latency: quantiles.Draw(t, "latency")}
	})
	class := rapid.Custom(func(t *rapid.T) record.Count {
		return record.Count{Name: word.Draw(t, "class"), N: number.Draw(t, "n")}
	})
	s := &record.Snapshot{
		Scenario: word.Draw(t, "scenario"), Target: word.Draw(t, "target"), Profile: word.Draw(t, "profile"),
		Elapsed: span.Draw(t, "elapsed"), Left: span.Draw(t, "left"), Phase: word.Draw(t, "phase"), PhaseNote: word.Draw(t, "note"), PhaseLeft: span.Draw(t, "phase left"),
		Trial: rapid.Int().Draw(t, "trial"), Load: record.Load{Users: rapid.Int().Draw(t, "users"), RatePerSecond: float.Draw(t, "rate")},
		OfferedPerSecond: float.Draw(t, "offered"), GoodputPerSecond: float.Draw(t, "goodput"), ErrorsPerSecond: float.Draw(t, "errors"), InFlight: rapid.Int().Draw(t, "in flight"),
		Latency: quantiles.Draw(t, "latency"), TrialLatency: quantiles.Draw(t, "trial latency"),
		Total: number.Draw(t, "total"), TotalOK: number.Draw(t, "ok"), TotalErrors: number.Draw(t, "failed"), Dropped: number.Draw(t, "dropped"),
		Errors: rapid.SliceOfN(class, 0, 14).Draw(t, "classes"), Steps: rapid.SliceOfN(step, 0, 5).Draw(t, "steps"),
		Connections: record.ConnectionsNow{Open: rapid.Int().Draw(t, "open"), Peak: rapid.Int().Draw(t, "peak"), Opened: number.Draw(t, "opened"), ReusedPercent: float.Draw(t, "reused")},
		Gauges:      rapid.SliceOfN(gauge, 0, 12).Draw(t, "gauges"), Health: rapid.SliceOfN(probe, 0, 6).Draw(t, "probes"),
		LagP99Ms: float.Draw(t, "lag"), GeneratorCPUPercent: float.Draw(t, "cpu"),
		Warnings: rapid.SliceOfN(word, 0, 4).Draw(t, "warnings"), Done: rapid.Bool().Draw(t, "done"),
	}
	// A few drawn ticks, repeated: long histories without long draws.
	if some := rapid.SliceOfN(ticks, 0, 6).Draw(t, "ticks"); len(some) > 0 {
		for len(s.History) < rapid.SampledFrom([]int{1, 7, 90, 600}).Draw(t, "seconds") {
			s.History = append(s.History, some...)
		}
	}
	return s
}

// That a load is held must be seen on every size: everything else stands still.
func TestHeldIsShown(t *testing.T) {
	s := ramp()
	s.Held = true
	s.History[len(s.History)-1].Phase, s.History[len(s.History)-2].Phase = record.PhaseHeld, record.PhaseHeld
	for _, size := range [][2]int{{80, 24}, {120, 40}, {60, 15}} {
		for v := range views() {
			if got := screen(s, size[0], size[1], state{view: v}, theme{}); !strings.Contains(got, "HELD") {
				t.Errorf("%v, view %d does not say so:\n%s", size, v, got)
			}
		}
	}
	if got, whole := inPhase(s), inPhase(ramp()); got != whole-2*time.Second {
		t.Errorf("%v in the phase, want %v without the two seconds of the hold", got, whole)
	}
}
