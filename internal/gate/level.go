package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// loadLevel prepares how the load-level limits of this run are judged.
func loadLevel(run *record.Run, res *record.Result, limits []scenarios.Limit) func(scenarios.Limit) judged {
	if res.Run.Plan != PlanCapacity {
		sums := run.Sums(-1)
		others := 0.0
		for i := range res.Trials {
			others = max(others, otherWork(&res.Trials[i]))
		}
		at := fixedLoad(res.Trials)
		if res.ChangedByHand() {
			at += ", changed by hand"
		}
		return func(l scenarios.Limit) judged {
			v, ok := sums.Value(l.Step, l.Metric, l.Quantile)
			if !ok {
				return judged{at: at}
			}
			return judgeValue(l, v, at).beside(others, l)
		}
	}
	at := largestWithin(levels(run, res), limits)
	return func(l scenarios.Limit) judged {
		if at == nil {
			return judged{}
		}
		return at.judge(l)
	}
}

// fixedLoad names the load of a fixed run: "20 users", "50/s", or "whole run" when it had several.
func fixedLoad(trials []record.Trial) string {
	if len(trials) == 0 {
		return "whole run"
	}
	for _, t := range trials[1:] {
		if t.Load != trials[0].Load {
			return "whole run"
		}
	}
	return Load(trials[0].Load)
}

// Load writes a load for people: "8 users", "1 user", "50/s".
func Load(l record.Load) string {
	switch {
	case l.Users == 1:
		return "1 user"
	case l.Users > 1:
		return fmt.Sprintf("%d users", l.Users)
	case l.RatePerSecond > 0:
		return strconv.FormatFloat(l.RatePerSecond, 'g', 4, 64) + "/s"
	default:
		return "no load"
	}
}

// level is one load of a capacity run with every valid trial held at it.
type level struct {
	load   record.Load
	trials []record.TrialSums
	failed int     // of the trials, in which a backlog grew
	others float64 // most of the machine that other work took, in percent
}

// Trials whose load is a stimulus, not a candidate for the capacity: they are meant to go beyond the limits.
var stimuli = []string{"overload", "abort", "rungs-up", "rungs-down", "cycle", "trigger", "release", "recovery", "cool", "warmup", record.PhaseTests, "tiers"}

// Stimulus says whether a phase's load is one of them: part of the recovery test, not of the search for the capacity.
func Stimulus(phase string) bool { return slices.Contains(stimuli, phase) }

// levels gathers the loads a capacity may be read from, smallest first. Invalid trials say nothing about the target, and
// neither do trials in which nothing completed.
func levels(run *record.Run, res *record.Result) []level {
	var list []level
	for i, t := range res.Trials {
		if Stimulus(t.Phase) || t.Verdict == "invalid" || (t.Load.Users == 0 && t.Load.RatePerSecond == 0) {
			continue
		}
		sums := run.Sums(i)
		if sums.N == 0 {
			continue
		}
		at := slices.IndexFunc(list, func(l level) bool { return l.load == t.Load })
		if at < 0 {
			list = append(list, level{load: t.Load})
			at = len(list) - 1
		}
		v := &list[at]
		v.trials = append(v.trials, sums)
		v.others = max(v.others, otherWork(&res.Trials[i]))
		if t.Verdict == "fail" && slices.ContainsFunc(t.Reasons, func(why string) bool { return strings.HasPrefix(why, "backlog") }) {
			v.failed++
		}
	}
	slices.SortStableFunc(list, func(a, b level) int {
		return cmp.Or(cmp.Compare(a.load.Users, b.load.Users), cmp.Compare(a.load.RatePerSecond, b.load.RatePerSecond))
	})
	return list
}

// largestWithin is the largest load at which every load-level limit held in every trial, or the smallest load when there
// is none, or nil without any.
func largestWithin(list []level, limits []scenarios.Limit) *level {
	if len(list) == 0 {
		return nil
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].within(limits) {
			return &list[i]
		}
	}
	return &list[0]
}

