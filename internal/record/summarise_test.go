package record

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// frameOf is one second of a trial: n requests of ms each, bad of them failed.
func frameOf(at float64, trial int, warmup bool, load Load, n, bad int, ms float64) Frame {
	h := histogramOf(n, ms)
	f := Frame{
		OffsetS: at, Seconds: 1, Trial: trial, Phase: "level", Warmup: warmup, Users: load.Users, RatePerSecond: load.RatePerSecond,
		InFlightMean: float64(n) * ms / 1000, Started: uint64(n),
		Connections: ConnectionFrame{Opened: 1, Reused: uint64(n - 1), Open: 1, Peak: n, Dial: histogramOf(1, 0.2)},
		Steps:       map[string]*StepFrame{"register": {N: uint64(n), OK: uint64(n - bad), Response: h, Service: h}},
	}
	if bad > 0 {
		f.Steps["register"].Errors = map[string]uint64{"timeout": uint64(bad)}
	}
	return f
}

func TestSummarise(t *testing.T) {
	closed, open := Load{Users: 4}, Load{RatePerSecond: 20, Arrivals: "poisson"}
	last := frameOf(6, 1, false, open, 10, 0, 300)
	last.Started, last.Dropped = 15, 5
	last.InFlight = 5
	last.Lag = histogramOf(10, 2)
	run := &Run{
		Dir:  "runs/x",
		Info: RunInfo{ID: "x", Started: noon},
		Frames: []Frame{
			{OffsetS: 0, Seconds: 1, Trial: -1, Phase: "baseline"},
			frameOf(1, 0, true, closed, 100, 50, 900), // warm-up: in the steps, in no trial
			frameOf(2, 0, false, closed, 20, 1, 100),
			frameOf(3, 0, false, closed, 20, 0, 300),
			{OffsetS: 4, Seconds: 1, Trial: -1, Phase: "recovery"},
			{OffsetS: 5, Seconds: 1, Trial: 1, Phase: "level", Warmup: true, RatePerSecond: 20},
			last,
		},
		Events: []Event{
			event(t, 1, EventTrialStart, 0, TrialStart{Phase: "ramp", Load: closed, Seconds: 3}),
			event(t, 4, EventTrialEnd, 0, TrialEnd{Verdict: "pass"}),
			event(t, 5, EventTrialStart, 1, TrialStart{Phase: "level", Load: open}),
			event(t, 7, EventTrialEnd, 1, TrialEnd{Verdict: "fail", Reasons: []string{"backlog"}}),
			event(t, 7, EventLimits, -1, []string{"p95<1s"}),
			event(t, 8, EventCapacity, -1, Capacity{Method: "old"}),
			event(t, 8, EventCapacity, -1, Capacity{Method: "new", MaxPerSecond: known(20)}),
			event(t, 8, EventRecovery, -1, Recovery{Class: SelfHealing}),
			event(t, 8, EventBaseline, -1, Baseline{Name: "killbill"}),
			event(t, 8, EventValidity, -1, Validity{Valid: true}),
			{OffsetS: 8, Kind: EventWarning, Trial: -1, Text: "mind the gap"},
			event(t, 9.5, EventEnd, -1, map[string]string{"reason": "interrupted"}),
		},
		Hosts: []HostReading{
			{OffsetS: 0.5, GeneratorCPUPercent: known(90)}, // idle: not counted
			{OffsetS: 1.5, GeneratorCPUPercent: known(10)}, {OffsetS: 6.5, GeneratorCPUPercent: known(20)}, {OffsetS: 2.5},
		},
		Warnings: []string{"frames.jsonl:9: left out"},
	}
	r := Summarise(run)

	ended := noon.Add(9500 * time.Millisecond)
	if r.Run.CutShort || !r.Run.Interrupted || r.Run.Ended == nil || !r.Run.Ended.Equal(ended) || *r.Run.LoadSeconds != 5 {
		t.Errorf("run is %+v", r.Run)
	}
	if len(r.Trials) != 2 {
		t.Fatalf("%d trials", len(r.Trials))
	}
	a, b := r.Trials[0], r.Trials[1]
	if a.Phase != "ramp" || a.Load != closed || a.StartS != 1 || a.Seconds != 2 || a.N != 40 || a.Verdict != "pass" ||
		a.OfferedPerSecond != 20 || a.GoodputPerSecond != 19.5 || *a.ErrorPercent != 2.5 || a.InFlightMean != 4 {
		t.Errorf("closed trial is %+v", a)
	}
	if got := *a.Latency.P50Ms; got < 99.9 || got > 100.1 {
		t.Errorf("median of 20 × 100 ms and 20 × 300 ms is %v", got)
	}
	if got := *a.Latency.MeanMs; got < 199.8 || got > 200.2 {
		t.Errorf("mean of 20 × 100 ms and 20 × 300 ms is %v", got)
	}
	// Offered: 15 begun and 5 dropped; of 10 ended and 5 dropped a third failed.
	if b.Load != open || b.OfferedPerSecond != 20 || b.GoodputPerSecond != 10 || math.Abs(*b.ErrorPercent-100.0/3) > 1e-9 ||
		b.Dropped != 5 || b.Verdict != "fail" || !cmp.Equal(b.Reasons, []string{"backlog"}) {
		t.Errorf("open trial is %+v", b)
	}
	s := r.Steps["register"]
	if s.N != 150 || s.OK != 99 || s.Errors["timeout"] != 51 || *s.ResponseMs.Max < 899 {
		t.Errorf("step over the whole run is %+v", s)
	}
	if r.Capacity.Method != "new" || r.Recovery.Class != SelfHealing || r.Baseline.Name != "killbill" {
		t.Errorf("taken over: %+v, %+v, %+v", r.Capacity, r.Recovery, r.Baseline)
	}
	if !r.Validity.Valid || *r.Validity.GeneratorCPUPercent != 15 || *r.Validity.ScheduleLagP99Ms < 1.99 {
		t.Errorf("validity is %+v", r.Validity)
	}
	c := r.Connections.Client
	if c.Opened != 4 || c.Reused != 146 || c.PeakOpen != 100 || math.Abs(*c.ReusedPercent-100*146.0/150) > 1e-9 || *c.DialMs.P50 != 0.2 || c.TLSMs.P50 != nil {
		t.Errorf("client connections are %+v", c)
	}
	if diff := cmp.Diff([]string{"frames.jsonl:9: left out", "mind the gap"}, r.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}

	sums := run.Sums(-1)
	if sums.N != 50 || sums.Seconds != 3 || sums.Dropped != 5 || run.Sums(0).N != 40 || run.Sums(7).N != 0 {
		t.Errorf("sums of all trials are %+v", sums)
	}
	first, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, _ := json.Marshal(Summarise(run)); string(again) != string(first) {
			t.Fatal("the same run gives another result")
		}
	}
}

