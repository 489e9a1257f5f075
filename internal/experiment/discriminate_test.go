package experiment

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// asking answers tests as the crowded target does loads: a station of eight servers, 100 ms each.
type asking struct {
	c        *crowded
	servers  int
	empty    int // status of an empty object; 0: the step has no body
	setup    time.Duration
	failing  int           // of a burst
	late     bool          // and these time out
	dials    time.Duration // of every released request
	bursts   []int
	crowds   []drive.Sharing
	multiple bool
}

const crowdedTime = crowdedMs * time.Millisecond

func (a *asking) Burst(ctx context.Context, n int, _ string, _ time.Duration) ([]drive.Asked, error) {
	a.bursts = append(a.bursts, n)
	var out []drive.Asked
	longest := time.Duration(0)
	for i := range n {
		longest = crowdedTime * time.Duration(i/a.servers+1)
		out = append(out, drive.Asked{Took: longest, Status: 200, Dial: a.dials})
		if n > 1 && i < a.failing {
			out[i].Class, out[i].Status = record.ErrorStatus, 503
			if a.late {
				out[i].Class, out[i].Status = record.ErrorTimeout, 0
			}
		}
	}
	return out, sleep(ctx, longest)
}

func (a *asking) Empty(ctx context.Context, _ time.Duration) (drive.Asked, bool, error) {
	if a.empty == 0 {
		return drive.Asked{}, false, nil
	}
	out := drive.Asked{Took: 20 * time.Millisecond, Status: a.empty}
	if a.empty >= 400 {
		out.Class = record.ErrorStatus
	}
	return out, true, sleep(ctx, out.Took)
}

func (a *asking) Crowd(ctx context.Context, users int, how drive.Sharing, length time.Duration, _ uint64) (drive.CrowdSums, error) {
	a.crowds = append(a.crowds, how)
	took := crowdedTime
	var dials []time.Duration
	if how == drive.FreshConnections {
		took += a.setup
		dials = []time.Duration{a.setup}
	}
	n := uint64(users) * uint64(length/took)
	return drive.CrowdSums{OK: n, Seconds: length.Seconds(), Mean: took, Dials: dials, Sent: drive.CrowdSent{Requests: n}}, sleep(ctx, length)
}

func (a *asking) Multiplexes() bool { return a.multiple }

// tested makes the tests on a target that was found to carry 80 requests a second, with eight users, and gives what they measured.
func tested(t *testing.T, a *asking, change func(*crowded)) (map[string]record.Test, *record.Result) {
	t.Helper()
	c := &crowded{outcome: func(int, int) record.Sample { return record.Sample{Flags: record.Reused} }, asker: a}
	a.c = c
	c.plan = func(_ *experiment, ctx context.Context) error {
		level := func(phase string, users int) search.Trial {
			n := float64(10 * users * 10)
			return search.Trial{
				Action: search.Action{Kind: search.Closed, Phase: phase, Users: users}, Verdict: search.Verdict{Outcome: search.Pass},
				Window: search.Window{Seconds: 10, Completed: n, OK: n, MeanMs: crowdedMs},
			}
		}
		c.x.found = []search.Trial{level(search.PhaseBaseline, 1), level(search.PhaseRamp, 8)}
		if err := c.x.quietBaseline(ctx); err != nil {
			return err
		}
		return c.x.discriminate(ctx, c.x.quietTests(), 0)
	}
	if change != nil {
		change(c)
	}
	_, res := ride(t, c, nil, false)
	out := map[string]record.Test{}
	for _, x := range res.Tests {
		if _, twice := out[x.Name]; twice {
			t.Errorf("%s was made twice", x.Name)
		}
		out[x.Name] = x
	}
	return out, res
}

func about(got, want float64) bool { return math.Abs(got-want) <= 0.05*math.Abs(want)+1e-9 }

