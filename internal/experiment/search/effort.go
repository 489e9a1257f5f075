package search

// Effort is how long a search looks.
type Effort string

// Efforts, by the width of the interval they promise: ±10 %, ±5 % and ±2.5 % of its middle. The zero value is Quick.
const (
	Quick    Effort = "quick"
	Standard Effort = "standard"
	Thorough Effort = "thorough"
)

// pace holds every length of a search in seconds, so that one table says what an effort means.
type pace struct {
	finer           float64 // f: a trial resolves f·w, so that what its resolution adds leaves the interval within ±w
	finerBusy       float64 // both levels that keep an uneven target busy tell its throughput to this part of w together
	width           float64 // w: upper bound ÷ lower bound − 1 at which bisection ends
	level, levelMax float64 // measured part of a closed level
	completions     float64 // wanted of a closed level
	warm            float64 // least warm-up of any trial
	short, full     float64 // open trials: while bisecting, and while classing a bound; a load is classed by 3 × full
	longest         float64 // open trial, however noisy the target
	confirm         float64
	cooldown        float64 // least pause between trials
	budget          float64 // of load, overload left out
	unevenBudget    float64 // of a target whose work is very uneven
	share           float64 // of the posterior's mass in the quoted interval
}

// Quick takes 2 minutes of load on a target of 9/s, tests and overload included; standard within 12 and thorough within 40, tests left out.
// Three trials of 6 s decide a load to ±10 % there: bcrypt-like work (c ≈ 0.3) needs 35 arrivals, 6 s bring 54. A confirmation is
// twice as long as the trials before it (thorough: ten times, as the design has it): the design's 120 s for standard left a third of the searches
// without the time for a second one, and a target that leaks had leaked on by then.
var paces = map[Effort]pace{
	Quick: {
		width: 0.10, finer: 0.8, finerBusy: 0.7, level: 4, levelMax: 6, completions: 40, warm: 1, short: 6, full: 6, longest: 15, confirm: 12,
		cooldown: 0.5, budget: 85, unevenBudget: 136, share: 0.92,
	},
	Standard: {
		width: 0.05, finer: 0.7, finerBusy: 0.57, level: 10, levelMax: 30, completions: 200, warm: 2, short: 20, full: 30, longest: 60, confirm: 60,
		cooldown: 2, budget: 612, unevenBudget: 960, share: 0.90,
	},
	Thorough: {
		width: 0.025, finer: 0.6, finerBusy: 0.7, level: 30, levelMax: 90, completions: 800, warm: 5, short: 30, full: 60, longest: 180, confirm: 600,
		cooldown: 2, budget: 2160, unevenBudget: 3000, share: 0.90,
	},
}

// Longest is how many seconds of load a search takes at most, and that of a target whose work is very uneven.
func (e Effort) Longest() (even, uneven float64) {
	p := Plan{Effort: e}.pace()
	return overrun * p.budget, overrun * p.unevenBudget
}

func (p Plan) pace() pace {
	if x, ok := paces[p.Effort]; ok {
		return x
	}
	return paces[Quick]
}