func TestUnknownIsNull(t *testing.T) {
	run := &Run{Events: []Event{event(t, 0, EventTrialStart, 0, TrialStart{Phase: "level", Load: Load{Users: 1}})}}
	r := Summarise(run)
	if !r.Run.CutShort || r.Run.Ended != nil || r.Run.LoadSeconds != nil || r.Validity.Valid || len(r.Validity.Reasons) == 0 {
		t.Errorf("a run cut short is %+v, %+v", r.Run, r.Validity)
	}
	tr := r.Trials[0]
	if tr.ErrorPercent != nil || tr.Latency != (Latency{}) || tr.Verdict != "" || len(tr.Reasons) == 0 {
		t.Errorf("a trial without data is %+v", tr)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"recovery":null`, `"findings":[]`, `"limits":[]`, `"error_percent":null`, `"ended":null`, `"slo":[]`, `"warnings":[]`,
		`"reused_percent":null`, `"generator_cpu_percent":null`, `"baseline":null`, `"steps":[]`, `"p95_ms":null`,
		`"closed_by":null`, `"bytes_in":null`, `"bytes_out":null`, `"tcp":null`, `"requests_per_connection":{"mean":null,`, `"late":null`,
		`"wait_ms":{"mean":null,`, `"write_ms":{"mean":null,`, `"body_ms":{"mean":null,`, `"connection_wait_p99_ms":null`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("run.json lacks %s", want)
		}
	}
}

func TestCapacityFromTheTrialsWhenNobodyStatedIt(t *testing.T) {
	run := &Run{Frames: []Frame{
		frameOf(0, 0, false, Load{Users: 10}, 30, 0, 300), frameOf(1, 1, false, Load{Users: 1}, 10, 0, 100),
		frameOf(2, 2, false, Load{RatePerSecond: 40}, 40, 0, 100),
	}}
	c := Summarise(run).Capacity
	if *c.MaxPerSecond != 40 || len(c.LatencyAt) != 2 || c.LatencyAt[0].Users != 1 || c.LatencyAt[1].Users != 10 || c.PerSecond.Confirmed != nil {
		t.Errorf("capacity is %+v", c)
	}
}

func TestTargetConnections(t *testing.T) {
	load := Load{Users: 4}
	scrape := func(at, started, fds float64, opened, requests, wait, calls, spent float64) Scrape {
		v := map[string]float64{
			"process_open_fds": fds, "process_max_fds": 256, "process_start_time_seconds": started,
			`http_client_connections_opened_total{downstream="billing"}`:         opened,
			`http_client_requests_total{downstream="billing",status="200"}`:      requests - 1,
			`http_client_requests_total{downstream="billing",status="503"}`:      1,
			`http_client_pool_wait_seconds_total{downstream="billing"}`:          wait,
			`http_client_request_duration_seconds_sum{downstream="billing"}`:     spent,
			`http_client_request_duration_seconds_count{downstream="billing"}`:   calls,
			`http_client_connections_in_use{downstream="billing"}`:               opened / 10,
			`http_client_requests_total{downstream="kill-bill",status="201"}`:    5 * at,
			`http_client_something_else_total{downstream="other",status="what"}`: 1,
		}
		if at == 0 {
			delete(v, `http_client_requests_total{downstream="kill-bill",status="201"}`) // the first call comes later
		}
		return Scrape{OffsetS: at, Service: "user", Ms: 1, Values: v}
	}
	run := &Run{
		Frames: []Frame{
			{OffsetS: 0, Seconds: 1, Trial: -1},
			frameOf(1, 0, false, load, 10, 0, 100), frameOf(2, 0, false, load, 10, 0, 100),
			{OffsetS: 3, Seconds: 3, Trial: -1},
		},
		Scrapes: []Scrape{
			scrape(0, 1000, 8, 100, 1000, 5, 1000, 50),
			scrape(1.5, 1000, 60, 150, 1100, 6, 1100, 70),
			{OffsetS: 2.2, Service: "user", Ms: 1000, Error: "timeout"},
			scrape(2.5, 2000, 30, 20, 50, 1, 50, 10), // restarted: counts since then are all new
			scrape(4, 2000, 12, 30, 100, 1.5, 100, 20),
			{OffsetS: 4, Service: "billing", Ms: 1000, Error: "refused"},
		},
	}
	r := Summarise(run)
	u := r.Connections.Target["user"]
	if u.Scrapes != 5 || u.ScrapesFailed != 1 || u.Restarts != 1 || *u.OpenFDsBefore != 8 || *u.OpenFDsPeak != 60 || *u.OpenFDsAfter != 12 || *u.MaxFDs != 256 {
		t.Errorf("user is %+v", u)
	}
	d := u.Downstream["billing"]
	// Opened 50 before the restart, 20+10 after it; requests 100+50+50; wait 1+1+0.5 s; calls 200 in 20+10+10 s.
	if *d.Opened != 80 || *d.Requests != 200 || *d.OpenedPerRequest != 0.4 || *d.PoolWaitMs != 12.5 || *d.MeanMs != 200 || *d.PeakInUse != 15 {
		t.Errorf("billing is opened %v requests %v wait %v mean %v in use %v", *d.Opened, *d.Requests, *d.PoolWaitMs, *d.MeanMs, *d.PeakInUse)
	}
	// 7.5, then after the restart 12.5, then +7.5.
	if k := u.Downstream["kill-bill"]; *k.Requests != 27.5 || k.Opened != nil || k.MeanMs != nil {
		t.Errorf("kill-bill is %+v", k)
	}
	if b := r.Connections.Target["billing"]; b.OpenFDsBefore != nil || b.ScrapesFailed != 1 || len(b.Downstream) != 0 {
		t.Errorf("a service that never answered is %+v", b)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "user restarted 1 times") {
		t.Errorf("warnings are %q", r.Warnings)
	}
}

func TestCounter(t *testing.T) {
	type reading struct {
		v         float64
		restarted bool
	}
	for name, c := range map[string]struct {
		readings []reading
		want     float64
		known    bool
	}{
		"none":            {nil, 0, false},
		"one":             {[]reading{{5, false}}, 0, false},
		"grows":           {[]reading{{5, false}, {7, false}, {7, false}}, 2, true},
		"restart":         {[]reading{{5, false}, {8, false}, {2, true}, {4, false}}, 7, true},
		"another process": {[]reading{{5, false}, {2, false}}, 0, true},
	} {
		var x counter
		for _, r := range c.readings {
			x.at(r.v, r.restarted)
		}
		got := x.total()
		if (got != nil) != c.known || got != nil && *got != c.want {
			t.Errorf("%s: total %v, want %v (known %v)", name, got, c.want, c.known)
		}
	}
}

func TestHostileRunsAreSummarised(t *testing.T) {
	run := &Run{
		Frames: []Frame{
			{Trial: math.MaxInt, Seconds: 1}, {Trial: 0, Seconds: -5}, {Trial: 0, Seconds: 1, Lag: "x", Steps: map[string]*StepFrame{"a": nil, "b": {N: 1, OK: 9, Response: "?"}}},
		},
		Events: []Event{
			{Kind: EventTrialStart, Trial: math.MaxInt, Data: json.RawMessage(`{}`)}, {Kind: EventCapacity}, {Kind: EventValidity, Data: json.RawMessage(`[]`)},
		},
		Scrapes: []Scrape{{Service: "", Values: map[string]float64{"{": 1, `http_client_requests_total{downstream="`: 2}}},
	}
	r := Summarise(run)
	if len(r.Trials) != 1 || len(r.Warnings) < 4 {
		t.Errorf("%d trials, warnings %q", len(r.Trials), r.Warnings)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// What a person did is listed in order, marks included, and warned of unless only marks were set.
func TestSummariseTellsWhatWasDoneByHand(t *testing.T) {
	event := func(at float64, kind EventKind, data any) Event {
		e, err := NewEvent(at, kind, 0, "", data)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	mark := event(1, EventKey, map[string]string{"key": "mark"})
	for name, c := range map[string]struct {
		events []Event
		want   []Change
		warn   string
	}{
		"nothing":    {[]Event{event(1, EventKey, map[string]string{"key": "next"})}, nil, ""},
		"marks only": {[]Event{mark}, []Change{{OffsetS: 1, What: "mark"}}, ""},
		"one": {
			[]Event{mark, event(2, EventLoad, Change{What: "users", Before: 3, After: 4})},
			[]Change{{OffsetS: 1, What: "mark"}, {OffsetS: 2, What: "users", Before: 3, After: 4}},
			"changed by hand while it ran:",
		},
		"more": {
			[]Event{event(2, EventLoad, Change{What: "held", After: 1}), event(3, EventLoad, Change{What: "held", Before: 1})},
			[]Change{{OffsetS: 2, What: "held", After: 1}, {OffsetS: 3, What: "held", Before: 1}},
			"2 times",
		},
		"damaged": {[]Event{{OffsetS: 2, Kind: EventLoad, Data: json.RawMessage(`[]`)}}, nil, "was left out"},
	} {
		r := Summarise(&Run{Events: c.events})
		if diff := cmp.Diff(c.want, r.Changes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := strings.Join(r.Warnings, "; "); (got == "") != (c.warn == "") || !strings.Contains(got, c.warn) {
			t.Errorf("%s: warnings %q, want %q", name, got, c.warn)
		}
		if want := name == "one" || name == "more"; r.ChangedByHand() != want {
			t.Errorf("%s: changed by hand %v", name, !want)
		}
	}
}
