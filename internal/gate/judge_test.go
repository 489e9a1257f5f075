package gate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// sample is one trial of a made-up run: every request took ms, bad of them failed.
type sample struct {
	phase   string
	users   int
	rate    float64
	ms      float64
	n, bad  uint64
	verdict string // "" is pass
	warmup  bool   // the trial's only frame is warm-up
}

// made builds a run and its result from trials; steps are all called "register".
func made(t *testing.T, plan string, trials ...sample) (*record.Run, *record.Result) {
	t.Helper()
	run, res := &record.Run{}, &record.Result{Validity: record.Validity{Valid: true}}
	run.Info.Plan, run.Info.Steps = plan, []string{"register"}
	var total, ok uint64
	for i, h := range trials {
		hist := record.NewHistogram()
		for range h.n {
			hist.RecordMs(h.ms)
		}
		encoded, err := hist.Encode()
		if err != nil {
			t.Fatal(err)
		}
		load := record.Load{Users: h.users, RatePerSecond: h.rate}
		run.Frames = append(run.Frames, record.Frame{
			OffsetS: float64(10 * i), Seconds: 10, Trial: i, Phase: h.phase, Warmup: h.warmup, Users: h.users, RatePerSecond: h.rate,
			Steps: map[string]*record.StepFrame{"register": {N: h.n, OK: h.n - h.bad, Errors: map[string]uint64{"status": h.bad}, Response: encoded, Service: encoded}},
		})
		verdict := h.verdict
		if verdict == "" {
			verdict = "pass"
		}
		res.Trials = append(res.Trials, record.Trial{Phase: h.phase, Load: load, Seconds: 10, N: h.n, Verdict: verdict})
		total, ok = total+h.n, ok+h.n-h.bad
	}
	res.Run = run.Info
	if plan == PlanCapacity {
		carried := 8.0
		res.Capacity.PerSecond.Confirmed = &carried
	}
	if total > 0 {
		res.Steps = map[string]record.StepStats{"register": {N: total, OK: ok}}
	}
	return run, res
}

