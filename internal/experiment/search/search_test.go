package search

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// steadyWindow of an action on a target of top per second whose single request takes r seconds: nothing random.
func steadyWindow(a Action, top, r float64) Window {
	w := Window{Seconds: a.Measured}
	x, offered := 0.0, 0.0
	if a.Kind == Closed {
		x = min(float64(a.Users)/r, top)
		offered = x
		w.MeanMs = 1000 * float64(a.Users) / x
	} else {
		offered = a.PerSecond
		x = min(offered, top)
		w.MeanMs = 1000 * r
	}
	w.Offered, w.Completed, w.OK = offered*w.Seconds, x*w.Seconds, x*w.Seconds
	w.P95Ms, w.P50Ms = w.MeanMs, w.MeanMs
	for i := range int(w.Seconds / BinSeconds) {
		w.Bins = append(w.Bins, Bin{Completed: x * BinSeconds, OK: x * BinSeconds, MeanMs: w.MeanMs, InFlight: (offered - x) * float64(i+1) * BinSeconds})
	}
	return w
}

// play runs a plan against a deterministic target until stop says so or the search ends.
func play(p Plan, top, r float64, change func(a Action, w *Window), stop func(Action) bool) (trials []Trial, last Action) {
	for range 200 {
		a := p.Next(trials)
		if stop != nil && stop(a) {
			return trials, a
		}
		switch a.Kind {
		case Closed, Open:
			w := steadyWindow(a, top, r)
			if change != nil {
				change(a, &w)
			}
			trials = append(trials, p.Judge(trials, a, w))
		case Drain:
			trials[len(trials)-1].Drain = Dry
		default:
			return trials, a
		}
	}
	panic("a search without an end")
}

func TestSearchOfASteadyTarget(t *testing.T) {
	t.Parallel()
	for _, e := range []Effort{Quick, Standard, Thorough, ""} {
		p := Plan{Effort: e}
		trials, last := play(p, 9, 0.3, nil, nil)
		a := p.Answer(trials)
		if last.Kind != Break || !a.IsConfirmed || a.Confirmed > 9 || a.Refuted < 9 {
			t.Errorf("%s: ended with %+v, answer %+v", e, last, a)
		}
		if a.Users != 10 && a.Users < 8 || math.Abs(a.Knee-2.7) > 0.01 || a.Best != 9 {
			t.Errorf("%s: users %d knee %v best %v, want all levels within, 2.7 and 9", e, a.Users, a.Knee, a.Best)
		}
		if a.MeanMs != 300 {
			t.Errorf("%s: %v ms at the lower bound, want 300", e, a.MeanMs)
		}
		levels := map[int]bool{}
		for i := range trials {
			levels[trials[i].Action.Users] = true
		}
		if !levels[1] || !levels[10] {
			t.Errorf("%s: one user and ten are always measured: %v", e, levels)
		}
		if !strings.Contains(a.Method, "stability capacity") || !strings.Contains(a.Method, "within-run") {
			t.Errorf("%s: method %q", e, a.Method)
		}
		trials = append(trials, Trial{Action: Action{Kind: Closed, Phase: PhaseOverload}})
		if next := p.Next(trials); next.Kind != Done {
			t.Errorf("%s: after the overload comes %+v", e, next)
		}
	}
}

func TestInvalidIsTriedTwice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(*Window)
		reason string
	}{
		{"started too few", func(w *Window) { w.Offered *= 0.9 }, "began"},
		{"late", func(w *Window) { w.LagP99Ms = 40 }, "late"},
		{"its own CPU", func(w *Window) { w.CPU = 0.81 }, "of its cores"},
		{"its own descriptors", func(w *Window) { w.LocalErrors = 1 }, "descriptors"},
		{"stood still", func(w *Window) { w.Stalled = 1.2 }, "stood still"},
		{"its own connections", func(w *Window) { w.ConnWaitMs = 50 }, "connection of captest"},
	}
	for _, tt := range tests {
		p := Plan{}
		n := 0
		spoil := func(a Action, w *Window) {
			if a.Kind == Open {
				n++
				tt.spoil(w)
			}
		}
		trials, last := play(p, 9, 0.3, spoil, nil)
		a := p.Answer(trials)
		if n != 2 || last.Kind != Break || a.GeneratorLimit == "" || !strings.Contains(a.Note, "generator limit at ") {
			t.Errorf("%s: %d open trials, then %+v, note %q", tt.name, n, last, a.Note)
		}
		if r := trials[len(trials)-1].Verdict; r.Outcome != Invalid || !strings.Contains(r.Reasons[0], tt.reason) {
			t.Errorf("%s: %+v", tt.name, r)
		}
		if a.Upper != 0 {
			t.Errorf("%s: a generator's limit refuted %v", tt.name, a.Upper)
		}
		once := false
		_, last = play(p, 9, 0.3, func(a Action, w *Window) {
			if a.Kind == Open && !once {
				once = true
				tt.spoil(w)
			}
		}, nil)
		if last.Why != "the lower bound is confirmed" {
			t.Errorf("%s once: ended because %q", tt.name, last.Why)
		}
	}
}

