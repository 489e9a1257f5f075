package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/captest/captest/internal/record"
)

// elasticity is test T3: a downstream takes twice as long, and E = d ln X / d ln R is what that does to the throughput X, with R
// as its caller sees it. E near -1: something of a fixed size is held for the downstream. E near 0: something computes.
// Source: measurement 5.2.
//
// It costs two restarts, so it is made when a cause that is not excluded predicts another E, or when the knob has not been tested.
func (a *alteration) elasticity(ctx context.Context) (record.Test, error) {
	a.ask()
	t := a.suspect.Time
	switch {
	case a.why != "":
		return record.Test{Skipped: a.why}, nil
	case t == nil:
		return record.Test{Skipped: a.suspect.NoTime}, nil
	}
	skip := func(why string, args ...any) (record.Test, error) {
		return record.Test{Where: t.Service, Skipped: fmt.Sprintf(why, args...)}, nil
	}
	if !t.TellsApart && a.turned {
		return skip("the test of %s has been made, and this one tells nothing apart that is in doubt", a.suspect.Knob)
	}
	first, _ := a.latest(t.Caller)
	var last record.Scrape
	got, why, err := a.with(ctx, t.Knob, a.users(0), elasticityLeast, func() { last, _ = a.latest(t.Caller) })
	if err != nil || why != "" {
		return record.Test{Where: t.Service, Skipped: why}, err
	}
	ratio, after := longer(t, first, last)
	switch before := got.values["before_per_second"]; {
	case !(ratio >= 1.2):
		return skip("calls of %s to %s took no longer with %s at %s", t.Caller, t.Callee, t.Knob, t.To)
	case !(before > 0 && got.perSecond > 0):
		return skip("no throughput to compare")
	default:
		got.values["elasticity"] = math.Log(got.perSecond/before) / math.Log(ratio)
	}
	if after > 0 && t.HoldS > 0 {
		got.values["before_call_ms"], got.values["after_call_ms"] = 1000*t.HoldS, 1000*after
	}
	words := map[string]string{"knob": t.Name, "from": t.From, "to": t.To, "caller": t.Caller, "callee": t.Callee}
	return record.Test{Where: t.Service, Values: got.values, Words: words}, nil
}

// longer is by how much a call takes longer between two scrapes than before the test, and how long it takes, in seconds. A caller
// that does not tell leaves what was set: 2.
func longer(t *TimeTest, first, last record.Scrape) (ratio, seconds float64) {
	seconds, ok := callTook(t.Callee, first, last)
	if ok && t.HoldS > 0 {
		return seconds / t.HoldS, seconds
	}
	from, err1 := time.ParseDuration(t.From)
	to, err2 := time.ParseDuration(t.To)
	if err1 != nil || err2 != nil || from <= 0 {
		return 0, 0
	}
	return float64(to) / float64(from), 0
}

// callTook is the mean duration of the calls to a downstream between two scrapes of its caller, without their wait for a
// connection. A counter that went backwards began anew.
func callTook(callee string, first, last record.Scrape) (float64, bool) {
	grown := func(name string) float64 {
		sum := 0.0
		for key, v := range last.Values {
			if metric, labels, ok := record.ParseMetric(key); ok && metric == name && labels["downstream"] == callee {
				if was := first.Values[key]; was <= v {
					v -= was
				}
				sum += v
			}
		}
		return sum
	}
	n := grown(callCount)
	if n < 5 {
		return 0, false
	}
	return max(0, grown(callSeconds)-grown(poolWait)) / n, true
}
