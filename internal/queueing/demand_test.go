package queueing

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func reason(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) && r.Sentence != "" && r.Hint() != "" {
		return r.Reason
	}
	return ""
}

// TestDemandsOfASimulatedNetwork: three stations with known demands and background work, seen through counters only.
func TestDemandsOfASimulatedNetwork(t *testing.T) {
	t.Parallel()
	n := Network{Stations: []Station{queue(0.02, 1), queue(0.15, 4), queue(0.06, 8)}, Think: 0.1}
	background := []float64{0.05, 0.3, 0}
	trials := make([][]Trial, 3)
	for i, users := range []int{0, 1, 2, 4, 8, 16} {
		c := counts{seconds: 120, busy: make([]float64, 3)}
		if users > 0 {
			c = simulate(n, users, 10, 120, uint64(100+i))
		}
		for k := range trials {
			trials[k] = append(trials[k], Trial{Users: float64(users), Seconds: c.seconds, Completions: c.completions, Busy: c.busy[k] + background[k]*c.seconds})
		}
	}
	for k, s := range n.Stations {
		d, err := FitDemand(trials[k])
		if err != nil {
			t.Fatal(err)
		}
		if !near(d.Demand.Value, s.Demand, 0.05) || d.Demand.Low > d.Demand.Value || d.Demand.High < d.Demand.Value {
			t.Errorf("station %d: demand %+v, want %v within 5 %%", k, d.Demand, s.Demand)
		}
		if math.Abs(d.Background.Value-background[k]) > 0.05 {
			t.Errorf("station %d: background %+v, want %v", k, d.Background, background[k])
		}
		if d.RSquared < 0.98 || d.Inflated || d.Used != 6 || len(d.Excluded) != 0 {
			t.Errorf("station %d: %+v", k, d)
		}
	}
}

// straight are trials of exactly b + D·X, ten seconds each.
func straight(b, d float64, rates ...float64) []Trial {
	var out []Trial
	for i, x := range rates {
		out = append(out, Trial{Users: float64(i), Seconds: 10, Completions: 10 * x, Busy: 10 * (b + d*x)})
	}
	return out
}

func TestFitDemandLeavesOut(t *testing.T) {
	t.Parallel()
	trials := straight(0.2, 0.1, 0, 2, 4, 6, 8)
	failing := Trial{Users: 5, Seconds: 10, Completions: 10, Busy: 90, ErrorRatio: 0.4}
	swollen := Trial{Users: 6, Seconds: 10, Completions: 50, Busy: 10 * (0.2 + 0.2*5)}
	honest := Trial{Users: 7, Seconds: 10, Completions: 70, Busy: 10 * (0.2 + 0.1*7)}
	d, err := FitDemand(append(trials, failing, swollen, honest))
	if err != nil || !near(d.Demand.Value, 0.1, 1e-9) || !near(d.Background.Value, 0.2, 1e-9) || d.Used != 6 || !near(d.RSquared, 1, 1e-9) || d.UpTo != 8 {
		t.Errorf("%+v %v", d, err)
	}
	if len(d.Excluded) != 2 || d.Excluded[0].Trial != 5 || d.Excluded[1].Trial != 6 {
		t.Errorf("left out %+v", d.Excluded)
	}
	if d.Excluded[0].Why != "40 % of its journeys failed" {
		t.Errorf("why: %q", d.Excluded[0].Why)
	}
}

// TestNoNegativeBackground: a line that would cross below the origin goes through it instead.
func TestNoNegativeBackground(t *testing.T) {
	t.Parallel()
	trials := straight(0, 0.1, 0, 2, 4, 8)
	trials[1].Busy -= 0.5
	d, err := FitDemand(trials)
	// Weights 10/max(X, 0.8), so D = Σ Busy/T ÷ Σ X over the loaded trials.
	if err != nil || d.Background.Value != 0 || d.Background.High <= 0 || !near(d.Demand.Value, (0.15+0.4+0.8)/14, 1e-9) {
		t.Errorf("%+v %v", d, err)
	}
}

