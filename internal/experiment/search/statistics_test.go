package search

import (
	"math"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v ± %v", what, got, want, tolerance)
	}
}

func TestMannKendall(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		x    []float64
		s    int
		p    float64
	}{
		{"rising: Var = 5·4·15/18, z = 9/4.0825", []float64{1, 2, 3, 4, 5}, 10, 0.01374},
		{"falling: the other tail", []float64{5, 4, 3, 2, 1}, -10, 0.98626},
		{"a tie: Var = (4·3·13 − 2·1·9)/18, z = 4/2.7689", []float64{1, 2, 2, 3}, 5, 0.07428},
		{"constant", []float64{2, 2, 2, 2, 2}, 0, 1},
		{"too short", []float64{1, 2, 3}, 0, 1},
		{"empty", nil, 0, 1},
	}
	for _, tt := range tests {
		s, p := MannKendall(tt.x)
		if s != tt.s {
			t.Errorf("%s: S = %d, want %d", tt.name, s, tt.s)
		}
		near(t, tt.name+": p", p, tt.p, 5e-5)
	}
}

func TestTheilSen(t *testing.T) {
	t.Parallel()
	near(t, "median of 1, 1.5, 2, 7/3, 2.5, 4", TheilSen([]float64{1, 3, 4, 8}), (2+7.0/3)/2, 1e-12)
	near(t, "one wild value of five", TheilSen([]float64{0, 1, 2, 300, 4}), 1, 1e-12)
	near(t, "nothing", TheilSen(nil), 0, 0)
}

func TestLag1(t *testing.T) {
	t.Parallel()
	near(t, "1 2 3 4: 1.25/5", Lag1([]float64{1, 2, 3, 4}), 0.25, 1e-12)
	near(t, "constant", Lag1([]float64{3, 3, 3}), 0, 0)
}

func TestMSER5(t *testing.T) {
	t.Parallel()
	var warming, rising []float64
	for i := range 150 {
		x := 10 + math.Mod(float64(i)*7, 3) // 10, 11, 12 in turn, so that no mean of five is the same as the next
		if i < 20 {
			x += 30
		}
		warming = append(warming, x)
		rising = append(rising, float64(i))
	}
	if cut, steady := MSER5(warming); cut != 20 || !steady {
		t.Errorf("20 warm values of 150: cut %d steady %v", cut, steady)
	}
	// Of a line the sum is m(m²−1)/12 over m²: least where m is least, at n/2.
	if cut, steady := MSER5(rising); cut != 75 || steady {
		t.Errorf("a line never settles: cut %d steady %v", cut, steady)
	}
	if cut, steady := MSER5(warming[:50]); cut != 0 || steady {
		t.Errorf("ten batches say nothing: cut %d steady %v", cut, steady)
	}
}

func TestBatchMeans(t *testing.T) {
	t.Parallel()
	var x []float64
	for i := range 20 {
		x = append(x, 1+2*float64(i%2))
	}
	m, half, b := BatchMeans(x)
	near(t, "mean of 1 3 1 3 …", m, 2, 1e-12)
	near(t, "t(19)·sqrt((20/19)/20)", half, 2.0930*math.Sqrt(1.0/19), 1e-3)
	if b != 20 {
		t.Errorf("%d batches of an alternating series, want 20: its lag-1 is negative", b)
	}
	x = x[:0]
	for i := range 200 {
		x = append(x, math.Sin(float64(i)/20))
	}
	if _, _, b := BatchMeans(x); b != 10 {
		t.Errorf("%d batches of a slow wave, want 10: lag-1 stays above 0.2, and 8 is the least", b)
	}
	if _, half, _ := BatchMeans([]float64{1, 2}); !math.IsInf(half, 1) {
		t.Errorf("half-width of two values = %v", half)
	}
}

func TestStudentT(t *testing.T) {
	t.Parallel()
	for nu, want := range map[int]float64{4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 19: 2.093} { // any table
		near(t, "t", studentT975(nu), want, 0.002*want)
	}
}

