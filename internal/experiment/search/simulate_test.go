package search

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// found is one simulated search.
type found struct {
	answer   Answer
	truth    float64
	load     float64 // seconds of load
	took     float64 // seconds of everything
	handover Kind
	trials   []Trial
	guesses  []guess
}

type guess struct{ said, elapsed float64 }

// seek runs a whole search against a queue in virtual time.
func seek(p Plan, q queue, limits []limit, seed uint64) found {
	q.start(seed)
	var f found
	var middle queue // of the last trial, which confirms
	p.QuietMs = 1000 * (q.mean + q.delay)
	for _, l := range limits {
		if l.p95Ms > 0 {
			p.Latency = append(p.Latency, Percentile{Quantile: 0.95, LimitMs: l.p95Ms})
		}
	}
	for {
		if seed%10 == 0 {
			f.guesses = append(f.guesses, guess{p.Remaining(f.trials), f.took})
		}
		a := p.Next(f.trials)
		switch a.Kind {
		case Closed, Open:
			before := q
			w := q.hold(a, limits)
			f.load += a.cost()
			middle.served, middle.now = (before.served+q.served)/2, (before.now+q.now)/2
			f.took += a.Cooldown + a.cost()
			f.trials = append(f.trials, p.Judge(f.trials, a, w))
		case Drain:
			// hold has run the queue dry; the wait for it was at most q.now − the load's end.
			q.now += 1
			f.took += 1.5
			f.trials[len(f.trials)-1].Drain = Dry
		default:
			f.handover = a.Kind
			f.answer = p.Answer(f.trials)
			f.truth = 0
			if q.leak > 0 || q.drift > 0 {
				f.truth = (1 + q.leak*middle.served) * (1 + q.drift*middle.now) // capacity is the fresh one divided by this
			}
			return f
		}
		if len(f.trials) > 200 {
			panic("a search without an end")
		}
	}
}

// shownToo is in the time left that a person sees: the overload and the recovery of a target that heals, in s, at least.
var shownToo = map[Effort]float64{Quick: 27, Standard: 75, Thorough: 105}

type simulation struct {
	name   string
	effort Effort
	queue  queue
	limits []limit
	plan   []string // limit expressions, for the plan
	n      int
	truth  func() float64
	wider  bool // half of the intervals are wider than promised: docs/search.md says why
}

func simulations() []simulation {
	p95 := func(ms float64) []limit { return []limit{{p95Ms: ms}, {errors: 0.01}} }
	slo := []string{"p95", "errors<1%"}
	base := []simulation{
		{name: "1 server, deterministic", queue: queue{servers: 1, mean: 0.11}},
		{name: "1 server, c=0.1", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.1}},
		{name: "1 server, c=0.3", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3}},
		{name: "4 servers, c=0.3", queue: queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.3}},
		{name: "1 server, c=0.6", queue: queue{servers: 1, mean: 0.05, shape: "lognormal", cv: 0.6}},
		{name: "1 server, c=0.7", queue: queue{servers: 1, mean: 0.05, shape: "lognormal", cv: 0.7}},
		{name: "1 server, exponential", queue: queue{servers: 1, mean: 0.05, shape: "exponential"}},
		{name: "1 server, log-normal c=1", queue: queue{servers: 1, mean: 0.05, shape: "lognormal", cv: 1}},
		{name: "4 servers, exponential", queue: queue{servers: 4, mean: 0.1, shape: "exponential"}},
		{name: "c=0.3, p95 limit", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3}, limits: p95(600), plan: slo},
		{name: "4 servers, exponential, p95 limit", queue: queue{servers: 4, mean: 0.1, shape: "exponential"}, limits: p95(600), plan: slo},
		{
			name:  "hashing before a delay, p95 limit", // the bundled services
			queue: queue{servers: 2, mean: 0.2, shape: "lognormal", cv: 0.15, delay: 0.2, epoch: 0.03}, limits: p95(1000), plan: slo,
		},
		{name: "slow start", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, slow: 1, slowFor: 40}},
		{name: "noisy neighbour, 3 %", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, epoch: 0.03}},
		{name: "drift, 6 %/10 min", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, drift: 1e-4}},
		{name: "leak, 1 %/1000 requests", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, leak: 1e-5}},
		{name: "leak, 2 %/1000 requests", queue: queue{servers: 1, mean: 0.11, shape: "lognormal", cv: 0.3, leak: 2e-5}},
		{name: "retrograde", queue: queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.3, inflate: 0.02}},
		{name: "503 beyond 12 inside", queue: queue{servers: 4, mean: 0.25, shape: "lognormal", cv: 0.3, room: 12}},
		{name: "503 beyond 8/s", queue: queue{servers: 4, mean: 0.2, shape: "lognormal", cv: 0.3, tokens: 8}},
		{name: "exponential, drift, 6 %/10 min", queue: queue{servers: 4, mean: 0.1, shape: "exponential", drift: 1e-4}},
		{name: "c=0.6, retrograde", queue: queue{servers: 4, mean: 0.1, shape: "lognormal", cv: 0.6, inflate: 0.02}, wider: true},
		{name: "exponential, retrograde", queue: queue{servers: 4, mean: 0.1, shape: "exponential", inflate: 0.02}, wider: true},
	}
	return base
}

