package diagnose

import (
	"math"
	"testing"

	"github.com/captest/captest/internal/record"
)

// planted is a run at 4 users whose user-service has these counters per second and gauges, and a flat curve.
func planted(rates, gauges map[string]float64) (*record.Run, *record.Result) {
	run := &record.Run{Info: record.RunInfo{Host: record.Host{CPUs: 2, Colocated: true}}}
	for s := range 21 {
		values := map[string]float64{}
		for k, v := range rates {
			values[k] = v * float64(s)
		}
		for k, v := range gauges {
			values[k] = v
		}
		run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: float64(s), Service: "user", Values: values})
	}
	mean := 500.0
	trial := func(phase string, users int, x, start float64) record.Trial {
		return record.Trial{Phase: phase, Load: record.Load{Users: users}, N: 80, StartS: start, Seconds: 8, GoodputPerSecond: x, Verdict: "pass", Latency: record.Latency{MeanMs: &mean}}
	}
	res := &record.Result{
		Validity: record.Validity{Valid: true},
		Trials:   []record.Trial{trial("ramp", 2, 7.9, 1), trial("ramp", 4, 8, 10)},
	}
	return run, res
}

func TestCeilingOfTheHashPool(t *testing.T) {
	t.Parallel()
	// 2 workers busy 1.9 s a second at 8 journeys a second: 237.5 ms a journey, so 2 / 0.2375 = 8.42/s at most, 95 % busy.
	run, res := planted(map[string]float64{"hash_seconds_total": 1.9}, map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 2})
	Explain(run, res)
	if len(res.Ceilings) != 1 {
		t.Fatalf("ceilings %+v, want the hash pool's", res.Ceilings)
	}
	c := res.Ceilings[0]
	if math.Abs(c.DemandMs-237.5) > 0.1 || math.Abs(c.PerSecond-8.421) > 0.01 || math.Abs(*c.UtilisationPercent-95) > 0.1 {
		t.Errorf("ceiling %+v, busy %v %%", c, *c.UtilisationPercent)
	}
	if len(res.Findings) != 1 || res.Findings[0].Cause != "cpu-bound-hashing" || res.Findings[0].Confidence != C2 || res.Findings[0].Where != "user" {
		t.Errorf("findings %+v, want cpu-bound-hashing at user, C2", res.Findings)
	}
}

// TestSilence: every lookalike of a full hash pool, and every run without a bottleneck, must leave the cause unnamed.
func TestSilence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		rates, gauges map[string]float64
		change        func(*record.Result)
		want          string // "" for no finding at all
	}{
		{name: "no metrics at all", want: "unknown"},
		{name: "a pool that is half idle", rates: map[string]float64{"hash_seconds_total": 1}, gauges: map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 2}, want: "unknown"},
		{name: "a busy pool nobody waits for", rates: map[string]float64{"hash_seconds_total": 1.9}, gauges: map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 0}, want: "unknown"},
		{
			name:  "hashing on the event loop",
			rates: map[string]float64{"hash_seconds_total": 1.9, `event_loop_busy_seconds_total{worker="0"}`: 0.98}, gauges: map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 2}, want: "unknown",
		},
		{name: "a curve that still rises", rates: map[string]float64{"hash_seconds_total": 1.9}, gauges: map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 2}, change: func(r *record.Result) {
			r.Trials[0].GoodputPerSecond = 4
		}},
		{name: "a generator that was the limit", rates: map[string]float64{"hash_seconds_total": 1.9}, gauges: map[string]float64{"hash_pool_size": 2, "hash_pool_queue": 2}, want: "generator-saturated", change: func(r *record.Result) {
			r.Validity.Valid = false
		}},
		{name: "nothing measured", change: func(r *record.Result) { r.Trials = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			run, res := planted(tt.rates, tt.gauges)
			if tt.change != nil {
				tt.change(res)
			}
			Explain(run, res)
			got := ""
			if len(res.Findings) > 0 {
				got = res.Findings[0].Cause
				if got == "unknown" && res.Findings[0].Confidence != C1 {
					t.Errorf("unknown at %s", res.Findings[0].Confidence)
				}
			}
			if got != tt.want {
				t.Errorf("named %q, want %q", got, tt.want)
			}
		})
	}
}

// TestDeltaSurvivesARestart: a counter that goes backwards was restarted, and what it shows then is its growth.
func TestDeltaSurvivesARestart(t *testing.T) {
	t.Parallel()
	run := &record.Run{}
	for i, v := range []float64{10, 14, 2, 5} {
		run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: float64(i), Service: "a", Values: map[string]float64{"c": v}})
	}
	run.Scrapes = append(run.Scrapes, record.Scrape{OffsetS: 3.2, Service: "a", Error: "timeout"})
	if got, ok := (window{index: indexOf(run), from: 0, to: 4}).delta("a", "c"); !ok || got != 4+2+3 {
		t.Errorf("delta = %v %v, want 9", got, ok)
	}
	if _, ok := (window{index: indexOf(run), from: 0, to: 4}).delta("a", "d"); ok {
		t.Error("a counter that does not exist has a growth")
	}
}

// TestBaselineAtTheHop: the hop's own timer gives rate and duration; what the caller waits is all its calls per account.
func TestBaselineAtTheHop(t *testing.T) {
	t.Parallel()
	run, res := planted(nil, nil)
	for s := range 21 {
		x := float64(s)
		run.Scrapes = append(run.Scrapes,
			record.Scrape{OffsetS: x, Service: "kill-bill", Values: map[string]float64{creation + `{stat="count"}`: 8 * x, creation + `{stat="mean"}`: 0.2}},
			record.Scrape{OffsetS: x, Service: "billing", Values: map[string]float64{`http_client_request_duration_seconds_sum{downstream="kill-bill"}`: 8 * x * 5}},
		)
	}
	claim, mean := 133.0, 200.0
	res.Baseline = &record.Baseline{Service: "kill-bill", Claimed: record.BaselineFigure{PerSecond: &claim, MeanMs: &mean}}
	Explain(run, res)
	b := res.Baseline
	if b.Measured.PerSecond == nil || math.Abs(*b.Measured.PerSecond-8) > 1e-9 || b.CalleeMs == nil || math.Abs(*b.CalleeMs-200) > 1e-9 {
		t.Errorf("measured %+v, callee %v", b.Measured, b.CalleeMs)
	}
	if b.CallerMs == nil || math.Abs(*b.CallerMs-5000) > 1e-9 {
		t.Errorf("caller waits %v ms, want 5000: the callee is exonerated by it", b.CallerMs)
	}
	if b.Ratio == nil || math.Abs(*b.Ratio-8/133.0) > 1e-9 {
		t.Errorf("ratio %v", b.Ratio)
	}
}
