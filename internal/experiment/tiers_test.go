package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// innerStub is an inner service that takes so many ms whatever the load.
type innerStub struct {
	ms     float64
	failed bool // every request
	fatal  error
	loads  *[]drive.DirectLoad
}

func (s innerStub) Send(ctx context.Context, load drive.DirectLoad) (drive.DirectResult, error) {
	*s.loads = append(*s.loads, load)
	r := drive.DirectResult{Requests: record.NewHistogram(), N: 10, ProfiledMs: s.ms / 2, DatabaseMs: s.ms / 4, Profiles: 1, PerSecond: float64(load.Users) * 1000 / s.ms}
	if s.failed {
		r.Failed, r.Failure = r.N, "status 401"
		return r, s.fatal
	}
	for range r.N {
		r.Requests.RecordMs(s.ms)
	}
	_ = sleep(ctx, load.For)
	return r, s.fatal
}

func (s innerStub) Close() {}

// tiered rides a target of an entry and inner services, whose entry shows three calls to billing in progress all the time, one of them
// waiting for a connection, and six calls a second: 500 ms each.
func tiered(t *testing.T, stubs map[string]innerStub, change func(*experiment)) ([]record.Test, *record.Run, *record.Result) {
	t.Helper()
	c := &crowded{outcome: carried, change: func(x *experiment) {
		for _, name := range []string{"main", "billing", "kill-bill", "lost"} {
			x.Scenario.Direct = append(x.Scenario.Direct, scenarios.Direct{Service: name, Steps: []scenarios.Step{{Name: "in-" + name}}})
		}
		x.Target.Services = append(x.Target.Services, targets.Service{Name: "billing", URL: "http://127.0.0.1:2"}, targets.Service{Name: "kill-bill", URL: "http://127.0.0.1:3"})
		x.Latest = func(service string) (record.Scrape, bool) {
			at := x.now().Seconds()
			return record.Scrape{OffsetS: math.Floor(at), Service: service, Values: map[string]float64{
				callSeconds + `{downstream="billing"}`: 3 * math.Floor(at), callCount + `{downstream="billing"}`: 6 * math.Floor(at), poolWait + `{downstream="billing"}`: math.Floor(at),
			}}, service == "main"
		}
		x.Direct = func(service string) (Direct, error) {
			s, ok := stubs[service]
			if !ok {
				return nil, errors.New("environment variable SECRET is not set")
			}
			return s, nil
		}
		if change != nil {
			change(x)
		}
	}}
	// The search is left out: on a busy machine its levels may be invalid.
	c.plan = func(x *experiment, ctx context.Context) error {
		if err := x.atRest(ctx); err != nil {
			return err
		}
		if err := sleep(ctx, 10*time.Second); err != nil {
			return err
		}
		now := x.now().Seconds()
		x.top = level{users: 4, goodput: 40, span: Span{now - 8, now}}
		return x.discriminate(ctx, x.quietTests(), 0)
	}
	run, res := ride(t, c, nil, false)
	var tests []record.Test
	for _, e := range run.Events {
		var x record.Test
		if e.Kind == record.EventTest && json.Unmarshal(e.Data, &x) == nil && x.Name == record.TestTiers {
			tests = append(tests, x)
		}
	}
	return tests, run, res
}

