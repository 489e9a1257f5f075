package experiment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// Classify names what happened after one trigger. It never says STUCK before the longest watch is over.
func (a Aftermath) Classify() record.Trigger {
	v := a.judge()
	t := record.Trigger{WatchedSeconds: max(0, a.NowS-a.ReleasedS), ReleasedS: a.ReleasedS}
	if a.ExpectedDrain > 0 {
		t.ExpectedDrainSeconds = ref(a.ExpectedDrain)
	}
	if len(a.after("health")) > 0 {
		h := a.health()
		t.Health, t.HealthDeceptionSeconds = &h, ref(h.Deceptive)
	}
	switch {
	case v.recovered:
		t.Seconds = ref(v.seconds)
		t.Class, t.Summary = record.Slow, fmt.Sprintf("answers as before the load again after %.1f s", v.seconds)
		if v.seconds <= max(10, 2*a.ExpectedDrain) {
			t.Class = record.SelfHealing
		} else if !a.Background {
			t.Timer = a.timer(v.seconds)
		}
		if t.Timer != nil {
			t.Summary += fmt.Sprintf("; that is the length of a timer: %.4g s, %s", t.Timer.Seconds, t.Timer.What)
		}
		if t.Class == record.Slow && a.StalledS > 0 { // how much of it was captest's nobody knows
			t.Class, t.Seconds, t.Timer = record.NotTested, nil, nil
			t.Summary = search.StoodStill(a.StalledS) + " during the watch: when the target came back is not known; run it again"
		}
		a.restarted(&t, v)
	case !v.settled:
		t.Class, t.Summary = record.NotTested, fmt.Sprintf("the watch ended after %.0f s, too early for a verdict", t.WatchedSeconds)
	default:
		a.stuckOrDegraded(&t)
	}
	return t
}

// restarted tells a target that healed from one whose process was replaced. Replaced after it had failed for a while without
// load, it was stuck until somebody restarted it; replaced before that, it died of the load.
func (a Aftermath) restarted(t *record.Trigger, v watchVerdict) {
	for _, r := range a.Restarts {
		if r.AtS < a.TriggeredS || r.AtS > v.startS+a.WindowS {
			continue
		}
		ok, n := count(a.after("functional"), a.ReleasedS, r.AtS, "")
		if n >= minProbes && 2*ok < n && r.AtS >= a.ReleasedS+10 {
			t.Class, t.Timer = record.StuckRestart, nil
			t.Summary = fmt.Sprintf("failed without any load until %s was restarted, not by captest, %.0f s after it", r.Service, r.AtS-a.ReleasedS)
			return
		}
		t.Class, t.SubClass, t.Timer = record.Crashed, "restarted", nil
		t.Summary = fmt.Sprintf("the process of %s was replaced by a new one; %s", r.Service, strings.Split(t.Summary, ";")[0])
		return
	}
}

// minProbes without which nothing is concluded: fewer cannot tell a working service from luck (5 of 5 still allows 45 %
// failures at 95 %), but a slow target gets few probes, and the relapse watch doubles them.
const minProbes = 5

// stuckOrDegraded tells a service that no longer works from one that works worse than before.
func (a Aftermath) stuckOrDegraded(t *record.Trigger) {
	for _, r := range a.Restarts {
		if r.AtS >= a.TriggeredS {
			t.Class, t.SubClass = record.Crashed, "restarted"
			t.Summary = fmt.Sprintf("the process of %s was replaced by a new one, and %.0f s after the load it is not as before it", r.Service, t.WatchedSeconds)
			return
		}
	}
	last := a.NowS - max(2*a.WindowS, 10)
	f := a.after("functional")
	if f = slices.DeleteFunc(f, func(p record.Probe) bool { return p.OffsetS < last && p.OffsetS+p.Ms/1000 < last }); len(f) == 0 {
		f = a.after("functional") // every probe hung: the last word is an old one
	}
	broken, scope := a.brokenSteps(f), a.connectionScope()
	if len(f) > 0 && len(broken) == 0 && scope == "" {
		t.Class = record.Degraded
		t.Summary = fmt.Sprintf("works, but %.0f s after the load it is still slower than before it, or fails now and then", t.WatchedSeconds)
		return
	}
	if refused(f) {
		t.Class = record.Crashed
		t.Summary = fmt.Sprintf("nothing listens any more: every connection is refused, %.0f s after the load", t.WatchedSeconds)
		return
	}
	t.Class, t.SubClass = record.Stuck, a.subClass(f, broken, scope, last)
	t.Summary = fmt.Sprintf("still failing %.0f s after the load ended, with no load at all", t.WatchedSeconds)
	if a.Background {
		t.Summary = fmt.Sprintf("still failing %.0f s after the trigger, under a load it carried before", t.WatchedSeconds)
	}
	switch t.SubClass {
	case "deceptive":
		t.Summary += "; its health check says it is fine"
	case "endpoint-scoped":
		t.Summary += "; only " + strings.Join(broken, ", ") + ", the rest works"
	case "connection-scoped":
		t.Summary += "; " + scope
	}
}

// brokenSteps lists the steps of which fewer than nine in ten probes succeed.
func (a Aftermath) brokenSteps(f []record.Probe) []string {
	ok, n := map[string]int{}, map[string]int{}
	for _, p := range f {
		n[p.Step]++
		if p.OK {
			ok[p.Step]++
		}
	}
	var out []string
	for step := range n {
		if float64(ok[step]) < 0.9*float64(n[step]) {
			out = append(out, step)
		}
	}
	slices.Sort(out)
	return out
}