func parse(t *testing.T, exprs ...string) []scenarios.Limit {
	t.Helper()
	var out []scenarios.Limit
	for _, e := range exprs {
		l, err := scenarios.ParseLimit(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

func ref(v float64) *float64 { return &v }

// ladder is a healthy target whose latency grows with the users.
func ladder() []sample {
	return []sample{
		{phase: "baseline", users: 1, ms: 250, n: 40},
		{phase: "ramp", users: 2, ms: 260, n: 80},
		{phase: "ramp", users: 4, ms: 520, n: 80},
		{phase: "ramp", users: 8, ms: 1040, n: 80},
		{phase: "level", users: 10, ms: 1300, n: 80},
		{phase: "overload", users: 50, ms: 6000, n: 80, bad: 40},
	}
}

func TestVerdict(t *testing.T) {
	stuck := func(_ *record.Run, r *record.Result) {
		r.Recovery = &record.Recovery{Class: record.Stuck, WatchedSeconds: 120}
	}
	class := func(c string, s *float64) func(*record.Run, *record.Result) {
		return func(_ *record.Run, r *record.Result) { r.Recovery = &record.Recovery{Class: c, Seconds: s} }
	}
	invalid := func(_ *record.Run, r *record.Result) {
		r.Validity = record.Validity{Reasons: []string{"generator at 99 % of a core"}}
	}
	capacity := func(confirmed, refuted *float64) func(*record.Run, *record.Result) {
		return func(_ *record.Run, r *record.Result) {
			r.Capacity.PerSecond = record.Bounds{Confirmed: confirmed, Refuted: refuted}
		}
	}
	tests := []struct {
		name    string
		plan    string
		trials  []sample
		limits  []string
		change  []func(*record.Run, *record.Result)
		verdict string
		code    int
		at      []string // of each limit
		ok      []bool
	}{
		{
			name: "judged at the largest load within all limits", trials: ladder(), limits: []string{"register.p95<1s", "errors<1%"},
			verdict: Pass, code: ExitPass, at: []string{"4 users", "4 users"}, ok: []bool{true, true},
		},
		{
			name: "one level on when the limit allows", trials: ladder(), limits: []string{"p(95)<1100"},
			verdict: Pass, code: ExitPass, at: []string{"8 users"}, ok: []bool{true},
		},
		{
			name: "the overload is never a candidate", trials: ladder(), limits: []string{"p95<1h"},
			verdict: Pass, code: ExitPass, at: []string{"10 users"}, ok: []bool{true},
		},
		{
			name: "no load within: the smallest tells which limit broke", trials: ladder(), limits: []string{"p95<100ms", "errors<1%"},
			verdict: Fail, code: ExitLimits, at: []string{"1 user", "1 user"}, ok: []bool{false, true},
		},
		{
			name: "errors that only begin with load", trials: []sample{{phase: "ramp", users: 1, ms: 5, n: 100}, {phase: "ramp", users: 2, ms: 5, n: 100, bad: 2}},
			limits: []string{"errors<1%"}, verdict: Pass, code: ExitPass, at: []string{"1 user"}, ok: []bool{true},
		},
		{
			name: "a lucky repeat does not hide a broken one", trials: []sample{{phase: "ramp", users: 1, ms: 5, n: 100}, {phase: "confirm", users: 4, ms: 5, n: 100}, {phase: "confirm", users: 4, ms: 2000, n: 100}},
			limits: []string{"p95<1s"}, verdict: Pass, code: ExitPass, at: []string{"1 user"}, ok: []bool{true},
		},
		{
			name: "goodput may only hold higher up", trials: ladder(), limits: []string{"goodput>7/s"},
			verdict: Pass, code: ExitPass, at: []string{"10 users"}, ok: []bool{true},
		},
		{
			name: "open levels", trials: []sample{{phase: "level", rate: 50, ms: 5, n: 500}, {phase: "level", rate: 100, ms: 2000, n: 900}},
			limits: []string{"p95<1s"}, verdict: Pass, code: ExitPass, at: []string{"50/s"}, ok: []bool{true},
		},
		{
			name: "invalid trials say nothing", trials: []sample{{phase: "ramp", users: 1, ms: 5, n: 100}, {phase: "ramp", users: 2, ms: 5, n: 100, verdict: "invalid"}},
			limits: []string{"p95<1s"}, verdict: Pass, code: ExitPass, at: []string{"1 user"}, ok: []bool{true},
		},
		{
			name: "refused connections are fast but no success", trials: []sample{{phase: "ramp", users: 1, ms: 1, n: 100, bad: 100}},
			limits: []string{"p95<1s"}, verdict: Inconclusive, code: ExitInconclusive, at: []string{"1 user"}, ok: []bool{true},
		},
		{
			name: "all failed breaks an error limit", trials: []sample{{phase: "ramp", users: 1, ms: 1, n: 100, bad: 100}},
			limits: []string{"errors<1%"}, verdict: Fail, code: ExitLimits, at: []string{"1 user"}, ok: []bool{false},
		},

		{name: "no limits, data", trials: ladder(), verdict: Pass, code: ExitPass},
		{name: "no limits, no data", verdict: Inconclusive, code: ExitInconclusive},
		{
			name: "no data never passes", limits: []string{"p95<1s", "errors<1%"}, verdict: Inconclusive, code: ExitInconclusive,
			at: []string{"", ""}, ok: []bool{false, false},
		},
		{
			name: "warm-up is not judged", plan: "fixed", trials: []sample{{phase: "fixed", users: 4, ms: 9, n: 50, warmup: true}}, limits: []string{"p95<1s"},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"4 users"}, ok: []bool{false},
		},
		{
			name: "a step that does not exist", trials: ladder(), limits: []string{"login.p95<1s"},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"1 user"}, ok: []bool{false},
		},
		{
			name: "a broken limit outweighs an unknown one", trials: ladder(), limits: []string{"login.p95<1s", "p95<1ms"},
			verdict: Fail, code: ExitLimits, at: []string{"1 user", "1 user"}, ok: []bool{false, false},
		},

		{
			name: "fixed load, held", plan: "fixed", trials: []sample{{phase: "fixed", users: 20, ms: 900, n: 100}}, limits: []string{"p95<1s", "n>=100"},
			verdict: Pass, code: ExitPass, at: []string{"20 users", "20 users"}, ok: []bool{true, true},
		},
		{
			name: "fixed load, broken", plan: "fixed", trials: []sample{{phase: "fixed", users: 20, ms: 2600, n: 100}}, limits: []string{"p95<1s", "errors<1%"},
			verdict: Fail, code: ExitLimits, at: []string{"20 users", "20 users"}, ok: []bool{false, true},
		},
		{
			name: "fixed rate", plan: "fixed", trials: []sample{{phase: "fixed", rate: 50, ms: 20, n: 500}}, limits: []string{"goodput>=50/s"},
			verdict: Pass, code: ExitPass, at: []string{"50/s"}, ok: []bool{true},
		},
		{
			name: "fixed load in stages", plan: "fixed", trials: []sample{{phase: "fixed", users: 1, ms: 10, n: 100}, {phase: "fixed", users: 9, ms: 10, n: 100}},
			limits: []string{"n>=200"}, verdict: Pass, code: ExitPass, at: []string{"whole run"}, ok: []bool{true},
		},

		{
			name: "capacity confirmed", trials: ladder(), limits: []string{"capacity>=7/s"}, change: []func(*record.Run, *record.Result){capacity(ref(7.4), ref(7.9))},
			verdict: Pass, code: ExitPass, at: []string{"confirmed"}, ok: []bool{true},
		},
		{
			name: "capacity inside the interval is not confirmed", trials: ladder(), limits: []string{"capacity>=7.5/s"}, change: []func(*record.Run, *record.Result){capacity(ref(7.4), ref(7.9))},
			verdict: Fail, code: ExitLimits, at: []string{"confirmed"}, ok: []bool{false},
		},
		{
			name: "capacity only refuted", trials: ladder(), limits: []string{"capacity>=8/s"}, change: []func(*record.Run, *record.Result){capacity(nil, ref(3))},
			verdict: Fail, code: ExitLimits, at: []string{"refuted: no load held the limits"}, ok: []bool{false},
		},
		{
			name: "a refuted bound never satisfies", trials: ladder(), limits: []string{"capacity>=2/s"}, change: []func(*record.Run, *record.Result){capacity(nil, ref(3))},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{""}, ok: []bool{false},
		},

		{
			name: "recovered in time", trials: ladder(), limits: []string{"recovery<10s"}, change: []func(*record.Run, *record.Result){class(record.SelfHealing, ref(6))},
			verdict: Pass, code: ExitPass, at: []string{"after the overload"}, ok: []bool{true},
		},
		{
			name: "recovered late", trials: ladder(), limits: []string{"recovery<10s"}, change: []func(*record.Run, *record.Result){class(record.Slow, ref(31))},
			verdict: Fail, code: ExitLimits, at: []string{"after the overload"}, ok: []bool{false},
		},
		{
			name: "slow without a limit passes", trials: ladder(), change: []func(*record.Run, *record.Result){class(record.Slow, ref(31))},
			verdict: Pass, code: ExitPass,
		},
		{
			name: "recovery not tested", trials: ladder(), limits: []string{"recovery<10s"}, change: []func(*record.Run, *record.Result){class(record.NotTested, nil)},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"recovery not tested"}, ok: []bool{false},
		},
		{
			name: "recovery of unknown length", trials: ladder(), limits: []string{"recovery<10s"}, change: []func(*record.Run, *record.Result){class(record.Degraded, nil)},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{""}, ok: []bool{false},
		},

		{
			name: "stuck", trials: ladder(), limits: []string{"p95<1s"}, change: []func(*record.Run, *record.Result){stuck},
			verdict: Fail, code: ExitNotRecovered, at: []string{"4 users"}, ok: []bool{true},
		},
		{name: "stuck without limits", trials: ladder(), change: []func(*record.Run, *record.Result){stuck}, verdict: Fail, code: ExitNotRecovered},
		{name: "stuck until restart", trials: ladder(), change: []func(*record.Run, *record.Result){class(record.StuckRestart, nil)}, verdict: Fail, code: ExitNotRecovered},
		{
			name: "crashed", trials: ladder(), limits: []string{"recovery<10s"}, change: []func(*record.Run, *record.Result){class(record.Crashed, nil)},
			verdict: Fail, code: ExitNotRecovered, at: []string{"crashed"}, ok: []bool{false},
		},
		{name: "crashed before anything succeeded", change: []func(*record.Run, *record.Result){class(record.Crashed, nil)}, verdict: Fail, code: ExitNotRecovered},
		{
			name: "stuck outweighs slow", trials: ladder(), limits: []string{"p95<1ms", "recovery<10s"}, change: []func(*record.Run, *record.Result){stuck},
			verdict: Fail, code: ExitNotRecovered, at: []string{"1 user", "not recovered, watched 120 s"}, ok: []bool{false, false},
		},

		{
			name: "invalid beats pass", trials: ladder(), limits: []string{"p95<1s"}, change: []func(*record.Run, *record.Result){invalid},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"4 users"}, ok: []bool{true},
		},
		{
			name: "invalid beats fail", trials: ladder(), limits: []string{"p95<1ms"}, change: []func(*record.Run, *record.Result){invalid},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"1 user"}, ok: []bool{false},
		},
		{name: "invalid beats stuck", trials: ladder(), change: []func(*record.Run, *record.Result){invalid, stuck}, verdict: Inconclusive, code: ExitInconclusive},
		{
			name: "cut short does not pass", trials: ladder(), limits: []string{"p95<1s"}, change: []func(*record.Run, *record.Result){func(run *record.Run, _ *record.Result) { run.CutShort = true }},
			verdict: Inconclusive, code: ExitInconclusive, at: []string{"4 users"}, ok: []bool{true},
		},
		{
			name: "interrupted does not pass", trials: ladder(), change: []func(*record.Run, *record.Result){func(_ *record.Run, r *record.Result) { r.Run.Interrupted = true }},
			verdict: Inconclusive, code: ExitInconclusive,
		},
		{
			name: "cut short but already broken", trials: ladder(), limits: []string{"p95<1ms"}, change: []func(*record.Run, *record.Result){func(run *record.Run, _ *record.Result) { run.CutShort = true }},
			verdict: Fail, code: ExitLimits, at: []string{"1 user"}, ok: []bool{false},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := tt.plan
			if plan == "" {
				plan = PlanCapacity
			}
			run, res := made(t, plan, tt.trials...)
			for _, change := range tt.change {
				change(run, res)
			}
			limits := parse(t, tt.limits...)
			Judge(run, res, limits)
			if res.Verdict != tt.verdict || res.ExitCode != tt.code {
				t.Errorf("verdict %s (%d), want %s (%d)", res.Verdict, res.ExitCode, tt.verdict, tt.code)
			}
			var at []string
			var ok []bool
			for i, l := range res.Limits {
				if Broken(l) && res.Verdict == Pass {
					t.Errorf("%s is broken, yet the run passes", l.Expr)
				}
				at, ok = append(at, l.At), append(ok, l.OK)
				if l.Expr != limits[i].Expr || l.Unit != limits[i].Unit {
					t.Errorf("limit %d is %q in %q, want %q in %q", i, l.Expr, l.Unit, limits[i].Expr, limits[i].Unit)
				}
				if l.OK && l.Value == nil {
					t.Errorf("%s held without a value", l.Expr)
				}
			}
			if diff := cmp.Diff(tt.at, at); diff != "" {
				t.Errorf("judged at (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.ok, ok); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
			if why := Why(res); (len(why) == 0) != (res.Verdict == Pass) && !run.CutShort {
				t.Errorf("verdict %s, reasons %q", res.Verdict, why)
			}
		})
	}
}