func TestTiers(t *testing.T) {
	t.Parallel()
	var loads []drive.DirectLoad
	stubs := map[string]innerStub{"billing": {ms: 250, loads: &loads}, "kill-bill": {ms: 200, loads: &loads}}
	tests, run, res := tiered(t, stubs, nil)
	if len(tests) != 4 {
		t.Fatalf("%d tests, want one for each service of direct: %+v", len(tests), tests)
	}
	for i, want := range []string{"entry", "", "", "gives no address for lost"} {
		if got := tests[i].Skipped; got == "" && want != "" || !strings.Contains(got, want) {
			t.Errorf("test %d skipped: %q, want %q", i, got, want)
		}
	}
	if len(res.Trials) > 0 {
		t.Errorf("trials of the tests count: %+v", res.Trials)
	}
	// Three calls in progress, one without a connection yet: two are with the service.
	b := tests[1].Values
	if b["users"] != 2 || math.Abs(b["caller_ms"]-500) > 1 || math.Abs(b["direct_r1_ms"]-250) > 1 || math.Abs(b["direct_mean_ms"]-250) > 1 || b["direct_per_second"] != 8 || b["errors_percent"] != 0 {
		t.Errorf("billing: %v", b)
	}
	// Nobody shows calls to kill-bill: as many users as the best level had.
	k := tests[2].Values
	if _, known := k["caller_ms"]; known || k["users"] != 4 || math.Abs(k["profiled_ms"]-100) > 1 || math.Abs(k["profiled_database_ms"]-50) > 1 {
		t.Errorf("kill-bill, best level 4 users: %v", k)
	}
	if len(loads) != 6 || loads[0].Users != 1 || loads[0].Total != 1 || loads[1].Users != 1 || loads[2].Users != 2 || loads[2].Total != 0 {
		t.Errorf("loads %+v", loads)
	}
	took := time.Duration(0)
	for _, l := range loads {
		if l.Total != 1 {
			took += l.For
		}
	}
	if took > tiersInAll {
		t.Errorf("the tests take %v, at most %v", took, tiersInAll)
	}
	// Nothing of it is in the load's own figures.
	seen := false
	for _, f := range run.Frames {
		seen = seen || f.Phase == PhaseTests
		for name, s := range f.Steps {
			if f.Phase == PhaseTests && s.N > 0 || name != "work" {
				t.Errorf("%s: %s at %v s: %+v", f.Phase, name, f.OffsetS, s)
			}
		}
	}
	if !seen {
		t.Error("no frame of the tests' phase")
	}
}

// TestTheBestLevel is the valid closed one with the highest goodput, and lasts from the end of its warm-up.
func TestTheBestLevel(t *testing.T) {
	t.Parallel()
	trial := func(kind search.Kind, users int, ok float64, outcome search.Outcome) search.Trial {
		return search.Trial{Action: search.Action{Kind: kind, Users: users, Warm: 2, Measured: 5}, Window: search.Window{Seconds: 5, OK: ok}, Verdict: search.Verdict{Outcome: outcome}}
	}
	x := &experiment{}
	for i, tr := range []search.Trial{
		trial(search.Closed, 1, 10, search.Pass), trial(search.Closed, 8, 90, search.Invalid), trial(search.Closed, 4, 50, search.Fail),
		trial(search.Closed, 2, 30, search.Pass), trial(search.Open, 0, 80, search.Pass),
	} {
		x.topLevel(tr, float64(10*i))
	}
	if want := (level{users: 4, goodput: 10, span: Span{22, 27}}); x.top != want {
		t.Errorf("%+v, want %+v", x.top, want)
	}
	if n, from := (&experiment{}).usersOf("billing", 0.1); n != 1 || from.known {
		t.Errorf("without a level: %d users, %+v", n, from)
	}
}

// Where no caller shows its calls, a service is not asked by more users than the journeys can keep busy there, twice.
func TestUsersOfAServiceWhoseCallsAreNotShown(t *testing.T) {
	t.Parallel()
	x := &experiment{Config: Config{Target: &targets.Target{}}, top: level{users: 50, goodput: 20}}
	for _, c := range []struct {
		aloneS float64
		want   int
	}{{0.01, 2}, {0.12, 6}, {0, 50}, {10, 50}} {
		if n, from := x.usersOf("billing", c.aloneS); n != c.want || from.known || !strings.Contains(from.how, "no caller shows") {
			t.Errorf("%v s alone: %d users (%s), want %d", c.aloneS, n, from.how, c.want)
		}
	}
}