func TestFitDemandNamesInflation(t *testing.T) {
	t.Parallel()
	trials := straight(0.2, 0.1, 0, 1, 2, 4, 8, 16)
	if d, err := FitDemand(trials); err != nil || d.Inflated || !near(d.Drift, 1, 1e-9) {
		t.Errorf("constant work: %+v %v", d, err)
	}
	for i, grown := range map[int]float64{4: 1.2, 5: 1.4} {
		trials[i].Busy = 10 * (0.2 + grown*0.1*trials[i].Completions/10)
	}
	if d, err := FitDemand(trials); err != nil || !d.Inflated || !near(d.Drift, 1.4, 1e-9) {
		t.Errorf("work that grows: %+v %v", d, err)
	}
}

func TestFitDemandRefuses(t *testing.T) {
	t.Parallel()
	failed := straight(0, 0.1, 0, 2, 4, 6, 8)
	for i := range failed {
		failed[i].ErrorRatio = 0.02
	}
	for _, tt := range []struct {
		name   string
		trials []Trial
		want   Reason
	}{
		{"none", nil, TooFewTrials},
		{"three", straight(0, 0.1, 0, 1, 2), TooFewTrials},
		{"none idle", straight(0, 0.1, 1, 2, 3, 4), TooFewTrials},
		{"all idle", straight(0.1, 0, 0, 0, 0, 0), TooFewTrials},
		{"all failing", failed, TooFewTrials},
		{"busy whatever the load", straight(0.5, 0, 0, 1, 2, 3), NoDemand},
	} {
		if _, err := FitDemand(tt.trials); reason(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	bad := straight(0, 0.1, 0, 1, 2, 3)
	bad[2].Busy = math.NaN()
	if _, err := FitDemand(bad); err == nil || reason(err) != "" {
		t.Errorf("a busy time of NaN: %v", err)
	}
}

func TestFitClasses(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 3))
	want := []float64{0.1, 0, 0.02}
	var trials, together []ClassTrial
	for range 12 {
		c := ClassTrial{Seconds: 60, Completions: make([]float64, 3), Busy: 60 * 0.1}
		for k := range want {
			c.Completions[k] = float64(random.IntN(600))
			c.Busy += want[k] * c.Completions[k]
		}
		c.Busy *= 1 + 0.01*random.NormFloat64()
		trials = append(trials, c)
		n := c.Completions[0]
		together = append(together, ClassTrial{Seconds: 60, Completions: []float64{n, 2 * n, 3 * n}, Busy: n})
	}
	trials = append(trials, ClassTrial{Seconds: 60, Completions: make([]float64, 3), Busy: 6000, ErrorRatio: 1})
	f, err := FitClasses(3, trials)
	if err != nil || f.Used != 12 || len(f.Excluded) != 1 || math.Abs(f.Background-0.1) > 0.03 {
		t.Fatalf("%+v %v", f, err)
	}
	for k, d := range f.Demands {
		if math.Abs(d.Value-want[k]) > 0.003 || d.Value < 0 || d.Low > d.Value || d.High < d.Value {
			t.Errorf("class %d: %+v, want %v", k, d, want[k])
		}
	}
	if _, err := FitClasses(3, together); reason(err) != NoSpread {
		t.Errorf("classes that move together: %v", err)
	}
	if _, err := FitClasses(3, trials[:5]); reason(err) != TooFewTrials {
		t.Errorf("five trials: %v", err)
	}
	for name, bad := range map[string]func() error{
		"no class":        func() error { return second(FitClasses(0, trials)) },
		"many classes":    func() error { return second(FitClasses(99, trials)) },
		"other classes":   func() error { return second(FitClasses(2, trials)) },
		"negative counts": func() error { return second(FitClasses(1, []ClassTrial{{Seconds: 1, Completions: []float64{-1}}})) },
	} {
		if err := bad(); err == nil || reason(err) != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnyTrials: whatever was counted, there is a demand between its bounds, a refusal, or an error.
func TestAnyTrials(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var trials []Trial
		for range rapid.IntRange(0, 9).Draw(t, "trials") {
			trials = append(trials, Trial{
				Users: rapid.Float64Range(0, 100).Draw(t, "users"), Seconds: rapid.Float64Range(0.1, 100).Draw(t, "seconds"),
				Completions: rapid.SampledFrom([]float64{0, 0, 1, 10, 100, 1e9}).Draw(t, "completions"), Busy: rapid.Float64Range(0, 1e6).Draw(t, "busy"),
				ErrorRatio: rapid.SampledFrom([]float64{0, 0, 0, 1}).Draw(t, "errors"),
			})
		}
		d, err := FitDemand(trials)
		if err != nil {
			if reason(err) == "" {
				t.Fatal(err)
			}
			return
		}
		for _, i := range []Interval{d.Demand, d.Background} {
			if !(0 <= i.Low && i.Low <= i.Value && i.Value <= i.High) {
				t.Fatalf("%+v", d)
			}
		}
		if !(d.Demand.Value > 0) || math.IsNaN(d.Drift) || d.Used+len(d.Excluded) != len(trials) {
			t.Fatalf("%+v", d)
		}
	})
}

