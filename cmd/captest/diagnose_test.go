package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

// flatRun is a run folder of a service with one event loop that hashes: 5 journeys a second whatever the users.
func flatRun(t *testing.T) string {
	t.Helper()
	f, err := record.Create(t.TempDir(), "registration", "reference", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	event := func(at float64, kind record.EventKind, trial int, data any) {
		e, err := record.NewEvent(at, kind, trial, "", data)
		if err != nil {
			t.Fatal(err)
		}
		f.Event(e)
	}
	event(0, record.EventRun, -1, record.RunInfo{ID: "flat", Scenario: "registration", Target: "reference", Plan: "capacity", Profile: "before", Host: record.Host{CPUs: 2, Colocated: true}, Steps: []string{"register"}})
	busy, waited, hashes := 0.0, 0.0, 0.0
	for at := range 50 {
		trial, users, ok := -1, 0, uint64(0)
		switch {
		case at >= 10 && at < 25:
			trial, users, ok = 0, 1, 2
		case at >= 25:
			trial, users, ok = 1, 10, 5
		}
		phase := map[int]string{-1: "quiet", 0: "baseline", 1: "level"}[trial]
		if at == 10 || at == 25 {
			if trial > 0 {
				event(float64(at), record.EventTrialEnd, trial-1, record.TrialEnd{Verdict: "pass"})
			}
			event(float64(at), record.EventTrialStart, trial, record.TrialStart{Phase: phase, Load: record.Load{Users: users}, Seconds: 15})
		}
		h := record.NewHistogram()
		for range ok {
			h.RecordMs(200 * float64(users))
		}
		took, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		f.Frame(record.Frame{
			OffsetS: float64(at), Seconds: 1, Trial: trial, Phase: phase, Users: users, InFlight: users, InFlightMean: float64(users),
			Steps: map[string]*record.StepFrame{"register": {N: ok, OK: ok, Response: took, Service: took}},
		})
		f.Scrape(record.Scrape{OffsetS: float64(at) + .1, Service: "user", Ms: 5, Values: map[string]float64{
			`event_loop_busy_seconds_total{worker="0"}`: busy, `event_loop_wait_seconds_total{worker="0"}`: waited, "hash_seconds_total": hashes / 5.2, "hashes_total": hashes,
			"process_cpu_seconds_total": busy, "go_sched_gomaxprocs_threads": 2, "hash_pool_size": 0,
		}})
		busy += float64(ok) / 5.02
		hashes += float64(ok)
		if users > 1 {
			waited += float64(users - 1)
		}
	}
	event(50, record.EventTrialEnd, 1, record.TrialEnd{Verdict: "pass"})
	event(50, record.EventValidity, -1, record.Validity{Valid: true, Reasons: []string{}})
	event(50, record.EventEnd, -1, map[string]string{"reason": "done"})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Dir()
}

// TestDiagnoseCommand: cause and forecast from a folder alone, twice the same, and nothing written into it.
func TestDiagnoseCommand(t *testing.T) {
	t.Parallel()
	dir := flatRun(t)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "diagnose", dir, "--what-if", "user.hash=pool", "--what-if", "user.cores=4")
	if code := p.wait(); code != 0 {
		t.Fatalf("exit %d\n%s", code, p.stderr.String())
	}
	for _, want := range []string{"event-loop-blocked", "WHAT IF", "user.hash=pool, user.cores=4", "after: at most 20.1/s (17.1–23.1), limited by user CPU"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, p.stdout.String())
		}
	}
	var first []byte
	for range 2 {
		p := start(t, "diagnose", "--json", "--users", "20", dir)
		if code := p.wait(); code != 0 {
			t.Fatalf("exit %d\n%s", code, p.stderr.String())
		}
		var got struct {
			Findings []record.Finding
			Ceilings []record.Ceiling
			WhatIf   *struct {
				Users int
			} `json:"what_if"`
		}
		if err := json.Unmarshal(p.stdout.Bytes(), &got); err != nil {
			t.Fatalf("%v in\n%s", err, p.stdout.String())
		}
		if len(got.Findings) != 1 || got.Findings[0].Cause != "event-loop-blocked" || len(got.Ceilings) == 0 || got.WhatIf == nil || got.WhatIf.Users != 20 {
			t.Errorf("got %+v", got)
		}
		if first == nil {
			first = p.stdout.Bytes()
		}
		if !bytes.Equal(first, p.stdout.Bytes()) {
			t.Error("two diagnoses of one folder differ")
		}
	}
	if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
		t.Errorf("the folder has %d files, and had %d (%v)", len(after), len(before), err)
	}
}

func TestDiagnoseRefuses(t *testing.T) {
	t.Parallel()
	dir := flatRun(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{filepath.Join(dir, "nothing")}, "not a run folder"},
		{[]string{dir, "--what-if", "user.coers=8"}, "possible in this run: user.cores=N"},
		{[]string{dir, "--what-if", "user.cores=no"}, "not a number"},
		{[]string{dir, "--users", "-3"}, "1 to 2000 users"},
		{[]string{}, "arg"},
	} {
		p := start(t, append([]string{"diagnose"}, tt.args...)...)
		if code := p.wait(); code != 104 || !strings.Contains(p.stderr.String(), tt.want) {
			t.Errorf("%q: exit %d, want 104 and %q in\n%s", tt.args, code, tt.want, p.stderr.String())
		}
	}
}
