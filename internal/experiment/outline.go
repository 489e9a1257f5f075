package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// Outline is what a run would send, before anything is: pure, from the files and flags alone.
//
// A closed load sends as fast as it is answered, so its numbers are bounded only by how fast that can be: Answer is the least time
// a request is taken to need. Bounds are those of a target that answers so fast under any load; the search is played against it.
type Outline struct {
	Answer  time.Duration
	Carried float64 // highest goodput of the search's closed levels, journeys a second
	Stages  []OutlineStage
}

// OutlineStage is one load or one watch. Figures are upper bounds; Seconds 0: it ends by count.
type OutlineStage struct {
	Phase         string
	Load          record.Load
	Note          string // for people
	Seconds       float64
	Requests      uint64 // of the steps and of setup; health checks are not among them
	Writes        uint64 // of those, requests that may create a row: neither GET, HEAD nor OPTIONS
	PeakPerSecond float64
	Connections   int
}

// Sketch outlines a run. fixed is nil for the capacity plan. knee is how many users at a time the target serves as fast as one;
// math.Inf(1) gives the upper bounds. skipped are tests that are not made.
func Sketch(s *scenarios.Scenario, t *targets.Target, effort Effort, fixed *Fixed, answer time.Duration, knee float64, skipped ...string) Outline {
	k := sketch{Outline: Outline{Answer: answer}, shape: shapeOf(s, answer), knee: knee}
	if fixed != nil {
		k.fixed(fixed)
		return k.Outline
	}
	k.capacity(s, t, effort, skipped)
	return k.Outline
}

// shape is what one journey amounts to at most, or at least (shortest).
type shape struct {
	requests, writes           float64
	setupRequests, setupWrites float64 // once for each user
	shortest                   float64 // s
}

func shapeOf(s *scenarios.Scenario, answer time.Duration) shape {
	var out shape
	alternatives := false
	var altWrites, altThink float64
	end := func() {
		if alternatives {
			out.requests, out.writes, out.shortest = out.requests+1, out.writes+altWrites, out.shortest+answer.Seconds()+altThink
		}
		alternatives, altWrites, altThink = false, 0, math.Inf(1)
	}
	end()
	for _, x := range s.Steps {
		if x.Weight > 0 { // one of those that stand together is chosen
			alternatives = true
			altWrites, altThink = max(altWrites, writes(x)), min(altThink, x.Think.Seconds())
			continue
		}
		end()
		out.requests, out.writes, out.shortest = out.requests+1, out.writes+writes(x), out.shortest+answer.Seconds()+x.Think.Seconds()
	}
	end()
	for _, x := range s.Setup {
		out.setupRequests, out.setupWrites = out.setupRequests+1, out.setupWrites+writes(x)
	}
	return out
}

func writes(x scenarios.Step) float64 {
	switch x.Request.Method {
	case "", "GET", "HEAD", "OPTIONS":
		return 0
	}
	return 1
}

type sketch struct {
	Outline
	shape shape
	knee  float64
}

// carried is how many journeys a second so many users get.
func (k *sketch) carried(users int) float64 { return min(float64(users), k.knee) / k.shape.shortest }

// add appends a stage of so many journeys.
func (k *sketch) add(s OutlineStage, journeys float64, newUsers int) {
	s.Requests = upper(journeys*k.shape.requests + float64(newUsers)*k.shape.setupRequests)
	s.Writes = upper(journeys*k.shape.writes + float64(newUsers)*k.shape.setupWrites)
	k.Stages = append(k.Stages, s)
}

func upper(v float64) uint64 { return uint64(math.Ceil(min(max(v, 0)-1e-9, 1e15))) }

// closed is a load of users for a time: each begins its next journey when the last has ended, and one may be under way at the end.
func (k *sketch) closed(phase, note string, users int, seconds float64) {
	k.add(OutlineStage{
		Phase: phase, Note: note, Load: record.Load{Users: users}, Seconds: seconds, Connections: users,
		PeakPerSecond: k.carried(users) * k.shape.requests,
	}, min(float64(users)*math.Ceil(seconds/k.shape.shortest), math.Ceil(k.carried(users)*seconds)+float64(users)), users)
}