func TestLagAllowance(t *testing.T) {
	t.Parallel()
	p := Plan{Limits: []string{"p95<200ms"}}
	a := Action{Kind: Open, PerSecond: 5, Measured: 10}
	for lag, want := range map[float64]Outcome{3.9: Pass, 4.1: Invalid} { // 2 % of 200 ms
		w := steadyWindow(a, 9, 0.1)
		w.AllowedMs, w.LagP99Ms = 200, lag
		if got := p.Judge(nil, a, w).Verdict.Outcome; got != want {
			t.Errorf("lag of %v ms: %s, want %s", lag, got, want)
		}
	}
}

func TestEveryFailureIsFollowedByADrainCheck(t *testing.T) {
	t.Parallel()
	p := Plan{}
	trials, drain := play(p, 9, 0.3, nil, func(a Action) bool { return a.Kind == Drain })
	if drain.Kind != Drain || trials[len(trials)-1].Verdict.Outcome != Fail {
		t.Fatalf("%+v after %+v", drain, trials[len(trials)-1].Verdict)
	}
	trials[len(trials)-1].Drain = Wounded
	if next := p.Next(trials); next.Kind != Recover {
		t.Errorf("on a wounded target the search goes on with %+v", next)
	}
	trials[len(trials)-1].Drain = Dry
	if next := p.Next(trials); next.Kind != Open {
		t.Errorf("after a dry target comes %+v", next)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	base := Plan{}
	one := Action{Kind: Closed, Phase: PhaseBaseline, Users: 1, Measured: 10}
	before := []Trial{base.Judge(nil, one, steadyWindow(one, 9, 0.3))}
	open := Action{Kind: Open, Phase: PhaseClassify, PerSecond: 8, Measured: 20}
	tests := []struct {
		name   string
		phase  string
		change func(*Window)
		want   string // "" passes
	}{
		{"steady", PhaseClassify, func(*Window) {}, ""},
		{"errors", PhaseClassify, func(w *Window) { w.OK -= 4 }, "errors<1%"},
		{"one error of 160 is no per cent", PhaseClassify, func(w *Window) { w.OK-- }, ""},
		{"a limit", PhaseClassify, func(w *Window) { w.Broken = []string{"p95<1s: 2 s"} }, "p95<1s"},
		{"slower than five times one user", PhaseClassify, func(w *Window) { w.P95Ms = 1600 }, "5 times"},
		{"dropped arrivals", PhaseClassify, func(w *Window) { w.Dropped = 1 }, "too many in flight"},
		{"a growing backlog", PhaseClassify, func(w *Window) {
			for i := range w.Bins {
				w.Bins[i].InFlight = float64(i) * 0.1
			}
		}, "more in flight at the end"},
		{"a stall at the end", PhaseClassify, func(w *Window) { w.Completed -= 30; w.OK = w.Completed }, "of the arrivals completed"},
		{"nothing", PhaseClassify, func(w *Window) { w.Completed, w.OK = 0, 0 }, "nothing completed"},
		{"response times that creep up", PhaseConfirm, func(w *Window) {
			for i := range w.Bins {
				w.Bins[i].MeanMs = 300 + float64(i)
			}
		}, "not steady"},
		{"the same before the confirmation", PhaseClassify, func(w *Window) {
			for i := range w.Bins {
				w.Bins[i].MeanMs = 300 + float64(i)
			}
		}, ""},
	}
	for _, tt := range tests {
		open.Phase = tt.phase
		w := steadyWindow(open, 9, 0.3)
		tt.change(&w)
		v := base.Judge(before, open, w).Verdict
		got := strings.Join(v.Reasons, "; ")
		if (tt.want == "") != (v.Outcome == Pass) || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s %q, want %q", tt.name, v.Outcome, got, tt.want)
		}
	}
}