func refused(probes []record.Probe) bool {
	for _, p := range probes {
		if p.Error != record.ErrorRefused.String() {
			return false
		}
	}
	return len(probes) > 0
}

// subClass says what part of the target is stuck, the narrowest that fits.
func (a Aftermath) subClass(f []record.Probe, broken []string, scope string, last float64) string {
	h := a.after("health")
	hOK, hN := count(h, last, a.NowS, "")
	switch {
	case scope != "":
		return "connection-scoped"
	case a.endpointScoped(f, broken):
		return "endpoint-scoped"
	case hN == 0:
		return "" // nobody said how it feels
	case works(hOK, hN):
		return "deceptive"
	}
	return "total"
}

// connectionScope says which kind of connection is stuck while the other works; "" when they do not differ. It looks at the
// second half of the watch: kept connections that hang are asked seldom.
func (a Aftermath) connectionScope() string {
	half := (a.ReleasedS + a.NowS) / 2
	for _, kind := range []string{"functional", "health"} {
		probes := a.after(kind)
		freshOK, fresh := count(probes, half, a.NowS, "fresh")
		keptOK, kept := count(probes, half, a.NowS, "kept")
		if fresh < 2 || kept < 2 || works(freshOK, fresh) == works(keptOK, kept) {
			continue
		}
		if works(keptOK, kept) {
			return "connections from before work, new ones do not"
		}
		return "new connections work, those from before do not"
	}
	return ""
}

// endpointScoped: some steps are broken while others, asked on the same connections, work.
func (a Aftermath) endpointScoped(f []record.Probe, broken []string) bool {
	ok, n := 0, 0
	for _, p := range f {
		if !slices.Contains(broken, p.Step) {
			n++
			if p.OK {
				ok++
			}
		}
	}
	return n > 0 && works(ok, n)
}

func works(ok, n int) bool { return n > 0 && 2*ok > n }

func count(probes []record.Probe, from, to float64, conn string) (ok, n int) {
	for _, p := range probes {
		if p.OffsetS+p.Ms/1000 < from || p.OffsetS > to || conn != "" && p.Connection != conn {
			continue
		}
		n++
		if p.OK {
			ok++
		}
	}
	return ok, n
}

// severity orders the classes: of several triggers the worst is the run's.
var severity = []string{
	record.NotTested, record.SelfHealing, record.Slow, record.Degraded, record.Metastable, record.Stuck, record.StuckRestart, record.Crashed,
}

// Combine makes the run's verdict of its triggers': the worst one's, with the longest time to recover and all the seconds of
// deception. What clients that abort do and patient ones do not is said: it is the work of clients that have gone.
func Combine(triggers []record.Trigger) record.Recovery {
	r := record.Recovery{Class: record.NotTested, Leaks: []record.Leak{}, Triggers: slices.Clone(triggers), Undecided: []record.Undecided{}}
	if len(triggers) == 0 {
		r.Triggers = []record.Trigger{}
		r.Summary = "no overload was tried"
		return r
	}
	counting := slices.DeleteFunc(slices.Clone(triggers), func(t record.Trigger) bool {
		return t.BackgroundPercent != nil && *t.BackgroundPercent > 0 && slices.Index(severity, t.Class) < slices.Index(severity, record.Metastable)
	}) // how long a queue takes to drain under load is no time to recover
	if len(counting) == 0 {
		counting = triggers
	}
	worst := slices.MaxFunc(counting, func(a, b record.Trigger) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severity, a.Class), slices.Index(severity, b.Class)),
			cmp.Compare(value(a.Seconds), value(b.Seconds)))
	})
	r.Class, r.SubClass, r.Seconds, r.Summary = worst.Class, worst.SubClass, worst.Seconds, worst.Summary
	r.ExpectedDrainSeconds, r.DrainSeconds, r.WatchedSeconds, r.Timer = worst.ExpectedDrainSeconds, worst.DrainSeconds, worst.WatchedSeconds, worst.Timer
	for _, t := range triggers {
		if t.Health == nil {
			continue
		}
		if r.Health == nil {
			r.Health = &record.HealthStates{}
		}
		h := r.Health
		h.BothOK, h.Deceptive, h.KillRisk, h.BothBad = h.BothOK+t.Health.BothOK, h.Deceptive+t.Health.Deceptive, h.KillRisk+t.Health.KillRisk, h.BothBad+t.Health.BothBad
		h.Deceived = h.Deceived || t.Health.Deceived
		r.HealthDeceptionSeconds = ref(h.Deceptive)
	}
	if worst.Clients == Aborting && triggers[0].Clients == Patient && healthy(triggers[0].Class) && !healthy(worst.Class) {
		r.Summary += fmt.Sprintf("; after clients that gave up after %.3g s, not after patient ones: what they leave behind is not given back", value(worst.TimeoutSeconds))
	}
	return r
}

// Clients of a trigger.
const (
	Patient  = "patient"  // wait for their answer as long as the scenario's timeouts allow
	Aborting = "aborting" // give up early and close the connection, as the incident's did
)

func healthy(class string) bool { return class == record.SelfHealing || class == record.Slow }

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
