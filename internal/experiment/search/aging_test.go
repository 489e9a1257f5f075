package search

import (
	"math"
	"strings"
	"testing"
)

// TestLineOf: a target of which each second takes 0.02 % more of an answer's time, and each request inside 1 %, is told apart from one of which only one of the two is so.
func TestLineOf(t *testing.T) {
	t.Parallel()
	at := func(ago, inside, slower, crowded float64) saturated {
		perAnswer := 0.1 * (1 + slower*(300-ago) + crowded*(inside-10))
		return saturated{ago: ago, seconds: 400 * perAnswer, answers: 400, inside: inside}
	}
	for name, c := range map[string]struct{ slower, crowded float64 }{
		"steady": {}, "ages": {slower: 2e-4}, "crowded": {crowded: 0.01}, "both": {2e-4, 0.01}, "gets faster": {slower: -1e-4},
	} {
		var all []saturated
		for i, inside := range []float64{4, 8, 16, 12, 9, 14} {
			all = append(all, at(600-120*float64(i), inside, c.slower, c.crowded))
		}
		l := lineOf(all, 0.09)
		slope, sd := l.byTime, l.byTimeSD
		// Relative to the mean, which is some per cent above the first; sd is that of c² = 0.09 over 2,400 answers spread over ten minutes.
		if math.Abs(slope-c.slower) > 0.1*math.Abs(c.slower)+1e-6 || sd < 2e-5 || sd > 6e-5 {
			t.Errorf("%s: slope %.3g ± %.3g a second, want %.3g", name, slope, sd, c.slower)
		}
		if math.Abs(l.byInside-c.crowded) > 0.1*c.crowded+5e-4 || l.byInsideSD <= 0 {
			t.Errorf("%s: %.3g ± %.3g for each request inside, want %.3g", name, l.byInside, l.byInsideSD, c.crowded)
		}
	}
	if l := lineOf([]saturated{at(10, 4, 0, 0), at(10, 4, 0, 0), at(10, 4, 0, 0)}, 0.09); l.byTimeSD != 0 || l.byInsideSD != 0 {
		t.Errorf("one moment has slopes: %+v", l)
	}
	if l := lineOf(nil, 0.09); l.byTimeSD != 0 || l.byInside != 0 {
		t.Errorf("of nothing: %+v", l)
	}
}

func TestSaturatedBins(t *testing.T) {
	t.Parallel()
	var w Window
	for _, inside := range []float64{0, 5, 6, 7, 8, 2, 9, 9, 9} {
		w.Bins = append(w.Bins, Bin{InFlight: inside, OK: 1 + inside})
	}
	// From 5 on: bins begin with 5, 6, 7, 8 and later with 9, 9; the first of each run is left out.
	s := w.saturated(5, 1)
	if want := (saturated{seconds: 4 * BinSeconds, answers: 8 + 9 + 3 + 10, inside: (6 + 7 + 8 + 9) / 4.}); math.Abs(s.seconds-want.seconds) > 1e-9 || s.answers != want.answers || math.Abs(s.inside-want.inside) > 1e-9 {
		t.Errorf("%+v, want %+v", s, want)
	}
	if s := w.saturated(10, 1); s.answers != 0 || s.inside != 0 {
		t.Errorf("never so many inside: %+v", s)
	}
}

// TestAging: of a target that loses a fifth in ten minutes the interval is that of the search's end, and the note says so; a steady one is not
// said to age, nor is one that turns requests away.
func TestAging(t *testing.T) {
	t.Parallel()
	p := Plan{Effort: Standard}
	told := 0
	for seed := range uint64(10) {
		f := seek(p, queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, drift: 4e-4}, nil, seed)
		a := f.answer
		if a.Confirmed > 1.02*8.9/f.truth {
			t.Errorf("seed %d: %.3g to %.3g at the end, when it holds %.3g", seed, a.Confirmed, a.Refuted, 8.9/f.truth)
		}
		lost := 100 * (1 - 1/f.truth)
		if g := a.Aging; g != nil {
			told++
			if math.Abs(g.Percent-lost) > lost/2 || a.Collapse != nil || !strings.Contains(a.Note, "got slower") {
				t.Errorf("seed %d: %+v of 11 %% in ten minutes, note %q", seed, g, a.Note)
			}
		}
	}
	if told < 7 {
		t.Errorf("%d of 10 searches say that it ages", told)
	}
	steady := seek(p, queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3}, nil, 1)
	limited := seek(p, queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.3, room: 12, drift: 2e-4}, nil, 1)
	for _, a := range []Answer{steady.answer, limited.answer} {
		if a.Aging != nil {
			t.Errorf("said to age: %+v", a.Aging)
		}
	}
	v := p.view(steady.trials)
	if last := &steady.trials[len(steady.trials)-1]; v.ago[last] != 0 || math.Abs(v.ago[&steady.trials[0]]-steady.took) > 0.12*steady.took {
		t.Errorf("the last trial was %v s ago, the first %v of %v", v.ago[last], v.ago[&steady.trials[0]], steady.took)
	}
}