// TestTestsMeasureAKnownTarget: figures are those of the target, which is at rest before and after, and their load says nothing of
// the capacity.
func TestTestsMeasureAKnownTarget(t *testing.T) {
	t.Parallel()
	a := &asking{servers: 8, empty: 422, setup: 50 * time.Millisecond, multiple: true}
	got, res := tested(t, a, func(c *crowded) { c.json = true })
	for name, want := range map[string]map[string]float64{
		record.TestBurst:        {"requests": 16, "bursts": 5, "single_ms": 100, "servers": 8, "slope_ms": 12.5, "service_ms": 100, "failed_percent": 0},
		record.TestCoupling:     {"load_per_second": 72, "trivial_idle_ms": 1, "trivial_load_ms": 1, "probes_lost": 0},
		record.TestShortCircuit: {"refused_ms": 20, "single_ms": 100, "behind_percent": 80, "load_refused_ms": 20},
		record.TestConnections:  {"kept_ms": 100, "fresh_ms": 150, "time_ratio": 1.5, "goodput_ratio": 20.0 / 30, "dial_ms": 50},
	} {
		x := got[name]
		if x.Skipped != "" || x.Where != "main" {
			t.Errorf("%s: skipped %q, at %q", name, x.Skipped, x.Where)
		}
		for what, v := range want {
			if !about(x.Values[what], v) {
				t.Errorf("%s: %s is %v, want %v", name, what, x.Values[what], v)
			}
		}
	}
	if got[record.TestBurst].Words["form"] != "steps" {
		t.Errorf("form %q, want steps", got[record.TestBurst].Words["form"])
	}
	if v := got[record.TestConnections].Values; v["shared_per_second"] != v["kept_per_second"] {
		t.Errorf("%v/s on one connection, want the %v/s of kept ones", v["shared_per_second"], v["kept_per_second"])
	}
	for _, l := range res.Capacity.LatencyAt {
		t.Errorf("a load of a test is among the levels: %+v", l)
	}
}

// TestTestsComeBetweenSearchAndOverload: when the target is known to be well.
func TestTestsComeBetweenSearchAndOverload(t *testing.T) {
	t.Parallel()
	var phases []string
	c := &crowded{outcome: func(int, int) record.Sample { return record.Sample{Flags: record.Reused} }, asker: &asking{servers: 8}}
	run, _ := ride(t, c, nil, false)
	for _, e := range run.Events {
		var p struct {
			Phase string `json:"phase"`
		}
		if (e.Kind == record.EventPhase || e.Kind == record.EventTrialStart) && json.Unmarshal(e.Data, &p) == nil && p.Phase != "" {
			phases = append(phases, p.Phase)
		}
	}
	ramp, tests, over := slices.Index(phases, "baseline"), slices.Index(phases, PhaseTests), slices.Index(phases, "overload")
	if ramp < 0 || tests < ramp || over < tests {
		t.Errorf("phases %q", phases)
	}
}

// TestTestsThatCannotBeMadeSayWhy: and send nothing that they need not.
func TestTestsThatCannotBeMadeSayWhy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, test, want string
		asking           asking
		change           func(*crowded)
	}{
		{"not wanted", record.TestBurst, "not wanted", asking{servers: 8}, func(c *crowded) { c.noTests = []string{record.TestBurst} }},
		{"requests that come at once fail", record.TestBurst, "75 of 80 requests that came at once failed (status)", asking{servers: 8, failing: 15}, nil},
		{"connections close", record.TestBurst, "connections are not kept: 86 requests had to open one anew", asking{servers: 8, dials: time.Millisecond}, nil},
		{"impatient", record.TestBurst, "a burst of 8 would take about 0.2 s, too near to the step's timeout of 250ms", asking{servers: 8}, func(c *crowded) {
			c.change = func(x *experiment) { x.Scenario.Steps[0].Timeout = 250 * time.Millisecond }
		}},
		{"no body", record.TestShortCircuit, "the step sends no JSON object that could be left empty", asking{servers: 8}, nil},
		{"an empty object is taken", record.TestShortCircuit, "an empty object is accepted (status 201)", asking{servers: 8, empty: 201}, func(c *crowded) { c.json = true }},
		{"an empty object breaks it", record.TestShortCircuit, "an empty object is not refused but fails (status 500, status)", asking{servers: 8, empty: 500}, func(c *crowded) { c.json = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := tested(t, &tt.asking, tt.change)
			if x := got[tt.test]; x.Skipped != tt.want || len(x.Values) > 0 {
				t.Errorf("skipped %q with %v, want %q", x.Skipped, x.Values, tt.want)
			}
		})
	}
}

// TestBurstSize: fewer requests for a slower target, and none where two bursts of eight take too long.
func TestBurstSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		single, perSecond, allowed float64
		n, repeats                 int
	}{
		{0.25, 10, 30, 16, 4},
		{0.001, 5000, 30, 16, 5},
		{0.25, 4, 30, 16, 2},
		{0.5, 2.5, 30, 8, 2},
		{2, 0.5, 30, 8, 0},
		{1, 0, 30, 8, 0},
		{0.25, 10, 2.7, 16, 4},
		{0.25, 10, 2.6, 8, 5},
		{0.25, 10, 1.5, 8, 0}, // 1.85 s and 1.05 s, of which 0.7 of what is allowed is the bound
	} {
		if n, repeats, _ := burstSize(tt.single, tt.perSecond, tt.allowed); n != tt.n || repeats != tt.repeats {
			t.Errorf("%v s, %v/s, %v s allowed: %d of %d, want %d of %d", tt.single, tt.perSecond, tt.allowed, repeats, n, tt.repeats, tt.n)
		}
	}
}

