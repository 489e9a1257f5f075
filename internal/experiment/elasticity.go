package experiment

import (
	"context"
	"fmt"
	"math"
	"strings"
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
	first := a.settledScrape(ctx, t.Caller)
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
// connection.
func callTook(callee string, first, last record.Scrape) (float64, bool) {
	took, wait, n := callsBetween(callee, &first, &last)
	if n < 5 {
		return 0, false
	}
	return max(0, took-wait) / n, true
}

// callsBetween gives by how much a caller's counters of calls to a service grew between two of its scrapes: seconds of calls,
// seconds of waiting for a connection, and calls. Zeros when they are not shown.
//
// Whether the process is another one is decided once for all of them: it started later, or has made fewer calls. What was counted
// before is then none of its own.
func callsBetween(callee string, first, last *record.Scrape) (seconds, wait, n float64) {
	sum := func(s *record.Scrape, name string) float64 {
		sum := 0.0
		for key, v := range s.Values {
			if metric, labels, ok := record.ParseMetric(key); ok && metric == name && strings.EqualFold(labels["downstream"], callee) {
				sum += v
			}
		}
		return sum
	}
	was, is := first.Values[processStarted], last.Values[processStarted]
	seconds, wait, n = sum(last, callSeconds), sum(last, poolWait), sum(last, callCount)
	if before := sum(first, callCount); n >= before && !(was > 0 && is > was+1) { // some clients compute the start time anew for each scrape
		seconds, wait, n = max(0, seconds-sum(first, callSeconds)), max(0, wait-sum(first, poolWait)), n-before
	}
	return seconds, wait, n
}

// processStarted is when a service's process began, in seconds since 1970.
const processStarted = "process_start_time_seconds"

// scrapePatience bounds the wait for a scrape: a few of their intervals.
const scrapePatience = 3 * time.Second

// settledScrape is the latest of a service, once there is one from after the last setting was put back: one from before may be
// another process's.
func (a *alteration) settledScrape(ctx context.Context, service string) record.Scrape {
	for until := a.now() + scrapePatience; ; {
		s, ok := a.latest(service)
		if !ok || s.OffsetS > a.backS || a.backS == 0 || a.now() >= until {
			return s
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return s
		}
	}
}