func (k *sketch) open(phase, note string, perSecond, seconds float64, connections int) {
	k.add(OutlineStage{
		Phase: phase, Note: note, Load: record.Load{RatePerSecond: perSecond}, Seconds: seconds, Connections: connections,
		PeakPerSecond: perSecond * k.shape.requests,
	}, math.Ceil(perSecond*seconds), connections)
}

func (k *sketch) fixed(f *Fixed) {
	switch {
	case f.Plan != nil:
		peak, connections := f.RatePerSecond, drive.DefaultInFlightCap
		for _, s := range f.Plan.Stages {
			peak = max(peak, s.From, s.To)
		}
		if f.Connections > 0 {
			connections = f.Connections
		}
		connections = int(min(uint64(connections), f.Plan.Count()))
		k.add(OutlineStage{
			Phase: PlanFixed, Load: record.Load{RatePerSecond: peak}, Seconds: f.For.Seconds(), Connections: connections,
			PeakPerSecond: peak * k.shape.requests,
		}, float64(f.Plan.Count()), connections)
	case f.Ramp != nil:
		k.closed(PlanFixed, "", f.Ramp.Peak(), f.Ramp.Length().Seconds())
	case f.Total > 0:
		k.add(OutlineStage{
			Phase: PlanFixed, Load: record.Load{Users: f.Users}, Connections: f.Users,
			PeakPerSecond: float64(f.Users) * k.shape.requests / k.shape.shortest,
		}, float64(f.Total), f.Users)
	default:
		k.closed(PlanFixed, "", f.Users, f.For.Seconds())
	}
}

// probing is a watch by functional probes, fresh and kept, each with a journey's requests, and nothing else.
func (k *sketch) probing(phase, note string, seconds float64) {
	every := probeInterval(1000 * k.shape.shortest).Seconds()
	k.add(OutlineStage{
		Phase: phase, Note: note, Seconds: seconds, Connections: 1 + int(scenarios.DefaultTimeout.Seconds()/every) + 1,
		PeakPerSecond: 2 * k.shape.requests / every,
	}, 2*(math.Ceil(seconds/every)+1), 2)
}

// capacity plays the search against a target that answers in Answer whatever the load, then lists the recovery test.
func (k *sketch) capacity(s *scenarios.Scenario, t *targets.Target, effort Effort, skipped []string) {
	quiet := paces[Quick].probes
	if p, ok := paces[effort]; ok {
		quiet = p.probes
	}
	k.add(OutlineStage{
		Phase: "quiet", Note: fmt.Sprintf("%d probes", quiet+3), Seconds: float64(quiet+3)*k.shape.shortest + idleSpan.Seconds(), Connections: 2,
		PeakPerSecond: k.shape.requests / k.shape.shortest,
	}, float64(quiet+3), 2)

	longest := (&experiment{Config: Config{Scenario: s}}).longest()
	plan := search.Plan{Effort: effort, QuietMs: 1000 * k.shape.shortest, TimeoutS: longest.Seconds()}
	x := &experiment{}
	for range mostTrials {
		a := plan.Next(x.found)
		if a.Kind != search.Closed && a.Kind != search.Open {
			break
		}
		per, mean, verdict := min(a.PerSecond, k.knee/k.shape.shortest), 1000*k.shape.shortest, search.Verdict{Outcome: search.Pass}
		if a.Kind == search.Closed {
			per = k.carried(a.Users)
			mean = 1000 * float64(a.Users) / per
			k.closed(a.Phase, "", a.Users, a.Warm+a.Measured)
		} else {
			if per < a.PerSecond {
				verdict = search.Verdict{Outcome: search.Fail, Reasons: []string{"backlog"}}
			}
			k.open(a.Phase, "", a.PerSecond, a.Warm+a.Measured, x.inFlightCap(a))
		}
		n := per * a.Measured
		x.found = append(x.found, search.Trial{Action: a, Verdict: verdict, Drain: search.Dry, Window: search.Window{
			Seconds: a.Measured, Offered: max(n, a.PerSecond*a.Measured), Completed: n, OK: n, MeanMs: mean, P50Ms: mean, P95Ms: mean,
		}})
	}
	if math.IsInf(k.knee, 1) {
		even, uneven := effort.Longest()
		k.closed(search.PhaseLevel, "if uneven", mostUsers(x.found), effort.Busy()+uneven-even)
	}
	k.Carried = search.Best(x.found)
	k.tests(s, search.Best(x.found), skipped)
	if !slices.Contains(skipped, record.TestTiers) {
		k.tiers(s, t, x.found)
	}
	users := search.OverloadUsers(x.found, t.OverloadUsers)
	k.recovery(recoveryOf(effort), users, search.Best(x.found), longest)
	if changeable(t) {
		k.altered(users, skipped)
	}
}

