package queueing

import (
	"cmp"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// levels of a curve, with noise of the given relative size in each of ten batches.
func levels(x func(n float64) float64, noise float64, seed uint64, users ...float64) []Level {
	random := rand.New(rand.NewPCG(seed, 4))
	var out []Level
	for _, n := range users {
		l := Level{Users: n}
		for range 10 {
			l.PerSecond = append(l.PerSecond, x(n)*math.Max(0, 1+noise*random.NormFloat64()))
		}
		out = append(out, l)
	}
	return out
}

var doubling = []float64{1, 2, 4, 8, 16, 32, 64, 128}

func hard(single, highest float64) func(float64) float64 {
	return func(n float64) float64 { return math.Min(n/single, highest) }
}

func law(lambda, sigma, kappa float64) func(float64) float64 {
	return func(n float64) float64 { return lambda * n / (1 + sigma*(n-1) + kappa*n*(n-1)) }
}

func servers(t testing.TB, demand float64, m int, delay float64) func(float64) float64 {
	points, err := Network{Stations: []Station{queue(demand, float64(m)), {Demand: delay, Delay: true}}}.Solve(128)
	if err != nil {
		t.Fatal(err)
	}
	return func(n float64) float64 { return points[int(n)-1].PerSecond }
}

func TestChooseFindsTheShape(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		curve func(float64) float64
		want  Shape
		why   Reason // of the refusal; none for the law itself
	}{
		{"a semaphore of 10", hard(0.4, 25), HardBound, HardLimit},
		{"one loop from the first user on", hard(0.1, 10), HardBound, HardLimit},
		{"one server behind a delay", servers(t, 0.05, 1, 0.5), ServerStation, Servers},
		{"eight servers behind a delay", servers(t, 0.2, 8, 0.6), ServerStation, Servers},
		{"a serial part", law(10, 0.05, 0), Amdahl, SerialOnly},
		{"a serial part and a pairwise cost", law(10, 0.04, 0.0008), Universal, ""},
		{"a pairwise cost alone", law(100, 0, 0.002), Universal, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, noise := range []float64{0, 0.03} {
				c, err := Choose(levels(tt.curve, noise, 1, doubling...), 1)
				if err != nil {
					t.Fatal(err)
				}
				if c.Best.Shape != tt.want {
					t.Errorf("noise %v: %s, want %s: %+v", noise, c.Best.Shape, tt.want, c.Candidates)
					continue
				}
				if tt.why == "" {
					if c.Refusal != nil || c.USL == nil || !c.USL.Peaked {
						t.Errorf("noise %v: refused %+v, law %+v", noise, c.Refusal, c.USL)
					}
					continue
				}
				if c.USL != nil || c.Refusal == nil || c.Refusal.Reason != tt.why || !strings.HasPrefix(c.Refusal.Error(), "no scalability law: ") {
					t.Errorf("noise %v: refusal %+v, law %+v", noise, c.Refusal, c.USL)
				}
			}
		})
	}
}