// within wants at least one success in every trial: 10,000 connections refused in a millisecond meet any latency limit. A load
// that most trials found too much is not within either: a backlog may grow while the limits still hold.
func (v *level) within(limits []scenarios.Limit) bool {
	if 2*v.failed > len(v.trials) {
		return false
	}
	for _, t := range v.trials {
		if t.OK == 0 {
			return false
		}
	}
	for _, l := range limits {
		if l.LoadLevel() && v.judge(l).state != held {
			return false
		}
	}
	return true
}

// judge takes the worst of the level's trials, so that a lucky repeat cannot hide a broken limit.
func (v *level) judge(l scenarios.Limit) judged {
	at := Load(v.load)
	worst := judged{at: at}
	for _, t := range v.trials {
		x, ok := t.Value(l.Step, l.Metric, l.Quantile)
		if !ok {
			return judged{at: at}
		}
		upper := l.Op == "<" || l.Op == "<="
		if worst.value == nil || (upper && x > *worst.value) || (!upper && x < *worst.value) {
			worst = judgeValue(l, x, at)
		}
	}
	return worst.beside(v.others, l)
}

// disturbed is the share of the machine, in percent, from which on work of neither captest nor the target may well be why a
// limit was missed: a target on the same machine then had at most three quarters of it.
const disturbed = 25

func otherWork(t *record.Trial) float64 {
	if t.OtherWorkPercent == nil {
		return 0
	}
	return *t.OtherWorkPercent
}

// beside takes a missed limit back when others kept the machine busy meanwhile: it might have held without them. One that held in
// spite of them held. Errors are the target's own answers, and stay.
func (j judged) beside(percent float64, l scenarios.Limit) judged {
	if j.state == missed && percent > disturbed && l.Metric != "errors" {
		j.state = unjudged
		j.at += fmt.Sprintf("%s %.0f %% of the machine", atDisturbed, percent)
	}
	return j
}

// atDisturbed is how At tells of a limit that was missed beside too much other work (Broken).
const atDisturbed = ", while other work took"

// runLevel judges capacity and recovery on the result itself.
func runLevel(res *record.Result, l scenarios.Limit) judged {
	switch l.Metric {
	case "capacity":
		return capacity(res, l)
	case "recovery":
		return recovery(res, l)
	default:
		return judged{at: fmt.Sprintf("unknown metric %q", l.Metric)}
	}
}

// capacity is judged on the confirmed bound: what has not been seen to hold is not promised. With no confirmed bound the
// refuted one can still break the limit, never satisfy it.
func capacity(res *record.Result, l scenarios.Limit) judged {
	b := res.Capacity.PerSecond
	others := 0.0
	for i := range res.Trials {
		if t := &res.Trials[i]; !Stimulus(t.Phase) && t.Load.RatePerSecond > 0 { // the bounds are those of open loads
			others = max(others, otherWork(t))
		}
	}
	switch {
	case b.Confirmed != nil:
		return judgeValue(l, *b.Confirmed, "confirmed").beside(others, l)
	case b.Refuted != nil && !l.Holds(*b.Refuted):
		return judgeValue(l, *b.Refuted, "refuted: no load held the limits").beside(others, l)
	default:
		return judged{}
	}
}

// Where a recovery limit was judged, when there was no length to judge. A broken limit without a value is known by these (Broken).
const (
	atNotTested    = "recovery not tested"
	atCrashed      = "crashed"
	atNotRecovered = "not recovered, watched "
)

// recovery that never came has no length, but it is certainly not under the limit.
func recovery(res *record.Result, l scenarios.Limit) judged {
	r := res.Recovery
	switch {
	case r == nil || r.Class == record.NotTested:
		return judged{at: atNotTested}
	case r.Class == record.Crashed:
		return judged{at: atCrashed, state: missed}
	case NotRecovered(r):
		return judged{at: fmt.Sprintf("%s%.0f s", atNotRecovered, r.WatchedSeconds), state: missed}
	case r.Seconds == nil:
		return judged{}
	default:
		return judgeValue(l, *r.Seconds, "after the overload")
	}
}
