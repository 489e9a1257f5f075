package queueing

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(got, want, share float64) bool { return math.Abs(got-want) <= share*math.Abs(want) }

func solve(t testing.TB, n Network, users int) Point {
	t.Helper()
	points, err := n.Solve(users)
	if err != nil {
		t.Fatal(err)
	}
	return points[users-1]
}

func queue(demand, servers float64) Station { return Station{Demand: demand, Servers: servers} }

func TestSolveKnownValues(t *testing.T) {
	t.Parallel()
	three := Network{Stations: []Station{queue(0.01, 1), queue(0.2, 32), queue(0.2, 27)}}
	tests := []struct {
		name  string
		net   Network
		users int
		want  float64 // X, 1/s
		share float64
	}{
		// The recursion of load-dependent mean value analysis gives 73.1 at 64 users of this one.
		{"three stations at 50 users", three, 50, 98.01, 5e-5},
		{"three stations at 64 users", three, 64, 99.96, 5e-5},
		{"near the knee, where Seidmann's replacement is 8 % low", Network{Stations: []Station{queue(0.02, 1), queue(0.2, 4), queue(0.2, 27)}}, 8, 17.05, 3e-4},
		{"hashing on one loop, and a downstream", Network{Stations: []Station{queue(0.1, 1), {Demand: 0.2, Delay: true}}}, 50, 10, 1e-9},
		{"a loop with clients built for each call", Network{Stations: []Station{queue(0.163, 1), {Demand: 0.2, Delay: true}}}, 50, 1 / 0.163, 1e-9},
		{"one user never waits", three, 1, 1 / 0.41, 1e-12},
		{"servers for everyone are a delay", Network{Stations: []Station{queue(0.5, 10)}}, 10, 20, 1e-12},
		{"half a core does half the work", Network{Stations: []Station{queue(0.1, 0.5)}}, 3, 5, 1e-12},
		{"nobody visits a station without demand", Network{Stations: []Station{queue(0, 1), queue(0.1, 1)}}, 5, 10, 1e-12},
		// M/M/1//2 with D = Z = 1: π = 1/5, 2/5, 2/5, so X = 4/5.
		{"two users, one server, think time", Network{Stations: []Station{queue(1, 1)}, Think: 1}, 2, 0.8, 1e-12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := solve(t, tt.net, tt.users)
			if !near(p.PerSecond, tt.want, tt.share) {
				t.Errorf("X(%d) = %.6g, want %.6g", tt.users, p.PerSecond, tt.want)
			}
			if !near(p.Seconds+tt.net.Think, float64(tt.users)/p.PerSecond, 1e-9) {
				t.Errorf("R = %v does not obey the response time law", p.Seconds)
			}
		})
	}
}

// meanValues is exact mean value analysis for single servers (Reiser & Lavenberg 1980): another way to the same numbers.
func meanValues(n Network, users int) float64 {
	q := make([]float64, len(n.Stations))
	x := 0.0
	for N := 1; N <= users; N++ {
		r := make([]float64, len(q))
		sum := n.Think
		for k, s := range n.Stations {
			r[k] = s.Demand
			if !s.Delay {
				r[k] *= 1 + q[k]
			}
			sum += r[k]
		}
		x = float64(N) / sum
		for k := range q {
			q[k] = x * r[k]
		}
	}
	return x
}

func network(t *rapid.T, most int) Network {
	n := Network{Think: rapid.SampledFrom([]float64{0, 0, 0.5, 3}).Draw(t, "think")}
	for range rapid.IntRange(1, 5).Draw(t, "stations") {
		s := queue(rapid.Float64Range(0.0001, 2).Draw(t, "demand"), float64(rapid.IntRange(1, most).Draw(t, "servers")))
		s.Delay = rapid.IntRange(0, 4).Draw(t, "kind") == 0
		if most > 1 && rapid.IntRange(0, 5).Draw(t, "quota") == 0 {
			s.Servers -= 0.5
		}
		n.Stations = append(n.Stations, s)
	}
	return n
}

func TestSolveAgreesWithMeanValueAnalysis(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, users := network(t, 1), rapid.IntRange(1, 80).Draw(t, "users")
		points, err := n.Solve(users)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := points[users-1].PerSecond, meanValues(n, users); !near(got, want, 1e-9) {
			t.Fatalf("X(%d) = %v, mean value analysis %v", users, got, want)
		}
	})
}