// A process that began anew shows nothing of the one before it, of whichever counter; one that goes on shows what was added.
func TestCallsBetweenScrapes(t *testing.T) {
	t.Parallel()
	scrape := func(started, n, seconds, wait float64) *record.Scrape {
		const to = `{downstream="billing"}`
		return &record.Scrape{Values: map[string]float64{processStarted: started, callCount + to: n, callSeconds + to: seconds, poolWait + to: wait}}
	}
	before := scrape(100, 1000, 50, 20)
	for name, c := range map[string]struct {
		last             *record.Scrape
		seconds, wait, n float64
	}{
		"goes on":                       {scrape(100.4, 1100, 70, 25), 20, 5, 100},
		"fewer calls":                   {scrape(0, 400, 80, 30), 80, 30, 400},
		"later start, more of it all":   {scrape(200, 1500, 300, 90), 300, 90, 1500},
		"later start, more seconds":     {scrape(200, 600, 300, 10), 300, 10, 600},
		"shows nothing":                 {&record.Scrape{}, 0, 0, 0},
		"goes on, and no longer a call": {scrape(100, 1000, 50, 20), 0, 0, 0},
	} {
		if seconds, wait, n := callsBetween("Billing", before, c.last); seconds != c.seconds || wait != c.wait || n != c.n {
			t.Errorf("%s: %v s, %v s, %v calls; want %v, %v, %v", name, seconds, wait, n, c.seconds, c.wait, c.n)
		}
	}
}

func TestTiersThatAreNotWanted(t *testing.T) {
	t.Parallel()
	var loads []drive.DirectLoad
	tests, _, _ := tiered(t, map[string]innerStub{"billing": {ms: 250, loads: &loads}}, func(x *experiment) { x.NoTests = []string{record.TestTiers} })
	for _, x := range tests {
		if x.Skipped != "not wanted" {
			t.Errorf("made all the same: %+v", x)
		}
	}
	if len(tests) == 0 || len(loads) > 0 {
		t.Errorf("%d tests, loads %+v", len(tests), loads)
	}
}

func TestTiersSayWhyTheyAreSkipped(t *testing.T) {
	t.Parallel()
	var loads []drive.DirectLoad
	for name, tt := range map[string]struct {
		stub   innerStub
		change func(*experiment)
		want   string
	}{
		"refused":   {innerStub{ms: 1, failed: true}, nil, "a request straight at it fails: status 401"},
		"no secret": {innerStub{ms: -1}, nil, "environment variable SECRET is not set"},
		"no ledger": {innerStub{ms: 1, fatal: errors.New("ledger: disk full")}, nil, "cannot be sent: ledger: disk full"},
		"no steps":  {innerStub{ms: 1}, func(x *experiment) { x.Scenario.Direct = nil }, "does not say how requests are sent straight at an inner service (direct:)"},
		"no engine": {innerStub{ms: 1}, func(x *experiment) { x.Direct = nil }, "nothing can send straight at a service"},
	} {
		tt.stub.loads = &loads
		stubs := map[string]innerStub{"billing": tt.stub}
		if tt.stub.ms < 0 {
			stubs = nil
		}
		tests, _, _ := tiered(t, stubs, tt.change)
		got := ""
		for _, x := range tests {
			if x.Where == "billing" || x.Where == "" {
				got = x.Skipped
			}
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestAPlanCountsWhatTiersSend: nothing is sent that captest plan did not announce.
func TestAPlanCountsWhatTiersSend(t *testing.T) {
	t.Parallel()
	s := &scenarios.Scenario{Name: "x", Steps: []scenarios.Step{{Name: "a"}}, Direct: []scenarios.Direct{
		{Service: "b", Steps: []scenarios.Step{{Name: "b", Request: scenarios.Request{Method: "POST"}}, {Name: "c", Request: scenarios.Request{Method: "GET"}}}}, {Service: "main"}, {Service: "lost"},
	}}
	target := &targets.Target{Entry: "main", Services: []targets.Service{{Name: "main"}, {Name: "b"}}}
	var got []OutlineStage
	most := 0
	for _, x := range Sketch(s, target, Quick, nil, 100*time.Millisecond, math.Inf(1)).Stages {
		if strings.HasPrefix(x.Note, "straight at ") {
			got = append(got, x)
		} else if x.Phase != "overload" && x.Phase != "abort" && x.Phase != PhaseTests {
			most = max(most, x.Load.Users)
		}
	}
	if len(got) != 2 || got[0].Requests != 12 || got[0].Writes != 6 || got[1].Load.Users != most || got[1].Requests != uint64(most)*15*2 || got[1].Writes != uint64(most)*15 {
		t.Errorf("%d users at most, stages %+v", most, got)
	}
}