// TestClassing holds RFC 9971's logic on one load: two that agree decide, a third breaks a tie.
func TestClassing(t *testing.T) {
	t.Parallel()
	full := paces[Quick].full
	at := func(o Outcome) Trial {
		x := openTrial(8, 0.05, o)
		x.Window.Seconds = full
		return x
	}
	tests := []struct {
		name         string
		trials       []Trial
		lower, upper bool
	}{
		{"one pass is not enough", []Trial{at(Pass)}, false, false},
		{"two passes", []Trial{at(Pass), at(Pass)}, true, false},
		{"two failures", []Trial{at(Fail), at(Fail)}, false, true},
		{"a tie", []Trial{at(Pass), at(Fail)}, false, false},
		{"broken for it", []Trial{at(Pass), at(Fail), at(Pass)}, true, false},
		{"broken against it", []Trial{at(Pass), at(Fail), at(Fail)}, false, true},
		{"an invalid one counts for nothing", []Trial{at(Pass), at(Invalid)}, false, false},
	}
	for _, tt := range tests {
		e := Plan{}.view(tt.trials).evidence()
		if len(e) != 1 || e[0].lower != tt.lower || e[0].upper != tt.upper {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
}

// TestLossInversion: a load that does not hold bounds from above whatever larger loads did.
func TestLossInversion(t *testing.T) {
	t.Parallel()
	v := Plan{}.view([]Trial{
		openTrial(7, 0.05, Pass), openTrial(8, 0.05, Fail), openTrial(9, 0.05, Pass), openTrial(10, 0.05, Fail),
	})
	for _, tr := range v.opens {
		tr.Window.Seconds = 6
	}
	b := v.bounds(v.evidence())
	if b.lo == nil || b.hi == nil || b.lo.load != 7 || b.hi.load != 8 {
		t.Errorf("bounds %+v %+v, want 7 and 8", b.lo, b.hi)
	}
}

func TestFailedConfirmationLowersTheBound(t *testing.T) {
	t.Parallel()
	p := Plan{Effort: Standard}
	failed := 0.0
	trials, _ := play(p, 9, 0.3, func(a Action, w *Window) {
		if a.Phase == PhaseConfirm && failed == 0 {
			failed = a.PerSecond
			w.Broken = []string{"p95<1s: 2 s"}
		}
	}, nil)
	a := p.Answer(trials)
	if a.Upper != failed || a.Lower >= failed || !a.IsConfirmed {
		t.Errorf("after a confirmation failed at %v: %+v", failed, a)
	}
}

func TestNothingEverCompletes(t *testing.T) {
	t.Parallel()
	p := Plan{}
	trials, last := play(p, 9, 0.3, func(_ Action, w *Window) { w.Completed, w.OK = 0, 0 }, nil)
	if a := p.Answer(trials); last.Kind != Break || a.Confirmed != 0 || a.Refuted != 0 || !strings.Contains(a.Note, "no level completed anything") {
		t.Errorf("%+v %+v", last, p.Answer(trials))
	}
	if a := p.Answer(nil); a.Confirmed != 0 || a.Refuted != 0 || a.Credible != nil {
		t.Errorf("an answer out of nothing: %+v", a)
	}
}

func TestSkipping(t *testing.T) {
	t.Parallel()
	p := Plan{}
	skip := func(phase string) func(Action, *Window) {
		return func(a Action, w *Window) {
			if a.Phase == phase && a.Users != 1 {
				w.Ended, w.Skipped = "next phase asked for", true
			}
		}
	}
	trials, last := play(p, 9, 0.3, skip(PhaseRamp), nil)
	if n := len(trials); last.Kind != Break || n < 4 || trials[2].Action.Users != 10 {
		t.Errorf("a skipped ramp: %d trials, %+v", n, last)
	}
	if _, last := play(p, 9, 0.3, skip(PhaseClassify), nil); last.Why != "a person ended the search" {
		t.Errorf("a skipped open trial: %+v", last)
	}
}

// TestSearchAlwaysEnds drives a search with verdicts that follow nothing: it ends within its time, asks for loads that
// exist, and never says what it does not know.
func TestSearchAlwaysEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{Effort: rapid.SampledFrom([]Effort{Quick, Standard, Thorough, "none"}).Draw(t, "effort"), TimeoutS: rapid.SampledFrom([]float64{0, 30}).Draw(t, "timeout")}
		top := math.Pow(10, rapid.Float64Range(-2, 5).Draw(t, "top"))
		r := math.Pow(10, rapid.Float64Range(-4, 1).Draw(t, "r"))
		load, levels := 0.0, 0.0
		trials, _ := play(p, top, r, func(a Action, w *Window) {
			if !(a.Measured > 0) || !(a.Warm >= 0) || a.Kind == Open && !(a.PerSecond > 0 && a.PerSecond < 1e9) {
				t.Fatalf("action %+v", a)
			}
			w.Bins = nil
			load += a.cost()
			if a.Kind == Closed {
				levels += a.cost()
			}
			switch rapid.IntRange(0, 9).Draw(t, "fate") {
			case 0, 1, 2:
				w.Broken = []string{"p95<1s"}
			case 3:
				w.CPU = 1
			case 4:
				*w = Window{Seconds: w.Seconds}
			}
		}, nil)
		if budget := p.pace().budget; load > 1.001*overrun*budget && load > 1.01*levels {
			t.Fatalf("%.0f s of load, %.0f of them closed, of %.0f", load, levels, budget)
		}
		a := p.Answer(trials)
		if a.Confirmed < 0 || a.Refuted < 0 || a.Confirmed > 0 && a.Refuted > 0 && a.Confirmed >= a.Refuted || math.IsNaN(a.Confirmed+a.Refuted+a.Width) {
			t.Fatalf("answer %+v", a)
		}
		if left := p.Remaining(trials); left < 0 || math.IsNaN(left) || math.IsInf(left, 0) {
			t.Fatalf("%v s left", left)
		}
	})
}