func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		l      record.LimitResult
		broken bool
	}{
		{"held", record.LimitResult{Value: ref(1), OK: true}, false},
		{"missed", record.LimitResult{Value: ref(1)}, true},
		{"no data", record.LimitResult{}, false},
		{"no data at a level", record.LimitResult{At: "8 users"}, false},
		{"recovery not tested", record.LimitResult{At: atNotTested}, false},
		{"crashed", record.LimitResult{At: atCrashed}, true},
		{"never recovered", record.LimitResult{At: atNotRecovered + "120 s"}, true},
	} {
		if got := Broken(tt.l); got != tt.broken {
			t.Errorf("%s: broken %v, want %v", tt.name, got, tt.broken)
		}
	}
}

func TestJudgeGivesTheMeasuredValue(t *testing.T) {
	run, res := made(t, PlanCapacity, ladder()...)
	Judge(run, res, parse(t, "p95<1s"))
	v := res.Limits[0].Value
	// 520 ms within the histogram's three digits.
	if v == nil || *v < 519 || *v > 521 {
		t.Fatalf("value %v, want 520 ms", v)
	}
}

func TestJudgeWithoutRun(t *testing.T) {
	res := &record.Result{Validity: record.Validity{Valid: true}}
	Judge(nil, res, parse(t, "p95<1s", "capacity>=1/s", "recovery<1s"))
	if res.Verdict != Inconclusive || res.ExitCode != ExitInconclusive {
		t.Fatalf("verdict %s (%d) without any data", res.Verdict, res.ExitCode)
	}
	if res.Limits == nil || len(res.Limits) != 3 {
		t.Fatalf("limits %v", res.Limits)
	}
}