// TestStudentQuantile against printed tables.
func TestStudentQuantile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.7062}, {0.975, 2, 4.30265}, {0.975, 5, 2.57058}, {0.975, 10, 2.22814}, {0.975, 30, 2.04227}, {0.975, 1e6, 1.95997}, {0.95, 4, 2.13185}, {0.995, 7, 3.49948},
	} {
		if got := studentQuantile(tt.p, tt.df); !near(got, tt.want, 1e-5) {
			t.Errorf("t(%v, %v) = %v, want %v", tt.p, tt.df, got, tt.want)
		}
	}
}

// blocked are Poisson probes, in seconds, of a loop that does work of chunk seconds, at Poisson instants, ρ of the time.
func blocked(rho, chunk float64, probes int, seed uint64) (idle, loaded []float64) {
	random := rand.New(rand.NewPCG(seed, 2))
	const base = 0.001
	next, free, now := random.ExpFloat64()*chunk/rho, 0.0, 0.0
	for range probes {
		idle = append(idle, base*(1+0.2*random.Float64()))
		now += random.ExpFloat64() * 0.1
		for next < now {
			free = max(free, next) + chunk
			next += random.ExpFloat64() * chunk / rho
		}
		loaded = append(loaded, base+max(0, free-now))
	}
	return idle, loaded
}

func TestEstimateSerial(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rho, chunk float64
		chunked    bool
	}{
		{0.1, 0.1, true},
		{0.2, 0.1, true},
		{0.15, 0.0266, true}, // a client built
		{0.6, 0.1, false},
		{0.9, 0.02, false},
	} {
		idle, loaded := blocked(tt.rho, tt.chunk, 4000, 11)
		s, err := EstimateSerial(idle, loaded)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Utilization.Value-tt.rho) > 0.15*tt.rho || s.Utilization.Low > s.Utilization.Value || s.Utilization.High < s.Utilization.Value {
			t.Errorf("ρ %v, S %v: utilization %+v", tt.rho, tt.chunk, s.Utilization)
		}
		if s.Chunked != tt.chunked {
			t.Errorf("ρ %v, S %v: chunked %v", tt.rho, tt.chunk, s.Chunked)
		}
		if s.Chunked && (s.Chunk.Low > tt.chunk || s.Chunk.High < tt.chunk || !near(s.Chunk.Value, tt.chunk, 0.35)) {
			t.Errorf("ρ %v: chunk %+v, want %v", tt.rho, s.Chunk, tt.chunk)
		}
	}
	// Of pieces of 15 ms a third is missed by the threshold of 5 ms, and must be added again.
	idle, loaded := blocked(0.15, 0.015, 20_000, 5)
	if s, err := EstimateSerial(idle, loaded); err != nil || !near(s.Utilization.Value, 0.15, 0.08) {
		t.Errorf("short pieces: %+v %v", s, err)
	}
	idle, _ = blocked(0.2, 0.1, 100, 1)
	if s, err := EstimateSerial(idle, idle); err != nil || s.Utilization.Value != 0 || s.Chunked || s.Utilization.High > 0.05 {
		t.Errorf("an idle loop: %+v %v", s, err)
	}
	if _, err := EstimateSerial(idle, idle[:3]); reason(err) != TooFewProbes {
		t.Errorf("three probes: %v", err)
	}
	if _, err := EstimateSerial([]float64{-1}, idle); err == nil || reason(err) != "" {
		t.Errorf("a negative probe: %v", err)
	}
}
