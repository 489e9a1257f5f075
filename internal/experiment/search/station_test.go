package search

import (
	"math"
	"strings"
	"testing"
)

// TestStationHolds compares the formulas with the one queue whose response times are known exactly: an exponential server whose arrivals are
// even, of which P(R > t) = exp(−μ(1 − σ)t) with σ = exp(−(1 − σ)/ρ). The station's skewness is not the exponential's, so some per cent are left.
func TestStationHolds(t *testing.T) {
	t.Parallel()
	s := station{perSecond: 20, servers: 1, c2: 1, meanS: 0.05}
	for rho, within := range map[float64]float64{0.7: 0.12, 0.8: 0.04, 0.9: 0.02, 0.95: 0.02, 0.98: 0.01} { // they are for heavy traffic
		sigma := 0.5
		for range 1000 {
			sigma = math.Exp(-(1 - sigma) / rho)
		}
		p95 := -math.Log(0.05) / (20 * (1 - sigma))
		if got := s.holds(0.95, p95, 0); math.Abs(got/rho-1) > within {
			t.Errorf("p95 of %.3g s is held up to a utilisation of %.3f, exactly %.3f", p95, got, rho)
		}
	}
	if slotted, poisson := s.holds(0.95, 0.75, 0), s.holds(0.95, 0.75, 1); poisson >= slotted {
		t.Errorf("Poisson arrivals hold %.3f, even ones %.3f", poisson, slotted)
	}
	if got := s.holds(0.95, 0.01, 0); got > 0.02 {
		t.Errorf("a limit that no single user meets is held up to %.3f", got)
	}
}

// playUneven plays a quick search of a target of 20/s whose work varies as much as exponential work does.
func playUneven(p Plan, change func(Action, *Window)) ([]Trial, Action) {
	return play(p, 20, 0.05, func(a Action, w *Window) {
		if a.Kind == Closed {
			w.SDMs, w.P95Ms = w.MeanMs, 3*w.MeanMs
		}
		if change != nil {
			change(a, w)
		}
	}, nil)
}

func TestForesight(t *testing.T) {
	t.Parallel()
	opened, closed := 0, 0
	for name, c := range map[string]struct {
		plan    Plan
		change  func(Action, *Window)
		none    bool
		against string
	}{
		"a queue":                  {},
		"a limit on p95":           {plan: Plan{Limits: []string{"p95<600ms"}, Latency: []Percentile{{0.95, 600}}}},
		"a limit on no percentile": {plan: Plan{Limits: []string{"mean<600ms"}}, none: true},
		"throughput that falls with users": {change: func(a Action, w *Window) {
			if a.Users > 8 {
				w.OK *= 0.8
				w.Completed *= 0.8
			}
		}, against: "fell"},
		"answers that turn away": {change: func(a Action, w *Window) {
			if a.Users > 2 {
				w.OK *= 0.9
			}
		}, none: true},
		"an error of captest's own making": {change: func(a Action, w *Window) {
			if a.PerSecond > 22 {
				w.Dropped = 40
			}
		}},
		"a person who goes on after the first open load": {change: func(a Action, w *Window) {
			if opened++; a.Kind == Open && opened > closed+1 {
				w.Ended, w.Skipped = "next phase asked for", true
			}
			if a.Kind == Closed {
				closed++
			}
		}, against: "no open load"},
		"journeys of two requests": {change: func(_ Action, w *Window) { w.MeanMs /= 2 }, none: true},
		"open loads that hold half of it": {change: func(a Action, w *Window) {
			if a.PerSecond > 10 {
				w.Broken = []string{"p95<1s: 2 s"}
			}
		}, against: "open loads"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trials, _ := playUneven(c.plan, c.change)
			a := c.plan.Answer(trials)
			switch f := a.Foreseen; {
			case c.none != (f == nil):
				t.Fatalf("foreseen %+v", f)
			case f == nil:
				return
			case math.Abs(f.Busy-20) > 0.1 && c.against == "" || f.PerSecond >= f.Busy || f.Percent <= 0:
				t.Errorf("%+v of a target of 20/s", f)
			case (c.against == "") != (f.Against == "") || !strings.Contains(f.Against, c.against):
				t.Errorf("against it: %q, want %q", f.Against, c.against)
			case f.Against == "" && !(a.Confirmed < f.PerSecond && f.PerSecond < a.Refuted):
				t.Errorf("%.3g to %.3g does not hold %.3g", a.Confirmed, a.Refuted, f.PerSecond)
			case f.Against != "" && (a.Refuted < f.PerSecond*0.99 || a.Confirmed > a.Lower):
				t.Errorf("%.3g to %.3g leaves out what one of the two says: %+v, held %.3g", a.Confirmed, a.Refuted, f, a.Lower)
			}
			if !strings.Contains(a.Note, "queue") {
				t.Errorf("note %q", a.Note)
			}
		})
	}
}