// changeable says whether captest can change a setting of the target.
func changeable(t *targets.Target) bool {
	return t.Bundled || slices.ContainsFunc(t.Services, func(s targets.Service) bool { return len(s.Knobs) > 0 })
}

// altered lists the loads under another setting, each after the probes that wait for the target to serve with it.
func (k *sketch) altered(users int, skipped []string) {
	for _, x := range []struct {
		note  string
		least time.Duration
	}{{record.TestKnob, knobLeast}, {record.TestElasticity, elasticityLeast}} {
		if slices.Contains(skipped, x.note) {
			continue
		}
		probes := math.Ceil(restartPatience.Seconds()/restartPause.Seconds()) + minProbes
		k.add(OutlineStage{
			Phase: PhaseTests, Note: x.note + ", until it serves", Seconds: restartPatience.Seconds(), Connections: 1,
			PeakPerSecond: k.shape.requests / k.shape.shortest,
		}, probes, 1)
		median := seconds(k.shape.shortest)
		k.closed(PhaseTests, x.note, users, (clamp(2*median, alteredWarm, alteredWarmMost) + clamp(4*median, x.least, alteredMost)).Seconds())
	}
}

// mostUsers of any trial, 1 at least.
func mostUsers(found []search.Trial) int {
	most := 1
	for i := range found {
		most = max(most, found[i].Action.Users)
	}
	return most
}

// tiers lists what the test of that name sends straight at each inner service.
func (k *sketch) tiers(s *scenarios.Scenario, t *targets.Target, found []search.Trial) {
	most := mostUsers(found)
	for _, d := range s.Direct {
		if to, ok := t.Find(d.Service); !ok || to.Name == t.Entry {
			continue
		}
		at, _ := s.DirectAt(d.Service)
		inner := sketch{Outline: Outline{Answer: k.Answer}, shape: shapeOf(at, k.Answer), knee: k.knee}
		note := "straight at " + d.Service
		inner.add(OutlineStage{
			Phase: PhaseTests, Note: note, Load: record.Load{Users: 1}, Seconds: tierAlone.Seconds(), Connections: 1, PeakPerSecond: inner.carried(1) * inner.shape.requests,
		}, tierJourneys+1, 0)
		inner.closed(PhaseTests, note, most, tierLoad(innerOf(s, t)).Seconds())
		k.Stages = append(k.Stages, inner.Stages...)
	}
}

// tests lists those made between search and overload on a target that carries so many journeys a second. All send the first step alone.
func (k *sketch) tests(s *scenarios.Scenario, best float64, skipped []string) {
	first := scenarios.Scenario{Steps: slices.Clone(s.Steps[:1]), Setup: s.Setup}
	first.Steps[0].Weight = 0
	one := shapeOf(&first, k.Answer)
	k.shape, one = one, k.shape
	defer func() { k.shape = one }()
	users := int(min(50, max(1, math.Ceil(k.Carried*k.shape.shortest))))
	for _, name := range []string{record.TestBurst, record.TestCoupling, record.TestShortCircuit, record.TestConnections} {
		if slices.Contains(skipped, name) {
			continue
		}
		switch name {
		case record.TestBurst:
			if n, repeats, each := burstSize(k.shape.shortest, best, math.Inf(1)); repeats >= 2 {
				k.add(OutlineStage{
					Phase: PhaseTests, Note: name, Seconds: float64(repeats) * each, Connections: n, PeakPerSecond: float64(n) / k.shape.shortest,
				}, float64(burstSingles+n*repeats), burstSingles+n*repeats)
			}
		case record.TestCoupling:
			k.open(PhaseTests, name, couplingShare*best, (couplingWarm + couplingMeasured).Seconds(), drive.DefaultInFlightCap)
		case record.TestShortCircuit:
			if s.Steps[0].Request.JSON != nil && writes(s.Steps[0]) > 0 {
				k.closed(PhaseTests, name, min(50, 2*users), shortLoaded.Seconds())
			}
		case record.TestConnections:
			k.closed(PhaseTests, name+", kept", users, connectionsLength.Seconds())
			k.closed(PhaseTests, name+", fresh", users, connectionsLength.Seconds())
		}
	}
}

