package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

// altering is a crowded target whose places can be changed, and how long it takes, with what was asked of it.
type altering struct {
	crowded
	changes []string
	refuse  string             // value that cannot be set
	then    func(value string) // called when a value was set
	n, sum  float64            // calls, and their seconds, until the speed last changed
}

func (a *altering) change(_ context.Context, service, setting, value string) error {
	a.mu.Lock()
	a.n, a.sum = a.calls()
	a.changes = append(a.changes, service+"."+setting+"="+value)
	switch value {
	case a.refuse:
		a.mu.Unlock()
		return errors.New("no such unit; the last lines of its log:\n  | token=secret")
	case "16":
		a.places = 16
	case "8":
		a.places = 8
	case "200ms":
		a.slower = 2
	case "100ms":
		a.slower = 1
	}
	a.mu.Unlock()
	if a.then != nil {
		a.then(value)
	}
	return nil
}

// calls so far, ten a second, and the seconds they took with the wait for the pool.
func (a *altering) calls() (n, sum float64) {
	n = 10 * a.x.now().Seconds()
	return n, a.sum + (n-a.n)*(0.1*float64(max(1, a.slower))+0.05)
}

func (a *altering) scrape(string) (record.Scrape, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, sum := a.calls()
	return record.Scrape{OffsetS: a.x.now().Seconds(), Service: "main", Values: map[string]float64{
		`http_client_request_duration_seconds_count{downstream="bank"}`: n,
		`http_client_request_duration_seconds_sum{downstream="bank"}`:   sum,
		`http_client_pool_wait_seconds_total{downstream="bank"}`:        n * 0.05,
	}}, true
}

var (
	places = KnobTest{Knob: Knob{"main", "pool.bank", "8", "16"}, PerSecond: 160, Low: 130, High: 190, Limit: "main CPU", KneeUsers: 16}
	longs  = TimeTest{Knob: Knob{"bank", "time", "100ms", "200ms"}, Caller: "main", Callee: "bank", HoldS: 0.1, TellsApart: true}
)

// alter runs the capacity plan with what is suspected.
func alter(t *testing.T, a *altering, s Suspicion, change func(*experiment)) (*record.Run, *record.Result, map[string]record.Test) {
	t.Helper()
	a.outcome = carried
	a.crowded.change = func(x *experiment) {
		x.Engine, x.Prober, x.Change = a, a, a.change
		x.Suspect = func() (Suspicion, error) { return s, nil }
		if change != nil {
			change(x)
		}
	}
	run, res := ride(t, &a.crowded, nil, false)
	tests := map[string]record.Test{}
	for _, e := range run.Events {
		var found record.Test
		if e.Kind == record.EventTest && json.Unmarshal(e.Data, &found) == nil {
			tests[found.Name] = found
		}
	}
	return run, res, tests
}

// near allows for users that are answered all at once: one round more or less of them falls into a window.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.15*math.Abs(want) {
		t.Errorf("%s is %.4g, want about %.4g", what, got, want)
	}
}

// Where the knob was tested and no other cause is in doubt, nothing is restarted for the elasticity.
func TestElasticityIsSparedWhereNothingIsInDoubt(t *testing.T) {
	a := &altering{}
	clear := longs
	clear.TellsApart = false
	_, _, tests := alter(t, a, Suspicion{Knob: &places, Time: &clear}, func(x *experiment) { x.Latest = a.scrape })
	if got := tests[record.TestElasticity]; !strings.Contains(got.Skipped, "tells nothing apart") || tests[record.TestKnob].Skipped != "" || len(a.changes) != 2 {
		t.Errorf("elasticity %+v after %q", got, a.changes)
	}
}

