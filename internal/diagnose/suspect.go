package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
)

// Suspicion is what a run so far points at, and what tests of it must show if that is so. It is said before they are made.
type Suspicion struct {
	Knob   *KnobTest // nil: NoKnob says why
	NoKnob string
	Time   *TimeTest // nil: NoTime says why
	NoTime string
}

// KnobTest changes one setting of a service such that the throughput should double, or as far as the next limit allows.
type KnobTest struct {
	Service, Setting, From, To string

	PerSecond Range   // highest throughput predicted, with the bounds of the demands and ±15 % for the model
	Limit     string  // what limits then
	KneeUsers float64 // then
}

// TimeTest makes a downstream take twice as long.
type TimeTest struct {
	Service, From, To string

	Caller, Callee string  // whose calls tell by how much longer it takes
	HoldS          float64 // how long one of them took at the highest throughput, in seconds
	// TellsApart says that a cause which the evidence does not exclude predicts another outcome.
	TellsApart bool
}

// Settings says what a setting of a service stands at; false when nothing can change it. Settings have the names of [WhatIf],
// without their service.
type Settings func(service, setting string) (value string, ok bool)

// leastGain is by how much throughput must be predicted to change for a test to tell: twice the ±15 % it is measured to.
const leastGain = 1.3

// Suspect gives the tests of what limits a run. Both need settings that can be changed; what is said of them is a pure
// function of the run.
func Suspect(run *record.Run, res *record.Result, at Settings) Suspicion {
	s := look(run, res)
	if s.best == nil {
		const why = "no load succeeded, so nothing is known to limit"
		return Suspicion{NoKnob: why, NoTime: why}
	}
	claims := s.findings()
	i := slices.IndexFunc(claims, func(c claim) bool { return c.Role == SlowBecause })
	if i < 0 {
		const why = "nothing that was found limits under load"
		return Suspicion{NoKnob: why, NoTime: why}
	}
	out := Suspicion{}
	out.Knob, out.NoKnob = s.knobTest(&claims[i], at)
	out.Time, out.NoTime = s.timeTest(&claims[i], at)
	return out
}

// way is a setting that lifts a cause's limit.
type way struct {
	service, setting string
	// to gives the new value for the one it stands at, and what-if's expression of it; false where that cannot be changed.
	to func(from string) (to, expr string, ok bool)
}

// ways to twice the throughput, were a claim true, the best first; none where the model has no answer.
func (s *sight) ways(c *claim) []way {
	twice := func(setting string) way {
		return way{c.Where, setting, func(from string) (string, string, bool) {
			n, err := strconv.Atoi(from)
			to := strconv.Itoa(2 * n)
			return to, c.Where + "." + setting + "=" + to, err == nil && n > 0 && n <= 1e5
		}}
	}
	half := func(setting string) way {
		return way{c.Where, setting, func(from string) (string, string, bool) {
			d, err := time.ParseDuration(from)
			now := s.journeyTime(c.Where, setting)
			return plain(d / 2), fmt.Sprintf("%s.%s=%gs", c.Where, setting, now/2), err == nil && d > 0 && now > 0
		}}
	}
	switch c.Cause {
	case "event-loop-blocked":
		return []way{twice("workers"), {c.Where, "hash", func(from string) (string, string, bool) {
			return "pool", c.Where + ".hash=pool", from == "loop"
		}}}
	case "connection-per-request":
		return []way{{c.Where, "client", func(from string) (string, string, bool) {
			return "pooled", c.Where + ".client=pooled", from == "per-request"
		}}}
	case "cpu-bound-hashing":
		return []way{{c.Where, "hash_cost", func(from string) (string, string, bool) {
			n, err := strconv.Atoi(from)
			return strconv.Itoa(n - 1), c.Where + ".hash_cost=-1", err == nil && n > 4 && n <= 31
		}}}
	case "pool-too-small":
		return []way{twice("pool." + c.to)}
	case "semaphore-too-small":
		return []way{twice("semaphore." + c.to)}
	case "database-pool-starved":
		if len(s.of(database, c.Where)) > 1 {
			return nil // one setting for several pools could mean any of them
		}
		return []way{twice("db_pool")}
	case "lock-contention":
		return []way{half("lock")}
	case "slow-downstream":
		return []way{half("time")}
	}
	return nil
}

// plain is a duration in letters that a command line takes.
func plain(d time.Duration) string { return strings.Replace(d.String(), "µs", "us", 1) }

// journeyTime is how long a journey holds a service's lock, or is served by it (time), in seconds; 0 unknown.
func (s *sight) journeyTime(where, setting string) float64 {
	for i := range s.resources {
		r := &s.resources[i]
		if setting == "lock" && r.kind == lock && r.where == where || setting == "time" && (r.kind == slots && r.where == where || r.kind == downstream && r.to == where) {
			return s.demandOf(r).seconds.Value
		}
	}
	return 0
}