// mostTrials of a search that is only played.
const mostTrials = 200

// recovery lists the test behind the search, as stages does it on a target that heals but takes all the time it is given.
func (k *sketch) recovery(p recoveryPace, users int, capacity float64, timeout time.Duration) {
	watch := max(p.watch, 2*timeout).Seconds()
	ladder := func(phase string) {
		if p.rung == 0 {
			return
		}
		for _, percent := range rungs {
			k.open(phase, fmt.Sprintf("%.0f %%", percent), percent/100*capacity, (rungWarm + p.rung).Seconds(), drive.DefaultInFlightCap)
		}
	}
	ladder("rungs-up")
	k.closed("overload", "patient", users, p.patient.Seconds())
	k.probing("recovery", "longest", watch)
	k.closed("abort", "impatient", users, p.aborting.Seconds())
	k.probing("recovery", "longest", watch)
	if p.rung > 0 {
		asked := 1
		if p.bisect {
			asked = 2
		}
		for range asked {
			k.open("overload", "150 %", 1.5*capacity, p.patient.Seconds(), drive.DefaultInFlightCap)
			k.open("recovery", "kept up", 0.75*capacity, watch, drive.DefaultInFlightCap)
			k.probing("recovery", "longest", watch)
		}
		ladder("rungs-down")
	}
	for range p.cycles {
		k.open("cycle", "", 0.5*capacity, cycleLength.Seconds(), drive.DefaultInFlightCap)
	}
	if p.cool > 0 {
		k.add(OutlineStage{Phase: "cool", Note: "no load", Seconds: p.cool.Seconds()}, 0, 0)
	}
}

// OutlineTotals sums an outline up.
type OutlineTotals struct {
	Requests, Writes uint64
	PeakPerSecond    float64
	Carried          float64 // journeys a second that the closed loads come to
	PeakUsers        int
	Connections      int     // at a time
	Seconds          float64 // of loads and watches that end by time
	ByCount          bool    // one of them does not: how long it lasts is the target's doing
}

// Totals of all stages, which come one after the other.
func (o Outline) Totals() OutlineTotals {
	t := OutlineTotals{Carried: o.Carried}
	for _, s := range o.Stages {
		t.Requests, t.Writes, t.Seconds = t.Requests+s.Requests, t.Writes+s.Writes, t.Seconds+s.Seconds
		t.PeakPerSecond, t.PeakUsers, t.Connections = max(t.PeakPerSecond, s.PeakPerSecond), max(t.PeakUsers, s.Load.Users), max(t.Connections, s.Connections)
		t.ByCount = t.ByCount || s.Seconds == 0
	}
	return t
}

// UsualLength of a capacity run on a target that answers so fast when quiet, waits a little above four users, and heals. skipped are
// tests that are not made.
func UsualLength(s *scenarios.Scenario, t *targets.Target, effort Effort, answer time.Duration, skipped ...string) time.Duration {
	c := Config{ // of which only the lengths are asked for
		Scenario: s, Target: t, NoTests: skipped, Asker: &drive.Prober{}, Direct: func(string) (Direct, error) { return nil, nil },
	}
	if changeable(t) {
		c.Change = func(context.Context, string, string, string) error { return nil }
	}
	quiet, late := c.testsAhead()
	return seconds(search.Plan{Effort: effort, QuietMs: 1000 * answer.Seconds()}.Remaining(nil)) + recoveryOf(effort).usual() + quiet + late
}