// A journey of three requests of 0.1 s each: three users are as many as ten journeys a second can have at work.
func TestKneeCountsJourneys(t *testing.T) {
	t.Parallel()
	level := func(users int, perSecond float64) Trial {
		w := Window{Seconds: 10, Completed: 10 * perSecond, OK: 10 * perSecond, MeanMs: 100} // of a request
		return Trial{Action: Action{Kind: Closed, Phase: PhaseRamp, Users: users}, Window: w, Verdict: Verdict{Outcome: Pass}}
	}
	one := level(1, 1/0.3)
	one.Action.Phase = PhaseBaseline
	if n, ok := Knee([]Trial{one, level(2, 6), level(4, 10)}); !ok || math.Abs(n-3) > 0.01 {
		t.Errorf("knee of %v users, want 3", n)
	}
}

// TestScatterOfACollapse: goodputs that fall a long way from level to level (retrograde scaling) make every small s so unlikely that
// its likelihood is no number any more. The weights stay numbers, and the interval stays around the loads that were tried.
func TestScatterOfACollapse(t *testing.T) {
	t.Parallel()
	p := Plan{Effort: Standard}
	var trials []Trial
	level := func(users int, perSecond float64) {
		a := Action{Kind: Closed, Phase: PhaseRamp, Users: users}
		w := Window{Seconds: 30, Offered: 30 * perSecond, Completed: 30 * perSecond, OK: 30 * perSecond, MeanMs: 1000 * float64(users) / perSecond}
		trials = append(trials, p.Judge(trials, a, w))
	}
	level(1, 10)
	level(8, 76)
	level(16, 120)
	level(32, 125)
	level(64, 12)
	open := func(phase string, perSecond float64, outcome Outcome) {
		trials = append(trials, Trial{
			Action: Action{Kind: Open, Phase: phase, PerSecond: perSecond}, Window: Window{Seconds: 30, Offered: 30 * perSecond},
			Verdict: Verdict{Outcome: outcome, Resolution: 0.01}, Drain: Dry,
		})
	}
	for range 3 {
		open(PhaseClassify, 110, Pass)
		open(PhaseClassify, 115, Fail)
	}
	for i, w := range p.view(trials).scatter() {
		if math.IsNaN(w) || w < 0 || w > 1 {
			t.Errorf("weight of s = %v is %v", spreads[i], w)
		}
	}
	if a := p.Answer(trials); a.Confirmed < 0.9*110 || a.Refuted > 1.1*115 {
		t.Errorf("%v to %v for loads of 110 that held and 115 that did not", a.Confirmed, a.Refuted)
	}
}