// tally of many searches.
type tally struct {
	foreseen                                      int // whose foresight counted
	n, covered, over, unknown, unconfirmed, noisy int
	aging, collapse                               int // said to age, or to collapse
	claimed                                       int // confirmed at a load that no confirmation was made at
	widths, promises, loads, guesses              []float64
	truth                                         float64
}

func (s simulation) run() tally {
	t := tally{n: s.n, truth: s.truth()}
	for seed := range s.n {
		f := seek(Plan{Effort: s.effort, Limits: s.plan}, s.queue, s.limits, uint64(seed+1)*7)
		c := t.truth
		if f.truth > 0 {
			c /= f.truth
		}
		a := f.answer
		if a.Confirmed <= 0 || a.Refuted <= 0 {
			t.unknown++
		} else {
			t.widths = append(t.widths, a.Width)
			if a.Confirmed <= c*1.002 && a.Refuted >= c*0.998 {
				t.covered++
			}
		}
		if a.Foreseen.Counts() {
			t.foreseen++
		}
		if a.Aging != nil {
			t.aging++
		}
		if a.Collapse != nil {
			t.collapse++
		}
		if a.Confirmed > 1.05*c {
			t.over++
		}
		if !a.IsConfirmed {
			t.unconfirmed++
		} else if !slices.ContainsFunc(f.trials, func(x Trial) bool {
			return x.Action.Phase == PhaseConfirm && x.Verdict.Outcome == Pass && sameLoad(x.Action.PerSecond, a.Lower)
		}) {
			t.claimed++
		}
		if a.Credible != nil && a.Credible.Noisy() {
			t.noisy++
		}
		t.promises = append(t.promises, a.Planned)
		t.loads = append(t.loads, f.load)
		for _, g := range f.guesses {
			if left := f.took - g.elapsed; left > 0 {
				t.guesses = append(t.guesses, math.Abs(g.said-left)/(left+shownToo[s.effort]))
			}
		}
	}
	return t
}

func quantileOf(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(x))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// TestSearchFindsTheTruth searches simulated queues whose capacity is known, hundreds of times each. The seeds are fixed, so
// the figures are the same everywhere. Run it with -v for the table.
func TestSearchFindsTheTruth(t *testing.T) {
	t.Parallel()
	cases := casesOf(testing.Short())
	results := make([]tally, len(cases))
	var wg sync.WaitGroup
	gate := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range cases {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			results[i] = cases[i].run()
		})
	}
	wg.Wait()

	text := fmt.Sprintf("\n%-34s %-8s %4s %6s | %6s %5s %5s | %6s %6s %6s %6s %6s %6s | %6s %6s | %6s %6s %6s\n", "target", "effort", "n", "truth",
		"covers", ">1.05", "none", "width", "p90", "±went", "theory", "ages", "falls", "load s", "most", "unconf", "noisy", "left ±")
	for i, r := range results {
		c := cases[i]
		text += fmt.Sprintf("%-34s %-8s %4d %6.2f | %5.1f%% %4.1f%% %4.1f%% | %5.1f%% %5.1f%% %5.1f%% %5.0f%% %5.1f%% %5.1f%% | %6.0f %6.0f | %5.1f%% %5.1f%% %5.0f%%\n", c.name, c.effort, r.n, r.truth,
			r.percent(r.covered), r.percent(r.over), r.percent(r.unknown), 100*quantileOf(r.widths, 0.5), 100*quantileOf(r.widths, 0.9),
			100*quantileOf(r.promises, 0.5), r.percent(r.foreseen), r.percent(r.aging), r.percent(r.collapse), quantileOf(r.loads, 0.5), quantileOf(r.loads, 1), r.percent(r.unconfirmed), r.percent(r.noisy), 100*quantileOf(r.guesses, 0.5))
		c.judge(t, r)
	}
	t.Log(text)
}

