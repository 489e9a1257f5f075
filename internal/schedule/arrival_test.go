package schedule

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyPlan draws plans of a few stages, pauses, cliffs and ramps to or from nothing included, of at most a few thousand arrivals.
func anyPlan(kinds ...Arrivals) *rapid.Generator[*Plan] {
	return rapid.Custom(func(t *rapid.T) *Plan {
		rate := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 500))
		stage := rapid.Custom(func(t *rapid.T) Stage {
			return Stage{From: rate.Draw(t, "from"), To: rate.Draw(t, "to"), For: time.Duration(rapid.Int64Range(1, int64(3*time.Second)).Draw(t, "for"))}
		})
		p := &Plan{
			Stages:   rapid.SliceOfN(stage, 1, 4).Draw(t, "stages"),
			Arrivals: rapid.SampledFrom(kinds).Draw(t, "arrivals"),
			Seed:     rapid.Uint64().Draw(t, "seed"),
		}
		if p.Check() != nil { // owes nothing
			p.Stages = append(p.Stages, Stage{From: 5, To: 5, For: time.Second})
		}
		return p
	})
}

func walk(p *Plan) []time.Duration {
	var all []time.Duration
	for c := p.Cursor(); ; {
		at, ok := c.Next()
		if !ok {
			return all
		}
		all = append(all, at)
	}
}

func TestArrivalsAreInOrderAndWithinThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant, Poisson, "").Draw(t, "plan")
		last := time.Duration(0)
		for n, at := range walk(p) {
			if at < last || at > p.Length() {
				t.Fatalf("arrival %d at %v: the one before at %v, the plan ends at %v", n, at, last, p.Length())
			}
			last = at
		}
	})
}

func TestCountIsTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant).Draw(t, "plan")
		if got := uint64(len(walk(p))); got != p.Count() || math.Abs(float64(got)-integral(p, p.Length())) > 0.5+1e-6 {
			t.Fatalf("%d arrivals, count says %d, the area is %v", got, p.Count(), integral(p, p.Length()))
		}
	})
}

// Arrival n falls where the area under the rate curve, integrated numerically, is within slot n.
func TestEveryArrivalFallsIntoItsSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant).Draw(t, "plan")
		n := rapid.Uint64Range(0, p.Count()-1).Draw(t, "n")
		at, ok := p.At(n)
		// A nanosecond of rounding moves the area by at most 500·1e-9.
		if x := integral(p, at); !ok || x < float64(n)-1e-5 || x > float64(n+1)+1e-5 {
			t.Fatalf("arrival %d at %v, where the area is %v", n, at, x)
		}
	})
}

func TestCursorAgreesWithAtAndPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant, Poisson).Draw(t, "plan")
		all := walk(p)
		probe := rapid.IntRange(0, len(all)).Draw(t, "n")
		elapsed := time.Duration(rapid.Int64Range(0, int64(p.Length())).Draw(t, "elapsed"))
		at, ok := p.At(uint64(probe))
		wait, stop := p.Pace(elapsed, uint64(probe))
		if probe == len(all) {
			if ok || !stop {
				t.Fatalf("arrival %d of %d: ok %v, stop %v", probe, len(all), ok, stop)
			}
			return
		}
		if !ok || at != all[probe] {
			t.Fatalf("At(%d) is %v, the cursor says %v", probe, at, all[probe])
		}
		if stop || wait != max(0, at-elapsed) {
			t.Fatalf("arrival %d at %v, %v in: wait %v, stop %v", probe, at, elapsed, wait, stop)
		}
	})
}

// The parts of a plan, put together again, are the whole: no arrival lost, none sent twice, none moved.
func TestPartsMakeTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant, Poisson).Draw(t, "plan")
		parts := rapid.Uint64Range(1, 5).Draw(t, "parts")
		whole := walk(p)
		rate, total := 0.0, uint64(0)
		middle := p.Length() / 2
		for part := range parts {
			q := *p
			q.Part, q.Parts = part, parts
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
			mine := walk(&q)
			for i, at := range mine {
				if n := uint64(i)*parts + part; n >= uint64(len(whole)) || whole[n] != at {
					t.Fatalf("part %d of %d: arrival %d at %v is not arrival %d of the whole", part, parts, i, at, n)
				}
			}
			if p.Arrivals != Poisson && uint64(len(mine)) != q.Count() {
				t.Fatalf("part %d of %d: %d arrivals, count says %d", part, parts, len(mine), q.Count())
			}
			total += uint64(len(mine))
			rate += q.Rate(middle)
		}
		if total != uint64(len(whole)) || math.Abs(rate-p.Rate(middle)) > 1e-6 {
			t.Fatalf("%d of %d arrivals, rates sum to %v of %v", total, len(whole), rate, p.Rate(middle))
		}
	})
}

// integral of the rate up to d, stage by stage, as the mean of the rates at both ends times the length.
func integral(p *Plan, d time.Duration) float64 {
	sum := 0.0
	for _, s := range p.Stages {
		part := min(d, s.For)
		end := s.From + (s.To-s.From)*part.Seconds()/s.For.Seconds()
		sum += (s.From + end) / 2 * part.Seconds()
		d -= part
	}
	return sum
}
