package search

import "math"

// planned is how the open loads of a search are to be measured, decided once, when the closed levels are known.
type planned struct {
	width                float64 // of bisection; above the effort's when the time does not allow for less
	short, full, confirm float64 // seconds
}

// planned makes trials as long as the width asks for, n = z²·c²/(f·w)² arrivals (measurement 3.2d), and where the time left does
// not allow for that, the width as large as the trials then resolve.
func (v *view) planned() planned { return v.planFor(v.left() - v.busyAgain().cost()) }

// left of the budget when the closed levels so far are paid for, in seconds of load.
func (v *view) left() float64 {
	left := v.budget
	for _, t := range v.levels {
		left -= t.Action.Warm + t.Window.Seconds
	}
	return left
}

func (v *view) planFor(left float64) planned {
	x := v.best()
	if x <= 0 {
		return planned{width: v.pace.width, short: v.pace.short, full: v.pace.full, confirm: v.pace.confirm}
	}
	c2 := v.noise()
	p := planned{width: v.pace.width}
	for {
		need := arrivalsFor(c2, v.finer*p.width) / x
		p.short = min(max(v.pace.short, need), v.longest)
		p.full = min(max(v.pace.full, need), v.longest)
		p.confirm = max(v.pace.confirm, min(2*need, 2*v.longest))
		cost := bisections(p.width)*(p.short+v.openWarm()) + classTrials*(p.full+v.openWarm()) + p.confirm + v.openWarm()
		shortest := p.short == v.pace.short && p.full == v.pace.full && p.confirm == v.pace.confirm
		if cost <= left && need <= v.longest || shortest || p.width >= widest {
			return p
		}
		p.width *= 1.1
	}
}

// bisections that narrow a bracket of a factor of two to 1+w.
func bisections(w float64) float64 { return math.Ceil(math.Log2(math.Log(1.3) / math.Log1p(w))) }

const (
	classTrials = 4   // two for each bound
	widest      = 0.5 // beyond it an interval says nothing
)

// Remaining is how many seconds a search still takes, its pauses included and what comes behind it not: the
// search played on against an ideal target, whose closed levels follow the asymptotic bounds (measurement 1.2) and whose
// open loads pass below the middle of what is known and fail above. It is pure, and true to about a fifth.
func (p Plan) Remaining(trials []Trial) float64 {
	ahead := append([]Trial(nil), trials...)
	v := p.view(trials)
	total, open := 0.0, 0.0
	for range 100 {
		a := p.Next(ahead)
		if a.Kind == Open {
			open += a.cost()
		}
		total += a.Cooldown
		switch a.Kind {
		case Closed, Open:
			total += a.cost()
			ahead = append(ahead, v.ideal(ahead, a))
		case Drain:
			total += drainGuess
			ahead[len(ahead)-1].Drain = Dry
		case Break:
			return total + detours*open
		default:
			return total
		}
	}
	return total
}

// drainGuess in seconds: a backlog of a trial that was a little too much, and three probes.
const drainGuess = 1.5

// detours: ties and bounds that flip make simulated searches this much longer, in their open loads, than the ideal's.
const detours = 0.25

// ideal is a trial as the target would give it if nothing were random.
func (v *view) ideal(before []Trial, a Action) Trial {
	now := v.Plan.view(before)
	r := now.quietMs() / 1000
	if r <= 0 {
		r = 0.2
	}
	top := max(v.best(), guessedKnee/r)
	if n := len(v.levels); n >= 2 {
		top = v.best()
		if _, why := v.nextDoubling(); why == "" && gain(v.levels[n-2].Window.Goodput(), v.levels[n-1].Window.Goodput()) > flatGain {
			top *= 1.3
		}
	}
	w := Window{Seconds: a.Measured}
	t := Trial{Action: a, Verdict: Verdict{Outcome: Pass}, Drain: Dry}
	x := 0.0
	if a.Kind == Closed {
		x = min(float64(a.Users)/r, top)
		w.MeanMs = 1000 * float64(a.Users) / x
	} else {
		x = a.PerSecond
		b := v.bounds(v.evidence())
		if x > math.Sqrt(b.from*b.to) {
			t.Verdict.Outcome = Fail
		}
	}
	w.Offered, w.Completed, w.OK = x*w.Seconds, x*w.Seconds, x*w.Seconds
	w.SDMs = w.MeanMs * math.Sqrt(now.variability())
	t.Window = w
	return t
}

// guessedKnee stands for N* before anything is known of it.
const guessedKnee = 4