// TestBoundsBracket: whatever the network, the exact solution lies within both kinds of bounds, the balanced ones lie
// within the asymptotic ones, and throughput never falls with users.
func TestBoundsBracket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, users := network(t, 40), rapid.IntRange(1, 80).Draw(t, "users")
		points, err := n.Solve(users)
		if err != nil {
			t.Fatal(err)
		}
		p := points[users-1]
		wide, err1 := n.Asymptotic(users)
		tight, err2 := n.Balanced(users)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for _, b := range []Bounds{wide, tight} {
			const slack = 1 + 1e-9
			if p.PerSecond*slack < b.PerSecond.Low || p.PerSecond > b.PerSecond.High*slack {
				t.Fatalf("X(%d) = %v outside %v", users, p.PerSecond, b.PerSecond)
			}
			if (p.Seconds+n.Think)*slack < b.Seconds.Low+n.Think || p.Seconds+n.Think > (b.Seconds.High+n.Think)*slack {
				t.Fatalf("R(%d) = %v outside %v", users, p.Seconds, b.Seconds)
			}
		}
		if tight.PerSecond.Low < wide.PerSecond.Low*(1-1e-9) || tight.PerSecond.High > wide.PerSecond.High*(1+1e-9) {
			t.Fatalf("balanced %v is wider than asymptotic %v", tight.PerSecond, wide.PerSecond)
		}
		for i := 1; i < users; i++ {
			if points[i].PerSecond < points[i-1].PerSecond*(1-1e-9) {
				t.Fatalf("X falls from %v to %v", points[i-1], points[i])
			}
		}
	})
}

// TestSolveAgreesWithASimulation: the same network, walked job by job.
func TestSolveAgreesWithASimulation(t *testing.T) {
	t.Parallel()
	n := Network{Stations: []Station{queue(0.02, 1), queue(0.2, 4), {Demand: 0.1, Delay: true}}, Think: 0.05}
	for _, users := range []int{3, 8, 20} {
		c := simulate(n, users, 50, 3000, 7)
		want := solve(t, n, users)
		if x := c.completions / c.seconds; !near(x, want.PerSecond, 0.02) {
			t.Errorf("%d users: simulated %.4g/s, solved %.4g/s", users, x, want.PerSecond)
		}
		l, err := CheckLittle(c.area/c.seconds, c.completions/c.seconds, c.response/c.completions, 0)
		if err != nil || !l.Holds || l.Gap > 0.01 {
			t.Errorf("%d users: Little %+v %v", users, l, err)
		}
	}
}

func TestKnee(t *testing.T) {
	t.Parallel()
	users, saturation, err := Network{Stations: []Station{queue(0.02, 1), queue(0.2, 4), {Demand: 0.18, Delay: true}}, Think: 0.1}.Knee()
	if err != nil || !near(saturation, 20, 1e-12) || !near(users, 10, 1e-12) {
		t.Errorf("knee %v users, %v/s, %v; want 10 and 20", users, saturation, err)
	}
	users, saturation, err = Network{Stations: []Station{{Demand: 0.18, Delay: true}}}.Knee()
	if err != nil || !math.IsInf(users, 1) || !math.IsInf(saturation, 1) {
		t.Errorf("delays alone have a knee at %v users, %v/s, %v", users, saturation, err)
	}
}