// judge a case. The share that 500 searches must reach cannot be asked of 20, of which two more may miss by chance.
func (s simulation) judge(t *testing.T, r tally) {
	t.Helper()
	covers, over := 95.0, 1.0
	if r.n < 100 {
		covers, over = min(covers, 84), 5
	}
	name := s.name + ", " + string(s.effort)
	if got := r.percent(r.covered); got < covers {
		t.Errorf("%s: %.1f %% of the intervals cover the truth, want %v %%", name, got, covers)
	}
	if got := r.percent(r.over); got > over {
		t.Errorf("%s: %.1f %% confirm more than 1.05 × the truth, want at most %v %%", name, got, over)
	}
	// ±p of the middle is 2p/(1−p) of the lower end.
	p := paces[s.effort].width
	if got := quantileOf(r.widths, 0.5); r.n >= 100 && !s.wider && got > 2*p/(1-p) {
		t.Errorf("%s: half of the intervals are wider than %.1f %%, with ±%.1f %% promised", name, 100*got, 100*p)
	}
	even, most := s.effort.Longest()
	c := s.queue.cv
	if s.queue.shape == "exponential" {
		c = 1
	}
	if got := quantileOf(r.loads, 0.99); c <= 0.3 && got > even+1 { // one that is rather even looks very uneven by chance
		t.Errorf("%s: %.0f s of load in one search of a hundred, of %.0f", name, got, even)
	}
	if c <= 0.1 {
		most = even
	}
	if got := quantileOf(r.loads, 1); got > most+1 {
		t.Errorf("%s: %.0f s of load, of %.0f", name, got, most)
	}
	if got := r.percent(r.aging); r.n >= 100 && s.queue.leak == 0 && s.queue.drift == 0 && got > 5 {
		t.Errorf("%s: %.1f %% are said to age, which it does not", name, got)
	}
	if got := r.percent(r.collapse); r.n >= 100 && s.queue.inflate == 0 && got > 5 {
		t.Errorf("%s: %.1f %% are said to collapse in the end, which it does not", name, got)
	}
	if got := r.percent(r.unconfirmed); r.n >= 100 && got > 25 || r.claimed > 0 {
		t.Errorf("%s: %.1f %% of the lower bounds are not confirmed, %d confirmed at a load that was not", name, got, r.claimed)
	}
	if got := quantileOf(r.guesses, 0.5); r.n >= 100 && got > 0.2 {
		t.Errorf("%s: the time left is wrong by %.0f %%", name, 100*got)
	}
}

func (r tally) percent(n int) float64 { return 100 * float64(n) / float64(r.n) }

func casesOf(short bool) []simulation {
	var cases []simulation
	for i, s := range simulations() {
		if short && i%3 != 2 {
			continue
		}
		s.truth = sync.OnceValue(func() float64 { return truth(s.queue, s.limits) })
		for _, e := range []Effort{Quick, Standard, Thorough} {
			s.effort, s.n = e, 500
			if short {
				s.n = 20
			}
			if e == Thorough { // two suffice: it is the standard search with longer trials
				if short || s.name != "1 server, c=0.3" && s.name != "c=0.3, p95 limit" {
					continue
				}
			}
			cases = append(cases, s)
		}
	}
	return cases
}
