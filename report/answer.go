package report

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// answer is the first thing a reader sees: the verdict, one headline, the reasons, and a handful of facts.
type answer struct {
	Verdict  string // pass, fail, inconclusive, or unknown when nobody judged
	Headline string
	Why      []string
	Facts    []fact
}

// fact is one line of the answer.
type fact struct {
	Label  string
	Value  string // the figure
	Unit   string // what it counts, "" when the figure says it
	Detail string // rest of the sentence
	Tone   string // good, bad, "" (neutral), dim (unknown)
}

func answerOf(r *record.Result) answer {
	a := answer{Verdict: r.Verdict, Why: why(r), Headline: headline(r)}
	if a.Verdict == "" {
		a.Verdict = unknown
	}
	if r.Run.Plan == gate.PlanCapacity {
		a.Facts = append(a.Facts, capacityFact(r))
	} else {
		a.Facts = append(a.Facts, loadFact(r))
	}
	a.Facts = append(a.Facts, latencyFact(r))
	if r.Run.Plan == gate.PlanCapacity || r.Recovery != nil {
		a.Facts = append(a.Facts, recoveryFact(r))
	}
	a.Facts = append(a.Facts, connectionsFact(r))
	if f, ok := socketsFact(r); ok {
		a.Facts = append(a.Facts, f)
	}
	if r.Baseline != nil {
		a.Facts = append(a.Facts, baselineFact(r.Baseline))
	}
	return a
}

// why leaves out what the notices say louder: validity, the brake and an early end.
func why(r *record.Result) []string {
	c := *r
	c.Validity, c.Run.CutShort, c.Run.Interrupted, c.Brakes = record.Validity{Valid: true}, false, false, nil
	return gate.Why(&c)
}

// headline says in a few words what the verdict means for the reader.
func headline(r *record.Result) string {
	completed, ok := requests(r)
	switch {
	case r.Validity.Valid && gate.NotRecovered(r.Recovery): // before counting: a service may die before it answered anything
		return notRecovered(r.Recovery.Class)
	case completed == 0:
		return "No request completed: there is nothing to judge"
	case r.Run.CutShort && !r.Validity.Valid:
		return "Cut short: what was measured so far"
	case !r.Validity.Valid:
		return "Not valid: these numbers may not be about the target"
	case ok == 0:
		return "No request succeeded"
	}
	broken, unjudged := 0, 0
	for _, l := range r.Limits {
		switch {
		case gate.Broken(l):
			broken++
		case !l.OK:
			unjudged++
		}
	}
	switch {
	case broken > 0:
		return fmt.Sprintf("%d of %s broken", broken, plural(uint64(len(r.Limits)), "limit", "limits"))
	case braked(r):
		return "The safety brake ended it: the target was in distress"
	case r.Run.CutShort:
		return "Cut short: what was measured so far"
	case r.Run.Interrupted:
		return "Interrupted: what was measured so far"
	case unjudged > 0:
		return fmt.Sprintf("%d of %s could not be judged", unjudged, plural(uint64(len(r.Limits)), "limit", "limits"))
	case len(r.Limits) > 0 && r.Run.Plan == gate.PlanCapacity && finite(r.Capacity.PerSecond.Confirmed):
		s := digits3(*r.Capacity.PerSecond.Confirmed) + " " + noun(r) + " a second within limits"
		if r.Recovery != nil && r.Recovery.Class == record.SelfHealing {
			s += ", and it heals by itself"
		}
		return s
	case len(r.Limits) > 0:
		return "Every limit held"
	default:
		if r.Run.Plan != gate.PlanCapacity && completed > ok {
			return fmt.Sprintf("%s of %s failed; there were no limits to hold that against", percent(100*float64(completed-ok)/float64(completed)), plural(completed, "request", "requests"))
		}
		return "Measured; there were no limits to hold it against"
	}
}

func notRecovered(class string) string {
	switch class {
	case record.Crashed:
		return "Crashed"
	case record.StuckRestart:
		return "Stuck after overload until it was restarted"
	case record.Metastable:
		return "Stuck after overload for as long as its normal load goes on"
	default:
		return "Stuck after overload, with no load left"
	}
}

// noun is what one journey of this scenario is called, plural: a registration run counts registrations.
func noun(r *record.Result) string {
	name := r.Run.Scenario
	if len(name) < 3 || len(name) > 24 || strings.HasSuffix(name, "s") || !strings.HasSuffix(name, "ion") {
		return "journeys"
	}
	for _, c := range name {
		if c < 'a' || c > 'z' {
			return "journeys"
		}
	}
	return name + "s"
}

// perMinute is called users when the journey makes one: a registration.
func perMinuteNoun(r *record.Result) string {
	if r.Run.Scenario == "registration" {
		return "users/minute"
	}
	return noun(r) + "/minute"
}

// requests over all steps, warm-up included.
func requests(r *record.Result) (completed, ok uint64) {
	for _, s := range r.Steps {
		completed += s.N
		ok += s.OK
	}
	return completed, ok
}