func TestLaws(t *testing.T) {
	t.Parallel()
	// 80 journeys in 8 s kept 2 servers busy 15.2 s: X = 10, U = 0.95, D = 0.19, ceiling 2/0.19.
	l, err := Usage{Seconds: 8, Completions: 80, Busy: 15.2, Servers: 2}.Apply()
	if err != nil || !near(l.Throughput, 10, 1e-12) || !near(l.Utilization, 0.95, 1e-12) || !near(l.Demand, 0.19, 1e-12) || !near(l.Ceiling, 2/0.19, 1e-12) {
		t.Errorf("laws %+v, %v", l, err)
	}
	if l, err := (Usage{Seconds: 1, Completions: 1, Servers: 1}).Apply(); err != nil || !math.IsInf(l.Ceiling, 1) {
		t.Errorf("an idle resource limits: %+v %v", l, err)
	}
	if v, err := Visits(21, 10); err != nil || v != 2.1 {
		t.Errorf("visits %v %v", v, err)
	}
	if r, err := ResponseTime(50, 10, 1); err != nil || r != 4 {
		t.Errorf("response time %v %v", r, err)
	}
	for _, tt := range []struct {
		name     string
		n, x, r  float64
		straddle float64
		holds    bool
	}{
		{"the incident's", 50, 10, 5, 0, true},
		{"five percent off", 50, 10, 4.76, 0, true},
		{"six percent off", 50, 10, 4.7, 0, false},
		{"six percent off, which straddling explains", 50, 10, 4.7, 1, true},
	} {
		if l, err := CheckLittle(tt.n, tt.x, tt.r, tt.straddle); err != nil || l.Holds != tt.holds {
			t.Errorf("%s: %+v %v", tt.name, l, err)
		}
	}
}

func TestBlackBoxAndSlope(t *testing.T) {
	t.Parallel()
	b, err := EstimateBlackBox(0.3, 10)
	if err != nil || b.Demand != 0.3 || b.Bottleneck != 0.1 || !near(b.Knee, 3, 1e-12) {
		t.Errorf("%+v %v", b, err)
	}
	loop := Network{Stations: []Station{queue(0.1, 1), {Demand: 0.2, Delay: true}}}
	var fixed, growing []Point
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		fixed = append(fixed, solve(t, loop, n))
		N := float64(n)
		growing = append(growing, Point{n, 0, 0.3 + 0.02*N + 0.004*N*N})
	}
	s, err := FitSlope(fixed, 3, 10)
	if err != nil || !s.Fixed || s.Growing || !near(s.PerUser.Value, 0.1, 0.02) || s.Levels != 4 {
		t.Errorf("one loop: %+v %v", s, err)
	}
	s, err = FitSlope(growing, 3, 6)
	if err != nil || s.Fixed || !s.Growing {
		t.Errorf("growing work: %+v %v", s, err)
	}
	noisy := []Point{{8, 0, 0.9}, {16, 0, 1.5}, {32, 0, 3.1}, {64, 0, 7.2}, {65, 0, 6}}
	if s, err = FitSlope(noisy, 3, 10); err != nil || s.Growing || !s.Fixed {
		t.Errorf("a bend that may be noise: %+v %v", s, err)
	}
	if s, err = FitSlope(fixed, 3, 20); err != nil || s.Fixed {
		t.Errorf("a slope of another ceiling fits: %+v %v", s, err)
	}
	var r *Refusal
	if _, err := FitSlope(fixed, 20, 10); !errors.As(err, &r) || r.Reason != TooFewTrials || r.Hint() == "" {
		t.Errorf("one level beyond the knee: %v", err)
	}
}

func TestBadInputIsAnError(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	good := Network{Stations: []Station{queue(1, 1)}}
	for name, err := range map[string]error{
		"no stations":      second(Network{}.Solve(1)),
		"no users":         second(good.Solve(0)),
		"too many users":   second(good.Solve(1 << 40)),
		"a demand of NaN":  second(Network{Stations: []Station{queue(nan, 1)}}.Asymptotic(1)),
		"negative demand":  second(Network{Stations: []Station{queue(-1, 1)}}.Balanced(1)),
		"no servers":       second(Network{Stations: []Station{queue(1, 0)}}.Balanced(1)),
		"endless thinking": second(Network{Stations: []Station{queue(1, 1)}, Think: inf}.Solve(1)),
		"no window":        second(Usage{Completions: 1, Servers: 1}.Apply()),
		"no completions":   second(Usage{Seconds: 1, Servers: 1}.Apply()),
		"visits of none":   second(Visits(1, 0)),
		"no throughput":    second(ResponseTime(1, 0, 0)),
		"nothing measured": second(CheckLittle(0, 1, 1, 0)),
		"no single time":   second(EstimateBlackBox(0, 1)),
		"slope of NaN":     second(FitSlope([]Point{{1, 1, nan}}, 1, 1)),
	} {
		if err == nil || err.Error() == "" {
			t.Errorf("%s is no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }
