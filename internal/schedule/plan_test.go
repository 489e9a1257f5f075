package schedule

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestFixedRefusesWhatItCannotSchedule(t *testing.T) {
	for name, c := range map[string]struct {
		rate float64
		d    time.Duration
		a    Arrivals
		want string
	}{
		"negative rate":     {-1, time.Second, Slotted, "rate -1"},
		"not a number":      {math.NaN(), time.Second, Slotted, "rate NaN"},
		"infinite rate":     {math.Inf(1), time.Second, Slotted, "rate +Inf"},
		"no length":         {1, 0, Slotted, "length 0s"},
		"unknown arrivals":  {1, time.Second, "uniform", `arrivals "uniform"`},
		"nothing to send":   {0.1, time.Second, Slotted, "owes 0.1 arrivals"},
		"too many to count": {1e9, 292 * 365 * 24 * time.Hour, Constant, "more than can be numbered"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Fixed(c.rate, c.d, c.a, 1)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestCheckNamesEveryMistakeAtOnce(t *testing.T) {
	p := Plan{Stages: []Stage{{From: -1, To: 2, For: time.Second}, {From: 1, To: 1}}, Arrivals: "x", Part: 3, Parts: 2}
	err := p.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"stage 1: rate -1", "stage 2: length 0s", `arrivals "x"`, "part 3"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from %q", want, err)
		}
	}
	if (&Plan{}).Check() == nil {
		t.Error("a plan without stages passes")
	}
	long := Plan{Stages: []Stage{{1, 1, math.MaxInt64}, {1, 1, 1}}}
	if long.Check() == nil {
		t.Error("a plan longer than time.Duration passes")
	}
}

func TestConstantIsAMetronome(t *testing.T) {
	p, err := Fixed(10, time.Second, Constant, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Count(); got != 10 {
		t.Fatalf("got %d arrivals, want 10", got)
	}
	for n := range uint64(10) {
		at, ok := p.At(n)
		if want := time.Duration(n) * 100 * time.Millisecond; !ok || abs(at-want) > 1 {
			t.Errorf("arrival %d at %v, want %v", n, at, want)
		}
	}
	if _, ok := p.At(10); ok {
		t.Error("arrival 10 of 10 exists")
	}
}

// From 0 to 20 per second in 10 s owes 100 arrivals, and t²  of them have come at t: arrival n comes at √n seconds.
func TestRampFollowsTheAreaUnderTheCurve(t *testing.T) {
	up := &Plan{Stages: []Stage{{0, 20, 10 * time.Second}}, Arrivals: Constant}
	down := &Plan{Stages: []Stage{{20, 0, 10 * time.Second}}, Arrivals: Constant}
	if up.Count() != 100 || down.Count() != 100 {
		t.Fatalf("got %d up and %d down, want 100 each", up.Count(), down.Count())
	}
	for n := range uint64(100) {
		at, _ := up.At(n)
		if want := seconds(math.Sqrt(float64(n))); abs(at-want) > 1 {
			t.Errorf("up: arrival %d at %v, want %v", n, at, want)
		}
		at, _ = down.At(n)
		if want := seconds(10 - math.Sqrt(100-float64(n))); abs(at-want) > time.Microsecond {
			t.Errorf("down: arrival %d at %v, want %v", n, at, want)
		}
	}
}

func TestStagesFollowEachOtherAcrossAPause(t *testing.T) {
	p := &Plan{Arrivals: Constant, Stages: []Stage{{2, 2, time.Second}, {0, 0, time.Minute}, {1, 1, 2 * time.Second}}}
	want := []time.Duration{0, 500 * time.Millisecond, 61 * time.Second, 62 * time.Second}
	if p.Count() != uint64(len(want)) || p.Length() != 63*time.Second {
		t.Fatalf("got %d arrivals in %v", p.Count(), p.Length())
	}
	for n, w := range want {
		if at, ok := p.At(uint64(n)); !ok || abs(at-w) > 1 {
			t.Errorf("arrival %d at %v, want %v", n, at, w)
		}
	}
	for elapsed, rate := range map[time.Duration]float64{-1: 0, 0: 2, time.Second: 0, 61 * time.Second: 1, 63 * time.Second: 0} {
		if got := p.Rate(elapsed); got != rate {
			t.Errorf("rate at %v is %v, want %v", elapsed, got, rate)
		}
	}
	ramp := Plan{Stages: []Stage{{10, 30, 4 * time.Second}}}
	if got := ramp.Rate(time.Second); got != 15 {
		t.Errorf("a quarter into 10→30 the rate is %v, want 15", got)
	}
}

// The count of a Poisson plan has its area as mean and as variance; its gaps are exponential.
func TestPoissonIsPoisson(t *testing.T) {
	const plans, rate = 400, 100.0
	var sum, squares, short, gaps float64
	for seed := range uint64(plans) {
		p, err := Fixed(rate, time.Second, Poisson, seed)
		if err != nil {
			t.Fatal(err)
		}
		n, last := 0.0, time.Duration(0)
		for c := p.Cursor(); ; n++ {
			at, ok := c.Next()
			if !ok {
				break
			}
			if at-last < seconds(math.Ln2/rate) { // the median gap
				short++
			}
			gaps++
			last = at
		}
		sum += n
		squares += n * n
	}
	mean := sum / plans
	variance := squares/plans - mean*mean
	// Four standard errors: 4·√(100/400) = 2 for the mean, 4·100·√(2/400) ≈ 28 for the variance. Seeds are fixed, so this never flakes.
	if math.Abs(mean-rate) > 2 || math.Abs(variance-rate) > 28 {
		t.Errorf("counts have mean %.1f and variance %.1f, want 100 and 100", mean, variance)
	}
	if share := short / gaps; math.Abs(share-0.5) > 0.02 {
		t.Errorf("%.3f of the gaps are below the median of an exponential, want 0.5", share)
	}
}

func TestSeedsDiffer(t *testing.T) {
	a, _ := Fixed(10, time.Second, Slotted, 1)
	b, _ := Fixed(10, time.Second, Slotted, 2)
	same := 0
	for n := range a.Count() {
		x, _ := a.At(n)
		if y, _ := b.At(n); x == y {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d of %d arrivals coincide under different seeds", same, a.Count())
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func abs(d time.Duration) time.Duration { return max(d, -d) }

func BenchmarkAt(b *testing.B) {
	p := &Plan{Stages: []Stage{{0, 1000, time.Minute}, {1000, 1000, time.Hour}}}
	b.ReportAllocs()
	for n := range uint64(b.N) {
		p.At(n % p.Count())
	}
}
