package schedule

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// followed walks a plan that is scaled, arrival by arrival, at an instant that falls between two of them.
func followed(p, q *Plan, at time.Duration) []time.Duration {
	var all []time.Duration
	c := p.Cursor()
	next, ok := c.Next()
	for ok && next <= at {
		all = append(all, next)
		next, ok = c.Next()
	}
	for next, ok = c.Change(q); ok; next, ok = c.Next() {
		all = append(all, next)
	}
	return all
}

// What was due before the change stays, what comes after it is the new plan's: nothing is lost, sent twice or bunched.
func TestAChangedRateHoldsFromNowOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan(Slotted, Constant, Poisson).Draw(t, "plan")
		at := time.Duration(rapid.Int64Range(0, int64(p.Length())).Draw(t, "at"))
		factor := rapid.SampledFrom([]float64{0.01, 0.5, 0.9, 1, 1.1, 2, 7}).Draw(t, "factor")
		q := p.Scaled(at, factor)
		if q.Length() != p.Length() {
			t.Fatalf("length %v of %v", q.Length(), p.Length())
		}
		before, after := integral(p, at), integral(q, q.Length())
		if want := before + factor*(integral(p, p.Length())-before); math.Abs(after-want) > 1e-6*(1+want) {
			t.Fatalf("it owes %v, want %v", after, want)
		}
		got, whole := followed(p, q, at), walk(q)
		if d := len(got) - len(whole); d < 0 || d > 1 { // the last one may have gone before the change cut off its slot
			t.Fatalf("%d arrivals, the new plan has %d", len(got), len(whole))
		}
		for i := range whole {
			// A nanosecond of rounding in the cut moves nothing by more than the highest rate makes of it.
			if i < len(whole)-1 && math.Abs(integral(q, got[i])-integral(q, whole[i])) > 1e-4 {
				t.Fatalf("arrival %d at %v, the new plan has it at %v", i, got[i], whole[i])
			}
		}
	})
}

func TestTwiceTheRateIsHalfTheGap(t *testing.T) {
	p, err := Fixed(10, 4*time.Second, Constant, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := followed(p, p.Scaled(2050*time.Millisecond, 2), 2050*time.Millisecond)
	if len(got) != 60 && len(got) != 59 { // 20.5 and 2·19.5
		t.Errorf("%d arrivals, want 59 or 60", len(got))
	}
	for i, at := range got[1:] {
		gap, want := at-got[i], 100*time.Millisecond
		switch {
		case got[i] > 2050*time.Millisecond:
			want = 50 * time.Millisecond
		case at > 2050*time.Millisecond: // half a slot at the old rate, half at the new
			want = 75 * time.Millisecond
		}
		if (gap - want).Abs() > 2 {
			t.Errorf("gap %v before %v, want %v", gap, at, want)
		}
	}
}

// A plan whose end was reached goes on when a higher rate owes more.
func TestAnEndedCursorGoesOnWithAHigherRate(t *testing.T) {
	for _, kind := range []Arrivals{Constant, Slotted, Poisson} {
		p, err := Fixed(2, 10*time.Second, kind, 5)
		if err != nil {
			t.Fatal(err)
		}
		c, n := p.Cursor(), 0
		for _, ok := c.Next(); ok; _, ok = c.Next() {
			n++
		}
		q := p.Scaled(0, 3)
		for _, ok := c.Change(q); ok; _, ok = c.Next() {
			n++
		}
		if want := len(walk(q)); n != want {
			t.Errorf("%s: %d arrivals, want %d", kind, n, want)
		}
	}
}