// TestResolution holds the examples of measurement 3.2.
func TestResolution(t *testing.T) {
	t.Parallel()
	near(t, "±5 %, Poisson arrivals and exponential service", arrivalsFor(2, 0.05), 3073, 1)
	near(t, "±5 %, exponential service", arrivalsFor(1, 0.05), 1537, 1)
	near(t, "±5 %, slotted arrivals and c = 0.3", arrivalsFor(0.09, 0.05), 138, 1)
	near(t, "there and back", Resolution(0.09, arrivalsFor(0.09, 0.05)), 0.05, 1e-12)
	near(t, "nothing arrived", Resolution(1, 0), 1, 0)
}

func openTrial(x, eps float64, o Outcome) Trial {
	return Trial{Action: Action{Kind: Open, Phase: PhaseClassify, PerSecond: x}, Verdict: Verdict{Outcome: o, Resolution: eps}}
}

func TestCredible(t *testing.T) {
	t.Parallel()
	flat := credible(nil, prior{least: 1, most: math.E}, 0.9)
	near(t, "5 % of a flat prior over ln C", math.Log(flat.Low), 0.05, 0.011)
	near(t, "95 %", math.Log(flat.High), 0.95, 0.011)

	var clear, contrary []Trial
	for range 3 {
		clear = append(clear, openTrial(9.5, 0, Pass), openTrial(10.5, 0, Fail), openTrial(8, 0, Invalid))
		for _, x := range []float64{9.2, 9.6, 10, 10.4, 10.8} {
			contrary = append(contrary, openTrial(x, 0, Fail), openTrial(x, 0, Pass))
		}
	}
	p := credible(clear, prior{least: 5, most: 20}, 0.9)
	if p.Low < 9 || p.Low > 10 || p.High < 10 || p.High > 11 || p.Noisy() {
		t.Errorf("three clear verdicts a side: %+v", p)
	}
	if q := credible(contrary, prior{least: 5, most: 20}, 0.9); !q.Noisy() {
		t.Errorf("verdicts without order are no noise: %+v", q)
	}
	coarse := credible([]Trial{openTrial(9.5, 0.3, Pass), openTrial(10.5, 0.3, Fail)}, prior{least: 5, most: 20}, 0.9)
	if coarse.High/coarse.Low < 1.2 {
		t.Errorf("trials that resolve 30 %% cannot say %+v", coarse)
	}
	if none := credible(clear, prior{least: 0, most: 0}, 0.9); none.Low != 0 || none.High != 0 {
		t.Errorf("no range: %+v", none)
	}
}

// Poisson arrivals are noise of their own: the same trial tells loads less finely apart, and finer ones take longer.
func TestPoissonArrivalsCostResolution(t *testing.T) {
	levels := func(c2 float64) *view {
		p := Plan{ArrivalC2: c2}
		var f []Trial
		q := queue{servers: 1, mean: 0.1, cv: 0.3, shape: "lognormal"}
		q.start(1)
		for len(f) < 5 {
			a := p.Next(f)
			if a.Kind == Drain {
				f[len(f)-1].Drain = Dry
				continue
			}
			f = append(f, p.Judge(f, a, q.hold(a, nil)))
		}
		return p.view(f)
	}
	slotted, poisson := levels(0), levels(1)
	near(t, "c² with Poisson arrivals", poisson.noise(), slotted.noise()+1, 1e-12)
	if a, b := Resolution(slotted.noise(), 200), Resolution(poisson.noise(), 200); b < 1.5*a {
		t.Errorf("resolution %v with Poisson arrivals, %v with slotted ones", b, a)
	}
}

func TestCollectionsInTheWayAreInvalid(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		limit, p99, paused float64 // ms, in a trial of 10 s
		invalid            bool
	}{
		"short pauses":                     {1000, 19, 0, false},
		"long ones":                        {1000, 30, 150, true},
		"a single long one":                {1000, 90, 90, false},
		"long for a tight limit":           {50, 1.5, 120, true},
		"never below a millisecond":        {5, 0.9, 200, false},
		"without a limit, of what is seen": {0, 5, 150, true},
	} {
		w := Window{Seconds: 10, Completed: 100, OK: 100, MeanMs: 150, P95Ms: 200, AllowedMs: x.limit, PauseP99Ms: x.p99, PausedMs: x.paused}
		v := Plan{}.Judge(nil, Action{Kind: Closed, Users: 1, Phase: PhaseBaseline}, w).Verdict
		if (v.Outcome == Invalid) != x.invalid || x.invalid && !strings.Contains(v.Reasons[0], "garbage collection") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
