package diagnose

import (
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// straight is the event of a test straight at a service.
func straight(where string, alone, mean float64, users int, more map[string]float64) record.Event {
	values := map[string]float64{"direct_r1_ms": alone, "direct_mean_ms": mean, "direct_p95_ms": 1.2 * mean, "direct_per_second": 1000 * float64(users) / mean, "users": float64(users), "requests": 100}
	maps.Copy(values, more)
	data, _ := json.Marshal(record.Test{Name: record.TestTiers, Where: where, Values: values})
	return record.Event{Kind: record.EventTest, Trial: -1, Data: data}
}

// served is a service's own account of n requests a second that take so many seconds each.
func serving(perSecond, seconds [3]float64) map[string]value {
	n := counter(0, perSecond[0], perSecond[1], perSecond[2], 0)
	sum := n
	for i, s := range seconds {
		sum.at[one+i] = perSecond[i] * s
	}
	out := map[string]value{}
	for suffix, v := range map[string]value{"_count": n, "_sum": sum} {
		out["http_request_duration_seconds"+suffix+`{route="POST /x"}`] = v
	}
	out[`http_request_duration_seconds_count{route="GET /health"}`] = counter(2, 2, 2, 2, 2) // none of the journeys' time
	out[`http_request_duration_seconds_sum{route="GET /health"}`] = counter(.001, .001, .001, .001, .001)
	return out
}

func (s scene) tested(events ...record.Event) scene {
	s.change = func(run *record.Run, _ *record.Result) {
		run.Info.Steps = []string{"register"}
		run.Events = append(run.Events, events...)
	}
	return s
}

func hopOf(t *testing.T, res *record.Result, from, to string) record.Hop {
	t.Helper()
	for _, h := range res.Hops {
		if h.Caller == from && h.Callee == to {
			return h
		}
	}
	t.Fatalf("no hop %s → %s in %+v", from, to, res.Hops)
	return record.Hop{}
}

var fives = [3]float64{2, 5, 5}

// TestWhoseTimeItIs: a call whose both sides, and what was sent straight at the callee, are known.
func TestWhoseTimeItIs(t *testing.T) {
	t.Parallel()
	none := [3]float64{}
	for _, tt := range []struct {
		name           string
		caller, callee [3]float64 // seconds of a call with one user, ten, fifty
		direct         []record.Event
		whose          string
		exonerated     bool
		says           string
	}{
		{
			"a caller that queues five seconds before a callee that works 0.2",
			[3]float64{.21, 2, 5.1},
			[3]float64{.2, .2, .21},
			[]record.Event{straight("kill-bill", 200, 215, 2, map[string]float64{"profiled_ms": 195, "profiled_database_ms": 150})},
			record.WhoseCaller, true, "billing waits 5.1 s for kill-bill, which works 210 ms (straight at it, 2 at a time: 215 ms; by its own profile 195 ms): kill-bill is exonerated; the time is its caller's: a queue, a pool or an event loop",
		},
		{"the same without a word of its own", [3]float64{.21, 2, 2.1}, none, []record.Event{straight("kill-bill", 200, 215, 2, nil)}, record.WhoseCaller, true, "kill-bill, which takes 215 ms (straight at it"},
		{"the same, nothing sent straight", [3]float64{.21, 2, 2.1}, [3]float64{.2, .2, .2}, nil, record.WhoseCaller, true, "works 200 ms: kill-bill is exonerated"},
		{"a callee that is slow", [3]float64{2, 2, 2.1}, [3]float64{2, 2, 2.05}, []record.Event{straight("kill-bill", 1990, 2010, 10, nil)}, record.WhoseCallee, false, "the time is kill-bill's"},
		{"slow, without a word of its own", [3]float64{2, 2, 2.1}, none, []record.Event{straight("kill-bill", 1990, 2010, 10, nil)}, record.WhoseCallee, false, "takes 2 s"},
		{"a network between them", [3]float64{1, 1, 1}, [3]float64{.1, .1, .1}, []record.Event{straight("kill-bill", 100, 101, 5, nil)}, record.WhoseBetween, true, "with one user billing waits 1 s for it already"},
		{"a full accept queue", [3]float64{.2, 2, 2}, [3]float64{.2, .2, .2}, []record.Event{straight("kill-bill", 200, 1900, 10, nil)}, record.WhoseBetween, false, "in front of its own clock"},
		{"slow for its caller alone", [3]float64{.2, 2, 2}, [3]float64{.2, 1.9, 1.9}, []record.Event{straight("kill-bill", 200, 210, 10, nil)}, record.WhoseUnclear, false, "slow for what its caller asks"},
		{"half and half", [3]float64{.2, .4, .4}, [3]float64{.2, .2, .2}, nil, record.WhoseShared, false, "about 50 % is its part"},
		{"no time", [3]float64{.003, .003, .004}, [3]float64{.001, .001, .001}, nil, record.WhoseNobody, false, "no time to speak of"},
		{"nothing but the caller", [3]float64{.2, 2, 2}, none, nil, record.WhoseUnknown, false, "nobody can tell"},
		{"refusals straight at it", [3]float64{.2, 2, 2}, none, []record.Event{straight("kill-bill", 2, 2, 10, map[string]float64{"errors_percent": 90})}, record.WhoseUnknown, false, "nobody can tell"},
	} {
		all := services{"billing": calls("kill-bill", fives, tt.caller, .01)}
		if tt.callee != none {
			all["kill-bill"] = serving(fives, tt.callee)
		}
		run, res := flatAt(5).with(healthy(), all).tested(tt.direct...).play()
		Explain(run, res)
		h := hopOf(t, res, "billing", "kill-bill")
		if h.Whose != tt.whose || h.Exonerated != tt.exonerated || !strings.Contains(h.Verdict, tt.says) {
			t.Errorf("%s: %s, exonerated %v, %q; want %s, %v, %q", tt.name, h.Whose, h.Exonerated, h.Verdict, tt.whose, tt.exonerated, tt.says)
		}
		if math.Abs(*h.Best.CallerMs-1000*tt.caller[1]) > 20 || tt.callee != none && math.Abs(*h.Best.CalleeMs-1000*tt.callee[1]) > 20 {
			t.Errorf("%s: at ten users %v", tt.name, *h.Best.CallerMs)
		}
	}
}

// TestQueuesAreTheCallers: what is waited for a permit is in no call's duration, and is the caller's all the same.
func TestQueuesAreTheCallers(t *testing.T) {
	t.Parallel()
	run, res := flatAt(5).with(healthy(), services{
		"billing":   merge(calls("kill-bill", fives, [3]float64{.2, .2, .2}, .01), map[string]value{"semaphore_wait_seconds_total" + kb: counter(0, 0, 9, 9, 0)}),
		"kill-bill": serving(fives, [3]float64{.2, .2, .2}),
	}).tested().play()
	Explain(run, res)
	h := hopOf(t, res, "billing", "kill-bill")
	if h.Whose != record.WhoseCaller || math.Abs(*h.Best.CallerMs-2000) > 50 || math.Abs(*h.Best.QueueMs-1800) > 50 || !strings.Contains(h.Verdict, "(1.8 s for a permit or a connection)") {
		t.Errorf("%+v: %s", *h.Best, h.Verdict)
	}
}

// TestTheEntryHop: captest is the first caller, where the journey is one step and one service answers as many requests.
func TestTheEntryHop(t *testing.T) {
	t.Parallel()
	run, res := flatAt(5).with(healthy(), services{"user": serving(fives, [3]float64{.44, 1.95, 9.8})}).tested().play()
	Explain(run, res)
	if h := hopOf(t, res, "captest", "user"); h.Whose != record.WhoseCallee || *h.Best.CallerMs != 2000 || !strings.Contains(h.Verdict, "what it waits for in turn included") {
		t.Errorf("%+v: %s", h, h.Verdict)
	}
	own, result := flatAt(5).with(healthy(), services{"user": serving(fives, [3]float64{.1, .1, .1})}).tested().play()
	Explain(own, result)
	if h := hopOf(t, result, "captest", "user"); h.Whose != record.WhoseBetween || h.Exonerated || !strings.Contains(h.Verdict, "in its accept queue") {
		t.Errorf("a queue before the entry's clock: %+v: %s", h, h.Verdict)
	}
	run.Info.Steps = []string{"a", "b"} // the journey's time is not one call's
	Explain(run, res)
	for _, h := range res.Hops {
		if h.Caller == "captest" {
			t.Errorf("%+v", h)
		}
	}
}

// TestHopsWithoutMetrics: what was sent straight at a service is told beside the journey, and what cannot be known.
func TestHopsWithoutMetrics(t *testing.T) {
	t.Parallel()
	run, res := flatAt(5).tested(straight("kill-bill", 200, 210, 10, nil)).play()
	Explain(run, res)
	if len(res.Hops) != 1 {
		t.Fatalf("%+v", res.Hops)
	}
	h := res.Hops[0]
	want := "a request straight at kill-bill takes 200 ms alone and 210 ms with 10 at a time; a journey takes 2 s at the highest goodput. How often it is called"
	if h.Caller != "" || h.Whose != record.WhoseUnknown || h.Exonerated || h.Judged != "" || !strings.HasPrefix(h.Verdict, want) {
		t.Errorf("%+v", h)
	}
}

func slowKillBill() scene {
	two := [3]float64{2, 2, 2}
	permits := func(to string) map[string]value {
		return map[string]value{`semaphore_in_use{downstream="` + to + `"}`: level(0, .8, 10, 10, 0), `semaphore_waiting{downstream="` + to + `"}`: level(0, 0, 0, 30, 0)}
	}
	return scene{x: [3]float64{.4, 5, 5}, ms: [3]float64{2400, 2400, 10000}, recovery: record.SelfHealing}.with(healthy(), services{
		"user":    merge(calls("billing", [3]float64{.4, 5, 5}, two, .01), permits("billing")),
		"billing": merge(calls("kill-bill", [3]float64{.4, 5, 5}, two, .01), permits("kill-bill")),
	})
}

// TestSentStraightConfirmsOrRulesOut: a slow downstream is as slow for whoever asks it; one that answers others fast is not slow, and
// no longer named.
func TestSentStraightConfirmsOrRulesOut(t *testing.T) {
	t.Parallel()
	check(t, slowKillBill().tested(straight("kill-bill", 1950, 2050, 10, nil)), "slow-downstream@kill-bill C3 slow-because")
	// Slow when many ask is what a full one is too: it does not confirm by itself.
	check(t, slowKillBill().tested(straight("kill-bill", 900, 2050, 10, nil)), "slow-downstream@kill-bill C1 slow-because")
	res := check(t, slowKillBill().tested(straight("kill-bill", 200, 210, 10, nil)), "unknown@ C1 slow-because")
	if r := res.Findings[0].RuledOut; len(r) != 1 || r[0].Cause != "slow-downstream" || !strings.Contains(r[0].Why, "kill-bill is exonerated") {
		t.Errorf("ruled out: %+v", r)
	}
	// Refusals, and a test at another service, say nothing.
	check(t, slowKillBill().tested(straight("kill-bill", 2, 2, 10, map[string]float64{"errors_percent": 80})), "slow-downstream@kill-bill C2 slow-because")
	check(t, slowKillBill().tested(straight("instance", 2, 2, 10, nil)), "slow-downstream@kill-bill C2 slow-because")
}

// TestBaselineOfTheDirectHop: 10 at a time at 200 ms are 50 a second, and no attempt at a claim that takes 26.6 at a time.
func TestBaselineOfTheDirectHop(t *testing.T) {
	t.Parallel()
	claim := func() *record.Baseline {
		x, ms := 133.0, 200.0
		return &record.Baseline{Name: "killbill", Service: "kill-bill", Provenance: "as quoted", Claimed: record.BaselineFigure{PerSecond: &x, MeanMs: &ms}}
	}
	run, res := flatAt(5).with(healthy()).tested(straight("kill-bill", 200, 200, 10, nil)).play()
	res.Baseline = claim()
	Explain(run, res)
	b := res.Baseline
	if b.Direct == nil || *b.Direct.PerSecond != 50 || *b.Direct.MeanMs != 200 || *b.DirectUsers != 10 || math.Abs(*b.NeedsInFlight-26.6) > 1e-9 {
		t.Fatalf("%+v", b)
	}
	if len(b.Notes) == 0 || !strings.Contains(b.Notes[len(b.Notes)-1], "10 at a time, it did 50/s at 200 ms; the claimed rate takes 26.6 at a time") {
		t.Errorf("%q", b.Notes)
	}
	run, res = flatAt(5).with(healthy()).tested().play()
	res.Baseline = claim()
	Explain(run, res)
	if res.Baseline.Direct != nil || res.Baseline.DirectUsers != nil {
		t.Errorf("nothing was sent: %+v", res.Baseline)
	}
}