// Twice the places carry twice as much, twice the time half; both are put back, and neither is seen by what is measured before.
func TestSettingsAreChangedMeasuredAndPutBack(t *testing.T) {
	a := &altering{}
	run, res, tests := alter(t, a, Suspicion{Knob: &places, Time: &longs}, func(x *experiment) { x.Latest = a.scrape })
	knob, elasticity := tests[record.TestKnob], tests[record.TestElasticity]
	near(t, "throughput before", knob.Values["before_per_second"], 80)
	near(t, "throughput with 16 places", knob.Values["after_per_second"], 160)
	near(t, "throughput predicted", knob.Values["predicted_per_second"], 160)
	if w := knob.Words; knob.Where != "main" || w["knob"] != "pool.bank" || w["from"] != "8" || w["to"] != "16" || w["limit"] != "main CPU" {
		t.Errorf("knob %+v", knob)
	}
	near(t, "throughput at half the speed", elasticity.Values["after_per_second"], 40)
	near(t, "elasticity", elasticity.Values["elasticity"], -1)
	near(t, "a call then, without its wait for the pool", elasticity.Values["after_call_ms"], 200)
	if want := []string{"main.pool.bank=16", "main.pool.bank=8", "bank.time=200ms", "bank.time=100ms"}; !slices.Equal(a.changes, want) {
		t.Errorf("changed %q, want %q", a.changes, want)
	}
	var settings, held []int
	for i, e := range run.Events {
		switch e.Kind {
		case record.EventSetting:
			settings = append(settings, i)
		case record.EventTrialStart:
			if res.Trials[e.Trial].Phase == PhaseTests {
				held = append(held, i)
			}
		case record.EventRecovery:
			if len(settings) > 0 {
				t.Error("a setting was changed before the recovery test was over")
			}
		}
	}
	if len(settings) != 4 || len(held) != 2 || !(settings[0] < held[0] && held[0] < settings[1] && settings[2] < held[1] && held[1] < settings[3]) {
		t.Errorf("settings changed at events %v, loads held at %v", settings, held)
	}
	near(t, "highest goodput of the run", *res.Capacity.MaxPerSecond, 80)
	own := run.Unaltered()
	if at := run.Events[settings[0]].OffsetS; len(own.Frames) == len(run.Frames) || own.Frames[len(own.Frames)-1].OffsetS > at {
		t.Errorf("%d frames of %d are of the target as it was until %.1f s", len(own.Frames), len(run.Frames), at)
	}
}

// The knob's restart begins the caller's counters anew: what it showed before is another process's.
func TestElasticityLooksAtOneProcess(t *testing.T) {
	a := &altering{}
	var began, n, sum float64
	a.then = func(value string) {
		if value == "8" {
			a.mu.Lock()
			began = a.x.now().Seconds()
			n, sum = a.calls()
			a.mu.Unlock()
		}
	}
	var last record.Scrape
	_, _, tests := alter(t, a, Suspicion{Knob: &places, Time: &longs}, func(x *experiment) {
		x.Latest = func(service string) (record.Scrape, bool) {
			s, _ := a.scrape(service)
			a.mu.Lock()
			defer a.mu.Unlock()
			s.Values[processStarted] = 1000 + began
			if began > 0 { // and it is read late
				s.Values[callCount+`{downstream="bank"}`] -= n
				s.Values[callSeconds+`{downstream="bank"}`] -= sum
				s.Values[poolWait+`{downstream="bank"}`] -= 0.05 * n
			}
			if last.Values == nil || s.OffsetS >= last.OffsetS+1 && (began == 0 || s.OffsetS > began+2.5) {
				last = s
			}
			return last, true
		}
	})
	got := tests[record.TestElasticity]
	near(t, "a call of the second process", got.Values["after_call_ms"], 200)
}