// TestBusyLevels: an uneven target is kept busy twice, for longer than the ramp, before the open loads and right before the confirmation; an
// even one is not.
func TestBusyLevels(t *testing.T) {
	t.Parallel()
	trials, last := playUneven(Plan{}, nil)
	var at []int
	opened, confirmed := 0, 0
	for i := range trials {
		switch a := &trials[i].Action; {
		case a.Phase == PhaseLevel && a.Users > 1 && a.Measured > paces[Quick].levelMax:
			at = append(at, i)
		case a.Phase == PhaseConfirm && confirmed == 0:
			confirmed = i
		case a.Kind == Open && opened == 0:
			opened = i
		}
	}
	if last.Kind != Break || len(at) != 2 || at[0] > opened || at[1] != confirmed-1 {
		t.Errorf("busy levels at %v of %d trials, open loads from %d, confirmed at %d", at, len(trials), opened, confirmed)
	}
	load := 0.0
	for i := range trials {
		load += trials[i].Action.cost()
	}
	if _, most := Quick.Longest(); load > most {
		t.Errorf("%.0f s of load, of %.0f", load, most)
	}
	// One that a person skips, or that captest spoils, is not asked for again once open loads have begun, and the search goes on.
	for name, spoil := range map[string]func(*Window){
		"skipped": func(w *Window) { w.Ended, w.Skipped = "next phase asked for", true },
		"spoilt":  func(w *Window) { w.Stalled = 2 },
	} {
		opens := false
		trials, last := playUneven(Plan{}, func(a Action, w *Window) {
			if opens = opens || a.Kind == Open; opens && a.Kind == Closed {
				spoil(w)
			}
		})
		n := 0
		for i := range trials {
			if trials[i].Verdict.Outcome == Invalid {
				n++
			}
		}
		if n != 1 || last.Why != "the lower bound is confirmed" {
			t.Errorf("%s: %d invalid trials, ended because %q", name, n, last.Why)
		}
	}
	skipped, last := playUneven(Plan{}, func(a Action, w *Window) {
		if a.Phase == PhaseLevel {
			w.Ended, w.Skipped = "next phase asked for", true
		}
	})
	if len(skipped) > 30 || last.Kind != Break {
		t.Errorf("%d trials of a person who skips every level, then %+v", len(skipped), last)
	}
	even, _ := play(Plan{}, 20, 0.05, nil, nil)
	for i := range even {
		if a := even[i].Action; a.Kind == Closed && a.Measured > paces[Quick].levelMax {
			t.Errorf("an even target is kept busy: %+v", a)
		}
	}
	if a := (Plan{}).Answer(even); a.Foreseen != nil {
		t.Errorf("and foreseen: %+v", a.Foreseen)
	}
}

func TestRegressionFalls(t *testing.T) {
	t.Parallel()
	of := func(y ...float64) *regression {
		var r regression
		for i, v := range y {
			r.add(float64(i), v, 100)
		}
		return &r
	}
	// Over x = 0, 1, 2 with weights of 100 the slope's deviation is sd/√200.
	if r := of(1, 0.9, 0.8); !r.falls(1) || r.falls(1.5) {
		t.Error("a slope of −0.1 is 1.41 deviations")
	}
	if of(1, 1.1, 1.2).falls(0.01) || of(1).falls(0) || new(regression).falls(1) {
		t.Error("falls although it rises, or has one point, or none")
	}
}