func TestJudgeAgainReplaces(t *testing.T) {
	run, res := made(t, PlanCapacity, ladder()...)
	Judge(run, res, parse(t, "p95<1ms"))
	Judge(run, res, parse(t, "p95<1s"))
	if len(res.Limits) != 1 || res.Verdict != Pass || res.ExitCode != ExitPass {
		t.Fatalf("second judgement: %d limits, %s (%d)", len(res.Limits), res.Verdict, res.ExitCode)
	}
}

func TestMeaningOfEveryCode(t *testing.T) {
	// architecture: the table of exit codes; a pipeline branches on these numbers.
	want := map[int]int{
		0: ExitPass, 99: ExitLimits, 104: ExitConfig, 105: ExitInterrupted, 107: ExitScenario, 109: ExitPanic,
		111: ExitInconclusive, 112: ExitBaseline, 113: ExitRefused, 114: ExitUnreachable, 115: ExitNotRecovered,
	}
	for number, code := range want {
		if number != code {
			t.Errorf("exit code %d is %d", number, code)
		}
		if Meaning(code) == "" {
			t.Errorf("exit code %d has no meaning", code)
		}
	}
	if Meaning(1) != "" {
		t.Error("1 is no code of captest")
	}
}

func TestABrakedRunDoesNotPass(t *testing.T) {
	t.Parallel()
	pulled := []record.Brake{{Why: "60 of 80 requests failed", EndedPlan: true}}
	overload := []record.Brake{{Why: "no health check was answered for 30 s"}}
	tests := []struct {
		name    string
		plan    string
		brakes  []record.Brake
		limits  []string
		verdict string
		code    int
	}{
		{"a fixed load", "fixed", pulled, nil, Fail, ExitLimits},
		{"a search", PlanCapacity, pulled, nil, Inconclusive, ExitInconclusive},
		{"a search with a broken limit", PlanCapacity, pulled, []string{"p95<10ms"}, Fail, ExitLimits},
		{"an overload", PlanCapacity, overload, nil, Pass, ExitPass},
		{"none", "fixed", nil, nil, Pass, ExitPass},
	}
	for _, c := range tests {
		run, res := made(t, c.plan, sample{phase: "baseline", users: 1, ms: 20, n: 100})
		res.Brakes = c.brakes
		Judge(run, res, parse(t, c.limits...))
		if res.Verdict != c.verdict || res.ExitCode != c.code {
			t.Errorf("%s: %s, exit %d; want %s, %d", c.name, res.Verdict, res.ExitCode, c.verdict, c.code)
		}
	}
}