func TestSettingsThatCannotBeTested(t *testing.T) {
	for _, c := range []struct {
		name    string
		refuse  string
		s       Suspicion
		change  func(*experiment)
		says    [2]string // of the knob, of the elasticity
		changes []string
	}{
		{
			name: "no command", s: Suspicion{Knob: &places}, change: func(x *experiment) { x.Change = nil },
			says: [2]string{"no command that changes a setting", "no command that changes a setting"},
		},
		{
			name: "not wanted", s: Suspicion{Knob: &places}, change: func(x *experiment) { x.NoTests = []string{record.TestKnob, record.TestElasticity} },
			says: [2]string{"not wanted", "not wanted"},
		},
		{name: "nothing suspected", s: Suspicion{NoKnob: "all is well", NoTime: "indeed"}, says: [2]string{"all is well", "indeed"}},
		{
			name: "not explained", change: func(x *experiment) { x.Suspect = func() (Suspicion, error) { return Suspicion{}, errors.New("torn") } },
			says: [2]string{"torn", "torn"},
		},
		{
			name: "refused", refuse: "16", s: Suspicion{Knob: &places, NoTime: "no"},
			says: [2]string{"main.pool.bank could not be set to 16", "no"}, changes: []string{"main.pool.bank=16", "main.pool.bank=8"},
		},
		{
			name: "makes no call longer", s: Suspicion{NoKnob: "no", Time: &TimeTest{Knob: longs.Knob, Caller: "main", Callee: "bank", HoldS: 0.2}},
			says: [2]string{"no", "took no longer"}, changes: []string{"bank.time=200ms", "bank.time=100ms"},
		},
		{
			name: "a target that did not come back", s: Suspicion{Knob: &places}, change: func(x *experiment) { x.care.watch = 0; x.Prober = gonePast{x.Prober, x} },
			says: [2]string{"did not come back", "did not come back"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &altering{refuse: c.refuse}
			_, _, tests := alter(t, a, c.s, func(x *experiment) {
				x.Latest = a.scrape
				if c.change != nil {
					c.change(x)
				}
			})
			for i, name := range []string{record.TestKnob, record.TestElasticity} {
				if got := tests[name]; !strings.Contains(got.Skipped, c.says[i]) || c.says[i] == "" || got.Values != nil {
					t.Errorf("%s: %+v, want it skipped: %s", name, got, c.says[i])
				}
			}
			if !slices.Equal(a.changes, c.changes) {
				t.Errorf("changed %q, want %q", a.changes, c.changes)
			}
		})
	}
}

// gonePast answers no functional probe once the overload has begun.
type gonePast struct {
	Prober
	x *experiment
}

func (g gonePast) Walk(ctx context.Context, onFresh bool, timeout time.Duration) []record.Probe {
	out := g.Prober.Walk(ctx, onFresh, timeout)
	if len(g.x.progress.current()) > 0 && slices.Contains([]string{"release", "recovery", "overload", PhaseTests}, g.x.progress.current()) {
		out[0].OK, out[0].Error = false, record.ErrorTimeout.String()
	}
	return out
}

// A person who ends the run while a setting is changed gets it back all the same, and is told when that fails.
func TestSettingsArePutBackOnInterrupt(t *testing.T) {
	for _, refuse := range []string{"", "8"} {
		a := &altering{refuse: refuse}
		a.want = ErrInterrupted
		a.then = func(value string) {
			if value == "16" {
				a.x.Control.Quit()
			}
		}
		run, _, tests := alter(t, a, Suspicion{Knob: &places, Time: &longs}, nil)
		if want := []string{"main.pool.bank=16", "main.pool.bank=8"}; !slices.Equal(a.changes, want) || tests[record.TestKnob].Name != "" || tests[record.TestElasticity].Name != "" {
			t.Errorf("changed %q, want %q; tests %v", a.changes, want, tests)
		}
		told := slices.ContainsFunc(run.Events, func(e record.Event) bool {
			return e.Kind == record.EventWarning && strings.Contains(e.Text, "main.pool.bank could not be put back to 8 and may still stand at 16: no such unit")
		})
		if told != (refuse != "") {
			t.Errorf("told that it was not put back: %v", told)
		}
	}
}

// A setting that stays changed ends the tests: the next would measure another target without knowing.
func TestNothingIsTestedAfterASettingThatStays(t *testing.T) {
	a := &altering{refuse: "8"}
	run, _, tests := alter(t, a, Suspicion{Knob: &places, Time: &longs}, nil)
	if got := tests[record.TestKnob]; got.Values == nil {
		t.Errorf("knob %+v, want its figures", got)
	}
	const want = "main.pool.bank could not be put back to 8 and may still stand at 16"
	if got := tests[record.TestElasticity]; got.Skipped != want {
		t.Errorf("elasticity %+v, want it skipped: %s", got, want)
	}
	if !slices.ContainsFunc(run.Events, func(e record.Event) bool {
		return e.Kind == record.EventWarning && strings.Contains(e.Text, want+": no such unit")
	}) {
		t.Error("nobody was told")
	}
	if slices.ContainsFunc(run.Events, func(e record.Event) bool { return strings.Contains(e.Text, "secret") }) {
		t.Error("a service's log is in the events")
	}
}