func TestChosenParameters(t *testing.T) {
	t.Parallel()
	choose := func(x func(float64) float64) Choice {
		c, err := Choose(levels(x, 0.02, 5, doubling...), 1)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if b := choose(hard(0.4, 25)).Best; !near(b.Ceiling, 25, 0.02) || !near(b.Single, 0.4, 0.02) || b.Error > 0.03 || !near(b.PerSecond(100), 25, 0.02) {
		t.Errorf("hard bound %+v", b)
	}
	if b := choose(servers(t, 0.2, 8, 0.6)).Best; b.Servers < 5 || b.Servers > 11 || !near(b.Ceiling, 40, 0.03) || !near(b.Demand, float64(b.Servers)/40, 0.03) || !near(b.Single, 0.8, 0.03) {
		t.Errorf("servers %+v", b)
	}
	u := choose(law(10, 0.04, 0.0008)).USL
	if x, err := u.PerSecond(200); err != nil || !near(x, law(10, 0.04, 0.0008)(200), 0.05) {
		t.Errorf("X(200) = %v %v", x, err)
	}
	if _, err := u.PerSecond(257); reason(err) != Extrapolation {
		t.Errorf("X(257): %v", err)
	}
	if _, err := u.PerSecond(math.NaN()); err == nil {
		t.Error("X(NaN) is no error")
	}
	if !strings.Contains(u.Sentence(), "it peaks at 3") {
		t.Errorf("says %q", u.Sentence())
	}
}

// TestBoundsCover: 95 % bounds hold the truth about that often. Ten batches a level make percentiles a little narrow.
func TestBoundsCover(t *testing.T) {
	t.Parallel()
	peak := math.Sqrt(0.96 / 0.0008)
	hits := map[string]int{}
	const runs = 60
	for seed := range uint64(runs) {
		u, err := FitUSL(levels(law(10, 0.04, 0.0008), 0.05, seed, doubling...), seed)
		if err != nil || !u.Bounds || !u.Peaked {
			t.Fatal(u, err)
		}
		for name, p := range map[string]struct {
			got  Interval
			want float64
		}{"λ": {u.Lambda, 10}, "σ": {u.Sigma, 0.04}, "κ": {u.Kappa, 0.0008}, "peak": {u.Peak, peak}, "highest": {u.Highest, law(10, 0.04, 0.0008)(peak)}} {
			if p.got.Low <= p.want && p.want <= p.got.High {
				hits[name]++
			}
		}
	}
	for name, n := range hits {
		if n < runs*85/100 {
			t.Errorf("bounds of %s hold the truth %d times of %d", name, n, runs)
		}
	}
	if len(hits) != 5 {
		t.Errorf("hits %v", hits)
	}
	t.Log(hits)
}

func TestChooseRefusesUnfitLevels(t *testing.T) {
	t.Parallel()
	curve := law(10, 0.04, 0.0008)
	change := func(f func([]Level) []Level) []Level { return f(levels(curve, 0.02, 2, doubling...)) }
	for _, tt := range []struct {
		name   string
		levels []Level
		want   Reason
	}{
		{"none", nil, TooFewTrials},
		{"five", levels(curve, 0, 1, 1, 4, 16, 64, 128), TooFewTrials},
		{"failures", change(func(l []Level) []Level { l[7].ErrorRatio = 0.2; return l }), Failures},
		{"the generator", change(func(l []Level) []Level { l[6].Flaw = GeneratorLimited; return l }), GeneratorLimit},
		{"a mix that changed", change(func(l []Level) []Level { l[3].Flaw = MixChanged; return l }), ChangedMidway},
		{"throttling", change(func(l []Level) []Level { l[3].Flaw = Throttled; return l }), ChangedMidway},
		{"too many unsteady ones", change(func(l []Level) []Level { l[0].Flaw, l[1].Flaw, l[2].Flaw = Unsteady, Unsteady, Unsteady; return l }), TooFewTrials},
		{"a pairwise cost too small to tell", levels(law(10, 0.05, 3e-5), 0.03, 1, doubling...), NotBetter},
		{"no knee", levels(law(10, 0, 0), 0.01, 1, doubling...), NoKnee},
		{"no level below the knee", levels(hard(1, 4), 0.01, 1, 8, 16, 32, 64, 128, 256), NoKnee},
		{"hysteresis", change(func(l []Level) []Level {
			down := levels(func(n float64) float64 { return 0.7 * curve(n) }, 0.02, 3, 64)
			down[0].Descending = true
			return append(l, down...)
		}), TwoValued},
	} {
		c, err := Choose(tt.levels, 1)
		if err != nil {
			t.Fatal(err)
		}
		if c.USL != nil || c.Refusal == nil || c.Refusal.Reason != tt.want || c.Refusal.Hint() == "" {
			t.Errorf("%s: %+v, law %+v; want %s", tt.name, c.Refusal, c.USL, tt.want)
		}
	}
	c, err := Choose(change(func(l []Level) []Level {
		l[2].Flaw = Unsteady
		down := levels(func(n float64) float64 { return 0.93 * curve(n) }, 0.001, 3, 64) // plain to see, and too little to matter
		down[0].Descending = true
		return append(l, down...)
	}), 1)
	if err != nil || c.USL == nil || len(c.Left) != 1 || c.Left[0].Trial != 2 {
		t.Errorf("one unsteady level and a way down that agrees: %+v %v", c, err)
	}
	for name, l := range map[string]Level{
		"no users":      {Users: 0, PerSecond: []float64{1}},
		"no batch":      {Users: 1},
		"NaN":           {Users: 1, PerSecond: []float64{math.NaN()}},
		"nothing done":  {Users: 1, PerSecond: []float64{0, 0}},
		"errors of 200": {Users: 1, PerSecond: []float64{1}, ErrorRatio: 2},
	} {
		if _, err := Choose([]Level{l}, 1); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

// TestNoPeakIsInvented: a serial part alone, whose noise would give κ > 0 in about half of all fits.
func TestNoPeakIsInvented(t *testing.T) {
	t.Parallel()
	peaks := 0
	for seed := range uint64(20) {
		u, err := FitUSL(levels(law(10, 0.05, 0), 0.05, seed, doubling...), seed)
		if err != nil {
			t.Fatal(err)
		}
		if u.Peaked {
			peaks++
		} else if !strings.Contains(u.Sentence(), "no interior peak identified") {
			t.Errorf("says %q", u.Sentence())
		}
	}
	if peaks > 2 {
		t.Errorf("a peak in %d of 20 curves that have none", peaks)
	}
}

func TestBootstrapIsRepeatable(t *testing.T) {
	t.Parallel()
	l := levels(law(10, 0.04, 0.0008), 0.05, 9, doubling...)
	a, err1 := FitUSL(l, 1)
	b, err2 := FitUSL(l, 1)
	other, err3 := FitUSL(l, 2)
	if err := cmp.Or(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("one seed, two answers: %+v and %+v", a, b)
	}
	if a.Peak.Low == other.Peak.Low {
		t.Error("the seed is not used")
	}
	for i := range l {
		l[i].PerSecond = l[i].PerSecond[:1]
	}
	if u, err := FitUSL(l, 1); err != nil || u.Bounds || u.Sigma.Low != u.Sigma.High {
		t.Errorf("one batch a level: %+v %v", u, err)
	}
	if _, err := FitUSL(l[:2], 1); reason(err) != TooFewTrials {
		t.Errorf("two levels: %v", err)
	}
}

// TestUSLParameters: any law is found again from its own points, and no fit of any points leaves the parameters' limits.
func TestUSLParameters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lambda := rapid.Float64Range(0.1, 1e4).Draw(t, "lambda")
		sigma := rapid.Float64Range(0, 1).Draw(t, "sigma")
		kappa := rapid.Float64Range(0, 0.1).Draw(t, "kappa")
		var exact []Level // of one batch: nothing to resample
		for _, n := range []float64{1, 2, 4, 8, 16, 32} {
			exact = append(exact, Level{Users: n, PerSecond: []float64{law(lambda, sigma, kappa)(n)}})
		}
		u, err := FitUSL(exact, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !near(u.Lambda.Value, lambda, 1e-6) || math.Abs(u.Sigma.Value-sigma) > 1e-5 || math.Abs(u.Kappa.Value-kappa) > 1e-6 {
			t.Fatalf("%+v of λ %v σ %v κ %v", u, lambda, sigma, kappa)
		}
		var any []Level
		for _, n := range []float64{1, 3, 9, 27, 81, 243} {
			any = append(any, Level{Users: n, PerSecond: []float64{rapid.Float64Range(1e-3, 1e3).Draw(t, "x")}})
		}
		u, err = FitUSL(any, 1)
		if err != nil && reason(err) != NoSpread {
			t.Fatal(err)
		}
		if err == nil && (u.Sigma.Value < 0 || u.Sigma.Value > 1 || u.Kappa.Value < 0 || !(u.Lambda.Value > 0) || math.IsNaN(u.Highest.Value)) {
			t.Fatalf("%+v", u)
		}
		if _, err := Choose(any, 1); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRepairIsTheNetwork of one station and a delay.
func TestRepairIsTheNetwork(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, share := rapid.IntRange(1, 60).Draw(t, "m"), rapid.Float64Range(0.001, 1).Draw(t, "share")
		points, err := Network{Stations: []Station{queue(share, float64(m)), {Demand: 1 - share, Delay: true}}}.Solve(200)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 200).Draw(t, "users")
		if got, want := float64(n)/repair(float64(n), m, share), points[n-1].PerSecond; !near(got, want, 1e-7) {
			t.Fatalf("X(%d) = %v, solved %v", n, got, want)
		}
	})
	if got := repair(2.5, 1, 0.1); !near(got, (repair(2, 1, 0.1)+repair(3, 1, 0.1))/2, 1e-12) {
		t.Errorf("between users: %v", got)
	}
	if got := repair(1e5, 40_000, 0.5); !near(got, 1e5/8e4, 1e-3) {
		t.Errorf("many servers: %v", got)
	}
}