// A search that found nothing the target is known to carry passes nothing, and says whose limit it was.
func TestNoCapacityIsNoPass(t *testing.T) {
	run, res := made(t, PlanCapacity, sample{phase: "ramp", users: 1, ms: 100, n: 50})
	res.Capacity.PerSecond.Confirmed = nil
	res.Capacity.GeneratorLimit = "40/s for 10 s"
	Judge(run, res, nil)
	if res.Verdict != Inconclusive || res.ExitCode != ExitInconclusive {
		t.Errorf("%s, exit %d", res.Verdict, res.ExitCode)
	}
	if why := Why(res); len(why) != 2 || why[0] != "no load is known to be carried" {
		t.Errorf("%q", why)
	}
}

// TestMissedBesideOtherWork: a limit of speed that was missed while others used the machine is not the target's fault for sure; one
// that held held, and errors are the target's own.
func TestMissedBesideOtherWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		plan   string
		others float64
		limits []string
		want   string
		code   int
	}{
		{"fixed, quiet machine", "fixed", 10, []string{"p95<50"}, Fail, ExitLimits},
		{"fixed, busy machine", "fixed", 40, []string{"p95<50"}, Inconclusive, ExitInconclusive},
		{"held all the same", "fixed", 40, []string{"p95<500"}, Pass, ExitPass},
		{"errors", "fixed", 40, []string{"p95<500", "errors<1%"}, Fail, ExitLimits},
		{"capacity", PlanCapacity, 40, []string{"capacity>20/s"}, Inconclusive, ExitInconclusive},
		{"capacity, quiet machine", PlanCapacity, 10, []string{"capacity>20/s"}, Fail, ExitLimits},
		{"capacity, broken latency", PlanCapacity, 40, []string{"p95<50"}, Inconclusive, ExitInconclusive},
	} {
		bad := uint64(0)
		if c.name == "errors" {
			bad = 20
		}
		run, res := made(t, c.plan, sample{phase: "ramp", users: 4, ms: 100, n: 100, bad: bad}, sample{phase: "bracket", rate: 8, ms: 100, n: 80, bad: bad})
		res.Trials[0].OtherWorkPercent, res.Trials[1].OtherWorkPercent = &c.others, &c.others
		Judge(run, res, parse(t, c.limits...))
		if res.Verdict != c.want || res.ExitCode != c.code {
			t.Errorf("%s: %s (%d), want %s (%d); %v", c.name, res.Verdict, res.ExitCode, c.want, c.code, res.Limits)
		}
		if why := Why(res); (c.want == Pass) != (len(why) == 0) {
			t.Errorf("%s: reasons %q", c.name, why)
		}
	}
}

// TestABacklogIsNotWithin: the largest load within the limits is one that was carried.
func TestABacklogIsNotWithin(t *testing.T) {
	t.Parallel()
	run, res := made(t, PlanCapacity, sample{phase: "open", rate: 8, ms: 100, n: 80}, sample{phase: "open", rate: 12, ms: 100, n: 120, verdict: "fail"})
	res.Trials[1].Reasons = []string{"backlog: 9 more in flight at the end than at the start"}
	Judge(run, res, parse(t, "p95<500"))
	if at := res.Limits[0].At; at != "8/s" {
		t.Errorf("judged at %q, want the load whose trials passed", at)
	}
}
