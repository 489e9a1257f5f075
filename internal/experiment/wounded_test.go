package experiment

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// wounding asks as asking does; what its test is told to leaves the target stuck.
type wounding struct {
	asking
	burst bool
}

func (w *wounding) stick() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.stuck = true
}

func (w *wounding) Burst(ctx context.Context, n int, path string, timeout time.Duration) ([]drive.Asked, error) {
	if w.burst {
		w.stick()
	}
	return w.asking.Burst(ctx, n, path, timeout)
}

// Send is that of an inner service.
func (w *wounding) Send(ctx context.Context, load drive.DirectLoad) (drive.DirectResult, error) {
	w.stick()
	return innerStub{ms: 100, loads: new([]drive.DirectLoad)}.Send(ctx, load)
}

func (w *wounding) Close() {}

// phasesOf lists the phases of a run and of its loads, in order, and the tests by name and where they were made.
func phasesOf(run *record.Run) (phases []string, tests map[string]record.Test) {
	tests = map[string]record.Test{}
	for _, e := range run.Events {
		var p struct {
			Phase string `json:"phase"`
		}
		var x record.Test
		switch {
		case e.Kind == record.EventTest && json.Unmarshal(e.Data, &x) == nil:
			tests[strings.TrimSpace(x.Name+" "+x.Where)] = x
		case (e.Kind == record.EventPhase || e.Kind == record.EventTrialStart) && json.Unmarshal(e.Data, &p) == nil && p.Phase != "":
			phases = append(phases, p.Phase)
		}
	}
	return phases, tests
}

// A target that a test left unwell is asked for nothing more, least of all for an overload: it is watched.
func TestNoLoadAfterATestThatWounds(t *testing.T) {
	for name, burst := range map[string]bool{"burst": true, "tiers": false} {
		t.Run(name, func(t *testing.T) {
			w := &wounding{burst: burst}
			w.servers = 8
			c := &crowded{outcome: carried, stays: true, asker: w}
			w.c = c
			c.change = func(x *experiment) {
				for _, name := range []string{"billing", "kill-bill"} {
					x.Scenario.Direct = append(x.Scenario.Direct, scenarios.Direct{Service: name, Steps: []scenarios.Step{{Name: "in"}}})
					x.Target.Services = append(x.Target.Services, targets.Service{Name: name, URL: "http://127.0.0.1:2"})
				}
				x.Direct = func(string) (Direct, error) { return w, nil }
			}
			run, res := ride(t, c, nil, false)
			phases, tests := phasesOf(run)
			if slices.Contains(phases, "overload") || !slices.Contains(phases, PhaseTests) {
				t.Errorf("phases %q, want tests and no overload", phases)
			}
			skipped := []string{"tiers kill-bill"}
			if burst {
				skipped = append(skipped, "coupling", "short-circuit", "connections", "tiers billing")
			}
			for _, name := range skipped {
				if !strings.Contains(tests[name].Skipped, "did not come to rest") {
					t.Errorf("%s: %+v, want it skipped", name, tests[name])
				}
			}
			if res.Recovery == nil || res.Recovery.Class != record.Stuck || len(res.Recovery.Triggers) != 1 {
				t.Errorf("recovery %+v, want one watch of a stuck target", res.Recovery)
			}
		})
	}
}

// The brake ends the tests as it ends the search, and says so.
func TestABrakeInATestEndsThePlan(t *testing.T) {
	a := &asking{servers: 8}
	c := &crowded{asker: a}
	a.c = c
	c.outcome = func(int, int) record.Sample {
		if c.x.progress.current() == PhaseTests {
			return record.Sample{Error: record.ErrorStatus, Status: 500, Flags: record.Reused}
		}
		return record.Sample{Flags: record.Reused}
	}
	run, res := ride(t, c, nil, false)
	phases, tests := phasesOf(run)
	if len(res.Brakes) != 1 || !res.Brakes[0].EndedPlan || res.Brakes[0].Phase != PhaseTests {
		t.Fatalf("brakes %+v, want one in a test", res.Brakes)
	}
	if slices.Contains(phases, "overload") || len(a.crowds) > 0 {
		t.Errorf("the plan went on: phases %q, crowds %v", phases, a.crowds)
	}
	if !strings.Contains(tests["coupling main"].Skipped, "brake pulled") || !strings.Contains(tests["connections"].Skipped, "brake was pulled") {
		t.Errorf("tests %+v", tests)
	}
	if res.Recovery == nil || res.Recovery.Class != record.SelfHealing || len(res.Recovery.Triggers) != 1 {
		t.Errorf("recovery %+v, want one watch", res.Recovery)
	}
}

// A verdict that has been reached is written, also when the run is ended while the gauges are read after it.
func TestAnEndInTheRestKeepsTheVerdict(t *testing.T) {
	watch := func(quit float64) (*record.Run, *record.Result) {
		c := &crowded{outcome: beyond(4, record.ErrorStatus, 0)}
		if quit > 0 {
			c.want = ErrInterrupted
		}
		c.change = func(x *experiment) {
			x.Latest = func(string) (record.Scrape, bool) {
				at := x.now().Seconds()
				if quit > 0 && at >= quit {
					x.Control.Quit()
				}
				if at > 5 { // it is read no more: the rest waits for it as long as it ever does
					at = 5
				}
				return record.Scrape{OffsetS: at, Service: "main", Values: map[string]float64{"process_open_fds": 5}}, true
			}
		}
		return ride(t, c, nil, false)
	}
	run, res := watch(0)
	i := slices.IndexFunc(run.Events, func(e record.Event) bool { return e.Kind == record.EventRecovery })
	if i < 0 || res.Recovery.Class != record.SelfHealing {
		t.Fatalf("recovery %+v", res.Recovery)
	}
	if _, res := watch(run.Events[i].OffsetS - 2); res.Recovery == nil || res.Recovery.Class != record.SelfHealing {
		t.Errorf("ended 2 s before that: recovery %+v", res.Recovery)
	}
}