func (s *sight) knobTest(c *claim, at Settings) (*KnobTest, string) {
	ways := s.ways(c)
	if len(ways) == 0 {
		return nil, fmt.Sprintf("no setting is known whose doubling would prove %s", c.Cause)
	}
	var missing []string
	for _, w := range ways {
		from, ok := at(w.service, w.setting)
		if !ok {
			missing = append(missing, w.service+"."+w.setting)
			continue
		}
		to, expr, ok := w.to(from)
		if !ok {
			missing = append(missing, fmt.Sprintf("%s.%s (it stands at %s)", w.service, w.setting, from))
			continue
		}
		f, err := WhatIf(s.run, s.res, 0, []string{expr})
		if err != nil {
			return nil, fmt.Sprintf("nothing can be predicted: %v", err)
		}
		if gain := f.After.PerSecond.Value / s.best.GoodputPerSecond; !finite(gain) || gain < leastGain {
			return nil, fmt.Sprintf("with %s.%s at %s %s would limit at %.3g/s, too near the %.3g/s measured to tell", w.service, w.setting, to, f.After.Limit, f.After.PerSecond.Value, s.best.GoodputPerSecond)
		}
		return &KnobTest{
			Service: w.service, Setting: w.setting, From: from, To: to,
			PerSecond: f.After.PerSecond, Limit: f.After.Limit, KneeUsers: f.After.KneeUsers,
		}, ""
	}
	return nil, fmt.Sprintf("no command changes %s, which would prove %s (knobs: in the target file)", strings.Join(missing, " or "), c.Cause)
}

// elasticities say by how many percent the throughput changes for each percent that a downstream takes longer, were a cause true:
// holders of permits and connections let as many fewer calls through, computing does not care. Source: measurement 5.2, T3.
var elasticities = map[string]float64{
	"pool-too-small": -1, "semaphore-too-small": -1, "slow-downstream": -1,
	"event-loop-blocked": 0, "cpu-bound-hashing": 0, "lock-contention": 0,
}

// timeName is the setting of a downstream that makes it take longer.
const timeName = "time"

func (s *sight) timeTest(c *claim, at Settings) (*TimeTest, string) {
	expected, ok := elasticities[c.Cause]
	if !ok {
		return nil, fmt.Sprintf("%s says nothing of a downstream that takes longer", c.Cause)
	}
	for _, name := range s.downstreamsOf(c) {
		from, ok := at(name, timeName)
		d, err := time.ParseDuration(from)
		if !ok || err != nil || d <= 0 {
			continue
		}
		t := &TimeTest{Service: name, From: from, To: plain(2 * d), Caller: c.Where, Callee: c.to}
		if c.to == "" || c.Where == name {
			t.Caller, t.Callee = s.callerOf(name), name
		}
		if t.Caller == "" {
			continue
		}
		if now, ok := s.loads[0].call(t.Caller, t.Callee); ok {
			t.HoldS = now.hold()
		}
		if full := s.fullWhenSlower(name); expected == 0 && full != "" {
			return nil, fmt.Sprintf("with %s twice as slow %s would limit, whatever does now", name, full)
		}
		t.TellsApart = slices.ContainsFunc(c.Lookalikes, func(cause string) bool {
			other, known := elasticities[cause]
			return known && other != expected
		})
		return t, ""
	}
	return nil, fmt.Sprintf("no command changes the time of a downstream of %s (knobs: in the target file)", c.Where)
}

// downstreamsOf are the services whose time a claim is about, the nearest first.
func (s *sight) downstreamsOf(c *claim) []string {
	if c.Cause == "slow-downstream" {
		return []string{c.Where}
	}
	next := s.calls(c.Where)
	if c.to != "" {
		next = []string{c.to}
	}
	var seen []string
	for _, name := range next {
		seen = appendNew(seen, name)
	}
	for i := 0; i < len(seen); i++ {
		for _, name := range s.calls(seen[i]) {
			seen = appendNew(seen, name)
		}
	}
	return slices.DeleteFunc(seen, func(name string) bool { return name == c.Where })
}

// callerOf is a service that calls another; "" for none.
func (s *sight) callerOf(name string) string {
	for _, from := range s.index.services {
		if _, ok := s.loads[0].call(from, name); ok && from != name {
			return from
		}
	}
	return ""
}

// fullWhenSlower names what would be full at the throughput measured if a downstream took twice as long; "" for nothing. Its
// callers' permits and connections are taken to be held for it alone.
func (s *sight) fullWhenSlower(name string) string {
	for i := range s.resources {
		r := &s.resources[i]
		behind := r.kind == slots && r.where == name || r.kind == downstream && r.to == name || (r.kind == semaphore || r.kind == clientPool) && s.reaches(r.to, name)
		if !behind || r.servers == 0 {
			continue
		}
		if d := s.demandOf(r); d.available && r.servers/(2*d.seconds.Value) < math.Sqrt(leastGain)*s.best.GoodputPerSecond {
			return r.full()
		}
	}
	return ""
}
