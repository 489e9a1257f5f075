package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// fixedRun runs a fixed load on a stub while does happens, and gives the run folder read back and its result.
func fixedRun(t *testing.T, f *Fixed, does func(c *Control, r *record.Recorder)) (*record.Run, *record.Result) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) }))
	defer server.Close()
	target := &targets.Target{Name: "stub", Entry: "main", Services: []targets.Service{{Name: "main", URL: server.URL}}}
	s := &scenarios.Scenario{Name: "get", Steps: []scenarios.Step{{Name: "get", Request: scenarios.Request{Path: scenarios.Literal("/")}}}}
	folder, err := record.Create(t.TempDir(), "get", "stub", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	clock := record.NewClock()
	head, err := record.NewEvent(0, record.EventRun, -1, "", record.RunInfo{ID: "x", Plan: PlanFixed})
	if err != nil {
		t.Fatal(err)
	}
	folder.Event(head)
	end, err := record.NewEvent(9, record.EventEnd, -1, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := drive.NewHTTP(drive.Config{Scenario: s, Target: target, Identity: drive.NewIdentity(1, "get", nil), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	rec := record.NewRecorder(record.RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"get"}})
	observer := observe.New(observe.Config{Target: target, Guard: &targets.Guard{}, Folder: folder, Clock: clock})
	ctx, cancel := context.WithCancel(t.Context())
	var background, person sync.WaitGroup
	background.Go(func() { rec.Run(ctx) })
	c := &Control{}
	person.Go(func() { does(c, rec) })
	err = Run(t.Context(), Config{
		Scenario: s, Target: target, Guard: &targets.Guard{}, Engine: engine, Recorder: rec, Folder: folder, Observer: observer,
		Clock: clock, Control: c, Fixed: f,
	})
	person.Wait()
	cancel()
	background.Wait()
	if err != nil {
		t.Fatal(err)
	}
	folder.Event(end)
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := record.Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return run, record.Summarise(run)
}

// long is how long a load lasts that its test ends when it has seen enough: no machine is too slow to see it.
const long = 5 * time.Minute

// sees waits for what the screen must come to show.
func sees(t *testing.T, r *record.Recorder, what string, is func(*record.Snapshot) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(r.Snapshot()); time.Sleep(2 * time.Millisecond) {
		if s := r.Snapshot(); time.Now().After(deadline) {
			t.Errorf("the screen never shows %s: phase %s, %+v, held %t, steered by %q, done %t", what, s.Phase, s.Load, s.Held, s.Steer, s.Done)
			return
		}
	}
}

func TestAChangeByHandIsSeenWrittenAndTold(t *testing.T) {
	run, res := fixedRun(t, &Fixed{Users: 2, For: long}, func(c *Control, r *record.Recorder) {
		sees(t, r, "two users", func(s *record.Snapshot) bool { return s.Load.Users == 2 && s.Steer == record.ChangedUsers })
		for _, steps := range []int{1, 10} {
			if err := c.Turn(steps); err != nil {
				t.Error(err)
			}
		}
		sees(t, r, "thirteen", func(s *record.Snapshot) bool { return s.Load.Users == 13 })
		if err := c.Hold(); err != nil {
			t.Error(err)
		}
		sees(t, r, "the hold", func(s *record.Snapshot) bool { return s.Held && s.Load.Users == 13 })
		time.Sleep(50 * time.Millisecond)
		if err := c.Hold(); err != nil {
			t.Error(err)
		}
		sees(t, r, "its end", func(s *record.Snapshot) bool { return !s.Held })
		c.Next()
		sees(t, r, "the end", func(s *record.Snapshot) bool { return s.Done })
		if c.Turn(1) == nil || c.Hold() == nil {
			t.Error("a load that is over was changed")
		}
	})
	var got []string
	for _, e := range run.Events {
		if e.Kind == record.EventLoad {
			var x record.Change
			if err := json.Unmarshal(e.Data, &x); err != nil {
				t.Error(err)
			}
			got = append(got, e.Text)
		}
	}
	if want := "3 users instead of 2, 13 users instead of 3, the load is held, the load goes on"; strings.Join(got, ", ") != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if len(res.Changes) != 4 || res.Changes[1].Before != 3 || res.Changes[1].After != 13 || res.Changes[2].What != record.ChangedHold {
		t.Errorf("changes %+v", res.Changes)
	}
	if !slices.ContainsFunc(res.Warnings, func(w string) bool { return strings.Contains(w, "changed by hand while it ran, 4 times") }) {
		t.Errorf("warnings %q", res.Warnings)
	}
	loads := map[string]bool{}
	for _, f := range run.Frames {
		if f.Trial == 0 {
			loads[fmt.Sprint(f.Phase, " ", f.Users)] = true
		}
	}
	for _, want := range []string{"fixed 2", "fixed 13", "held 0"} {
		if !loads[want] {
			t.Errorf("no frame under %q in %v", want, loads)
		}
	}
	if len(res.Trials) != 1 || res.Trials[0].N == 0 || res.Trials[0].Load.Users != 2 {
		t.Errorf("trials %+v", res.Trials)
	}
}

func TestAnOpenLoadIsTurnedByPercent(t *testing.T) {
	plan, err := schedule.Fixed(100, long, schedule.Constant, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, res := fixedRun(t, &Fixed{Plan: plan, For: long, RatePerSecond: 100}, func(c *Control, r *record.Recorder) {
		sees(t, r, "the rate", func(s *record.Snapshot) bool { return s.Load.RatePerSecond == 100 && s.Steer == record.ChangedRate })
		if err := c.Turn(-10); err != nil {
			t.Error(err)
		}
		sees(t, r, "the new rate", func(s *record.Snapshot) bool { return s.Load.RatePerSecond > 89.9 && s.Load.RatePerSecond < 90.1 })
		c.Next()
	})
	if len(res.Changes) != 1 || res.Changes[0].What != record.ChangedRate || res.Changes[0].Before != 100 {
		t.Errorf("changes %+v", res.Changes)
	}
}

func TestTheSearchIsNotSteered(t *testing.T) {
	if err := (&Control{}).Turn(1); err == nil {
		t.Error("something was changed where nothing runs")
	}
	if why := whyFixed(Config{}); why != "the search decides the load; use n or q" {
		t.Errorf("the screen says %q", why)
	}
	if why := whyFixed(Config{Fixed: &Fixed{}, Engine: &drive.Vegeta{}}); !strings.Contains(why, "vegeta") {
		t.Errorf("the screen says %q", why)
	}
}

func TestStagesOfUsersAreToldAndRun(t *testing.T) {
	f := &Fixed{Ramp: &schedule.Ramp{Stages: []schedule.RampStage{{Users: 6, For: 600 * time.Millisecond}, {Users: 0, For: 600 * time.Millisecond}}}}
	if got := f.Describe(); got != "0→6→0 users in stages over 1.2s" {
		t.Errorf("%q", got)
	}
	_, res := fixedRun(t, f, func(_ *Control, r *record.Recorder) {
		sees(t, r, "users on the way", func(s *record.Snapshot) bool { return s.Load.Users > 0 && s.Load.Users < 6 || s.Done })
	})
	if len(res.Trials) != 1 || res.Trials[0].N == 0 || res.Trials[0].Load.Users != 6 || len(res.Changes) != 0 || len(res.Warnings) != 0 {
		t.Errorf("trials %+v, warnings %q", res.Trials, res.Warnings)
	}
}
