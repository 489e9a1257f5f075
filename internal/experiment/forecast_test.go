package experiment

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// forecaster is an experiment on services of its own, each used by one step.
func forecaster(t *testing.T, own Own, f *Fixed, services ...string) (*experiment, *record.Folder) {
	t.Helper()
	folder, err := record.Create(t.TempDir(), "x", "x", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &scenarios.Scenario{Name: "x"}
	for _, name := range services {
		s.Steps = append(s.Steps, scenarios.Step{Name: name, Service: name})
	}
	clock := record.NewClock()
	c := Config{
		Scenario: s, Target: &targets.Target{}, Clock: clock, Folder: folder, Fixed: f, Own: own, Observer: observe.New(observe.Config{Clock: clock}),
		Recorder: record.NewRecorder(record.RecorderConfig{Clock: clock, Steps: services}),
	}
	return &experiment{Config: c, progress: newProgress(c)}, folder
}

func TestDescriptorsAreForecast(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		own      Own
		fixed    *Fixed
		services []string
		fits     int // at a time; 0: refused is nothing
		warned   bool
	}{
		"room":                    {Own{Descriptors: 20, DescriptorLimit: 1024}, &Fixed{Users: 900, For: time.Second}, []string{"a"}, 0, false},
		"too many users":          {Own{Descriptors: 20, DescriptorLimit: 1024}, &Fixed{Users: 1000, For: time.Second}, []string{"a"}, 972, false},
		"two services":            {Own{Descriptors: 20, DescriptorLimit: 1024}, &Fixed{Users: 900, For: time.Second}, []string{"a", "b"}, 486, false},
		"fewer journeys":          {Own{Descriptors: 20, DescriptorLimit: 1024}, &Fixed{Users: 1000, Total: 50}, []string{"a"}, 0, false},
		"a ramp's peak":           {Own{DescriptorLimit: 100}, &Fixed{Ramp: &schedule.Ramp{Stages: []schedule.RampStage{{Users: 90, For: time.Second}, {For: time.Second}}}}, []string{"a"}, 68, false},
		"bounded arrivals":        {Own{DescriptorLimit: 100}, &Fixed{Plan: &schedule.Plan{}, RatePerSecond: 1, Connections: 80, For: time.Second}, []string{"a"}, 68, false},
		"arrivals may pile up":    {Own{DescriptorLimit: 100}, &Fixed{Plan: &schedule.Plan{}, RatePerSecond: 50, For: time.Minute}, []string{"a"}, 0, true},
		"arrivals never pile up":  {Own{DescriptorLimit: 100}, &Fixed{Plan: &schedule.Plan{}, RatePerSecond: 2, For: time.Minute}, []string{"a"}, 0, false},
		"a search within":         {Own{DescriptorLimit: 1056}, nil, []string{"a"}, 0, false},
		"a search may not":        {Own{DescriptorLimit: 1055}, nil, []string{"a"}, 0, true},
		"the limit is unknown":    {Own{Descriptors: 20}, &Fixed{Users: 1e6, For: time.Second}, []string{"a"}, 0, false},
		"already without a place": {Own{Descriptors: 200, DescriptorLimit: 100}, &Fixed{Users: 1, For: time.Second}, []string{"a"}, -1, false},
	} {
		e, _ := forecaster(t, x.own, x.fixed, x.services...)
		err := e.forecastDescriptors()
		var refused *DescriptorError
		if errors.As(err, &refused) != (x.fits != 0) {
			t.Errorf("%s: %v", name, err)
		}
		if refused != nil && refused.Free/refused.Endpoints != max(0, x.fits) {
			t.Errorf("%s: %s; %s", name, refused, refused.Hint())
		}
		if warned := len(e.progress.warnings) > 0; warned != x.warned {
			t.Errorf("%s: warnings %q", name, e.progress.warnings)
		}
	}
	e := &DescriptorError{Connections: 1000, Endpoints: 2, Free: 972, Limit: 1024}
	if s := e.Error() + " " + e.Hint(); !strings.Contains(s, "1000 connections at a time to each of 2 services") || !strings.Contains(s, "ulimit -n 2052") || !strings.Contains(s, "at most 486") {
		t.Error(s)
	}
}

// The error comes before anything is sent: the target is not even looked for.
func TestTooFewDescriptorsSendNothing(t *testing.T) {
	t.Parallel()
	e, _ := forecaster(t, Own{DescriptorLimit: 50}, &Fixed{Users: 100, For: time.Second}, "nowhere")
	e.Control = &Control{}
	var refused *DescriptorError
	if err := Run(t.Context(), e.Config); !errors.As(err, &refused) {
		t.Errorf("a load of 100 users with 50 descriptors: %v", err)
	}
}

func TestPortsAreForecast(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		own    Own
		opened int // of 40 requests
		rate   float64
		warned bool
	}{
		"kept alive":            {Own{Ports: 28232}, 2, 5000, false},
		"not kept":              {Own{Ports: 28232}, 40, 480, true},
		"not kept, but few":     {Own{Ports: 28232}, 40, 460, false},
		"from three addresses":  {Own{Ports: 28232, Sources: 3}, 40, 1200, false},
		"ports are unknown":     {Own{}, 40, 5000, false},
		"half of them are kept": {Own{Ports: 28232}, 20, 950, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, folder := forecaster(t, x.own, nil, "a")
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				e.Recorder.Run(ctx)
			}()
			for i := range 40 {
				now := e.Clock.Now()
				if i < x.opened {
					e.Recorder.Opened()
				}
				e.Recorder.Shard(0).Begin(now)
				e.Recorder.Shard(0).Add(record.Sample{Started: now, Intended: now, Connected: now, Done: now + 1e6})
			}
			time.Sleep(1500 * time.Millisecond)
			for range 2 { // told once
				e.forecastPorts(e.expected(trialSpec{mark: record.Load{RatePerSecond: x.rate}}))
			}
			if n := len(e.progress.warnings); n > 1 || (n == 1) != x.warned {
				t.Errorf("%s: warnings %q", name, e.progress.warnings)
			}
			cancel()
			<-done
			if err := folder.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExpectedRate(t *testing.T) {
	t.Parallel()
	e, _ := forecaster(t, Own{}, nil, "a", "b")
	if got := e.expected(trialSpec{mark: record.Load{Users: 4}}); got != 0 {
		t.Errorf("before anything is known: %v", got)
	}
	e.bases = map[string]Quiet{"a": {MedianMs: 100}, "b": {MedianMs: 100}}
	if got := e.expected(trialSpec{mark: record.Load{Users: 4}}); got != 40 { // 4 users, 2 requests in 0.2 s each
		t.Errorf("4 users: %v", got)
	}
	e.found = []search.Trial{{Action: search.Action{Kind: search.Closed, Phase: search.PhaseBaseline, Users: 1}, Window: search.Window{Seconds: 10, OK: 50}, Verdict: search.Verdict{Outcome: search.Pass}}}
	if got := e.expected(trialSpec{mark: record.Load{Users: 100}}); got != 20 { // twice 5 journeys of 2 requests
		t.Errorf("100 users of a target that gave 5 journeys a second: %v", got)
	}
}