// TestCoupling: k is the share of the journeys' rise that a trivial request sees, and is not given where there is no rise.
func TestCoupling(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	probes := func(mean float64) []float64 {
		var out []float64
		for range 50 {
			out = append(out, mean*(0.8+0.4*r.Float64()))
		}
		return out
	}
	for _, k := range []float64{0, 0.02, 0.5, 1} {
		v := coupling(100, 600, 20, probes(1), probes(1+500*k))
		if !about(v["coupling"], k) && math.Abs(v["coupling"]-k) > 0.005 {
			t.Errorf("k = %v, want %v", v["coupling"], k)
		}
		if v["coupling_low"] > k || v["coupling_high"] < k {
			t.Errorf("%v to %v does not hold %v", v["coupling_low"], v["coupling_high"], k)
		}
	}
	if v := coupling(100, 105, 20, probes(1), probes(50)); len(v) == 0 || v["coupling"] != 0 {
		t.Errorf("k = %v where the journeys hardly rose", v["coupling"])
	}
}

// TestCouplingsInterval holds the quotient for whatever lies within the intervals of its parts, and is not told where the rise may
// be none.
func TestCouplingsInterval(t *testing.T) {
	t.Parallel()
	spread := func(mean float64) []float64 { // its standard error is 1
		var out []float64
		for range 50 {
			out = append(out, mean-7, mean+7)
		}
		return out
	}
	half, wide := 1.96*math.Sqrt(2*0.4949), 1.96*100.0
	for _, d := range []float64{-20, 0, 20} {
		v := coupling(100, 500, 100, spread(30), spread(30+d))
		low, high := (d-half)/(400-wide), (d+half)/(400-wide)
		if d-half > 0 {
			low = (d - half) / (400 + wide)
		}
		if d+half < 0 {
			high = (d + half) / (400 + wide)
		}
		if !about(v["coupling_low"], low) || !about(v["coupling_high"], high) {
			t.Errorf("a rise of %v: %v to %v, want %v to %v", d, v["coupling_low"], v["coupling_high"], low, high)
		}
	}
	v := coupling(100, 150, 100, spread(30), spread(50))
	if _, told := v["coupling_low"]; told || v["coupling"] == 0 {
		t.Errorf("%v where the step may not have risen", v)
	}
	// The step's time alone is known no better than its few requests say.
	x := &experiment{aloneMs: []float64{80, 100, 120, 80, 100, 120}}
	if ms, err := x.singleMs(); ms != 100 || err < 5 || err > 15 {
		t.Errorf("%v ± %v", ms, err)
	}
	x = &experiment{base: Quiet{MedianMs: 100, P95Ms: 133, N: 16}}
	if ms, err := x.singleMs(); ms != 100 || err < 4 || err > 8 {
		t.Errorf("%v ± %v of the quiet baseline", ms, err)
	}
}

// TestTestsCountWhatTheyAskFor: the books of what the target did not give back hold every request, those given up among them.
func TestTestsCountWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	a := &asking{servers: 8, empty: 422, failing: 2, late: true}
	var sent LoadCount
	var c *crowded
	tested(t, a, func(x *crowded) { x.json, c = true, x })
	sent = c.x.asked
	bursts := uint64(len(a.bursts) - burstSingles)
	crowds := uint64(16*20 + 8*25*2) // ten a second of each user, for 2 s and twice 2.5 s
	if least := burstSingles + 16*bursts + crowds + shortAsked; sent.Requests <= least || sent.Requests > least+3*shortAsked || sent.Aborted != 2*bursts || sent.Failed != 2*bursts {
		t.Errorf("%+v, want more than %d requests, %d of them given up", sent, least, 2*bursts)
	}
	if all := c.x.sent(); all.Aborted != sent.Aborted {
		t.Errorf("%+v in all", all)
	}
}

// jsonStep is a step with a body that may be left empty.
func jsonStep() scenarios.Step {
	return scenarios.Step{Name: "work", Request: scenarios.Request{Method: "POST", JSON: scenarios.Literal(`{"a":1}`)}}
}
