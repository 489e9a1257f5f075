package record

import "testing"

func TestValue(t *testing.T) {
	h, small := NewHistogram(), NewHistogram()
	for i := 1; i <= 100; i++ {
		h.RecordMs(float64(i))
	}
	small.RecordMs(5)
	s := TrialSums{
		Seconds: 10, N: 100, OK: 95, Dropped: 25, Response: h, Latency: h.Latency(),
		Steps: map[string]StepSums{
			"a":    {N: 99, OK: 95, Response: h, Latency: h.Latency()},
			"b":    {N: 1, Response: small, Latency: small.Latency()},
			"idle": {},
		},
	}
	for _, c := range []struct {
		step, metric string
		quantile     float64
		want         float64
		ok           bool
	}{
		{"", "p", 95, 95, true},
		{"", "p95", 0, 95, true},
		{"", "p95", 95, 95, true},
		{"", "p99.5", 0, 100, true},
		{"", "p", 0, 0, false},
		{"", "p", 101, 0, false},
		{"", "px", 50, 0, false},
		{"", "mean", 0, 50.5, true},
		{"", "avg", 0, 50.5, true},
		{"", "min", 0, 1, true},
		{"", "max", 0, 100, true},
		{"", "errors", 0, 24, true}, // 5 failed and 25 never started, of 125
		{"", "goodput", 0, 9.5, true},
		{"", "n", 0, 100, true},
		{"", "capacity", 0, 0, false},
		{"b", "errors", 0, 100, true},
		{"b", "max", 0, 5, true},
		{"idle", "errors", 0, 0, false},
		{"idle", "p50", 0, 0, false},
		{"idle", "n", 0, 0, false},
		{"nowhere", "p50", 0, 0, false},
	} {
		got, ok := s.Value(c.step, c.metric, c.quantile)
		if ok != c.ok || got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("Value(%q, %q, %v) = %v, %v, want %v, %v", c.step, c.metric, c.quantile, got, ok, c.want, c.ok)
		}
	}
	if _, ok := (TrialSums{}).Value("", "errors", 0); ok {
		t.Error("no data has an error share")
	}
	one := TrialSums{N: 3, OK: 3, Dropped: 1, Steps: map[string]StepSums{"only": {N: 3, OK: 3}}}
	if got, _ := one.Value("only", "errors", 0); got != 25 {
		t.Errorf("dropped arrivals of a journey with one step are %v %% of it, want 25", got)
	}
	onlyDropped := TrialSums{Seconds: 1, Dropped: 4}
	if got, ok := onlyDropped.Value("", "errors", 0); !ok || got != 100 {
		t.Errorf("nothing but dropped arrivals: %v %% errors, %v", got, ok)
	}
	bare := TrialSums{N: 5, OK: 5, Latency: Latency{P99Ms: known(7)}}
	if got, ok := bare.Value("", "p99", 0); !ok || got != 7 {
		t.Errorf("without a histogram p99 is %v, %v", got, ok)
	}
	if _, ok := bare.Value("", "p98", 0); ok {
		t.Error("a quantile that was not kept is known")
	}
}

func TestMetricKeys(t *testing.T) {
	key := MetricKey("m", Label{"z", "a\"b\\c\nd"}, Label{"a", "{x=\"y\",}"})
	if want := `m{a="{x=\"y\",}",z="a\"b\\c\nd"}`; key != want {
		t.Errorf("key is %s, want %s", key, want)
	}
	name, labels, ok := ParseMetric(key)
	if !ok || name != "m" || len(labels) != 2 || labels["z"] != "a\"b\\c\nd" || labels["a"] != `{x="y",}` {
		t.Errorf("ParseMetric gives %q, %q, %v", name, labels, ok)
	}
	if name, labels, ok := ParseMetric("plain_total"); !ok || name != "plain_total" || labels != nil {
		t.Errorf("ParseMetric of a bare name gives %q, %v, %v", name, labels, ok)
	}
	for _, bad := range []string{"", "{", `m{`, `m{a`, `m{a="`, `m{a="x"`, `m{a="x"}y`, `m{a="x";b="y"}`, `{a="x"}`, `m{a="x\`} {
		if _, _, ok := ParseMetric(bad); ok {
			t.Errorf("ParseMetric(%q) succeeds", bad)
		}
	}
}
