package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// Direct pushes the scenario's identities straight at one inner service; drive.Direct does.
type Direct interface {
	Send(ctx context.Context, load drive.DirectLoad) (drive.DirectResult, error)
	Close()
}

// Lengths of the test at one service. Both services of the bundled stack together stay below nine seconds, and many inner
// services share that between them.
const (
	tiersInAll   = 9 * time.Second
	tierAlone    = 1200 * time.Millisecond // journeys one after the other, begun within
	tierJourneys = 5                       // or so many
	tierLongest  = 3 * time.Second         // of the load
	tierShortest = 2 * time.Second
	tierGrace    = 10 * time.Second // for what is in flight at the end of either: nobody hurries a slow service by hanging up on it
)

// tierTests push the same identities straight at each inner service that the scenario says how to. What is sent is no part of the
// load: it is in no frame, and so in no figure but the test's own.
func (x *experiment) tierTests() []test {
	if len(x.Scenario.Direct) == 0 {
		return []test{x.noTiers("", fmt.Sprintf("scenario %s does not say how requests are sent straight at an inner service (direct:)", x.Scenario.Name))}
	}
	var out []test
	for _, d := range x.Scenario.Direct {
		found, ok := x.Target.Find(d.Service)
		switch {
		case !ok:
			out = append(out, x.noTiers(d.Service, fmt.Sprintf("target %s gives no address for %s; add it under services:", x.Target.Name, d.Service)))
		case found.Name == x.Target.Entry:
			out = append(out, x.noTiers(d.Service, d.Service+" is the target's entry: every load is sent straight at it"))
		case x.Direct == nil:
			out = append(out, x.noTiers(d.Service, "nothing can send straight at a service"))
		default:
			load := tierLoad(innerOf(x.Scenario, x.Target))
			out = append(out, test{name: record.TestTiers, expected: tierAlone + load, run: x.resting(d.Service, func(ctx context.Context) (record.Test, error) {
				return x.tier(ctx, d.Service, load)
			})})
		}
	}
	return out
}

func (x *experiment) noTiers(where, why string) test {
	return test{name: record.TestTiers, run: func(context.Context) (record.Test, error) {
		return record.Test{Where: where, Skipped: why}, nil
	}}
}

// innerOf counts the services of a target, behind its entry, that a scenario says how to send straight at.
func innerOf(s *scenarios.Scenario, t *targets.Target) int {
	n := 0
	for _, d := range s.Direct {
		if found, ok := t.Find(d.Service); ok && found.Name != t.Entry {
			n++
		}
	}
	return n
}

// tierLoad is how long each of so many services is loaded.
func tierLoad(services int) time.Duration {
	each := tiersInAll/time.Duration(max(1, services)) - tierAlone - 500*time.Millisecond
	return min(tierLongest, max(tierShortest, each))
}

// tier makes the test at one service: alone, then by as many users as had calls there at the best level.
func (x *experiment) tier(ctx context.Context, service string, length time.Duration) (record.Test, error) {
	out := record.Test{Where: service}
	skip := func(why string) (record.Test, error) { return record.Test{Where: service, Skipped: why}, nil }
	d, err := x.Direct(service)
	if err != nil {
		return skip(err.Error())
	}
	defer d.Close()
	bound, done := x.Control.trial(ctx)
	defer done()
	x.testSent = true
	// The first connects, and finds the service's caches as they are: it is not counted.
	warm, err := d.Send(bound, drive.DirectLoad{Users: 1, For: tierAlone, Total: 1, Grace: tierGrace})
	if err == nil && warm.N > 0 && warm.Failed == warm.N {
		return skip("a request straight at it fails: " + warm.Failure)
	}
	var alone, loaded drive.DirectResult
	if err == nil {
		alone, err = d.Send(bound, drive.DirectLoad{Users: 1, For: tierAlone, Total: tierJourneys, Grace: tierGrace})
	}
	aloneS := 0.0
	if alone.Requests.N() > 0 {
		aloneS = alone.Requests.MeanMs() / 1000
	}
	users, from := x.usersOf(service, aloneS)
	if err == nil && bound.Err() == nil {
		x.progress.enter(PhaseTests, fmt.Sprintf("straight at %s, %d at a time", service, users), length)
		loaded, err = d.Send(bound, drive.DirectLoad{Users: users, For: length, Grace: tierGrace})
	}
	switch {
	case err != nil:
		return skip("cannot be sent: " + err.Error())
	case bound.Err() != nil:
		return skip("ended before its time")
	case alone.Requests.N() == 0 || loaded.Requests.N() == 0:
		return skip("no request straight at it was answered: " + alone.Failure + loaded.Failure)
	}
	out.Values = map[string]float64{
		"direct_r1_ms": alone.Requests.MeanMs(), "direct_mean_ms": loaded.Requests.MeanMs(), "direct_p95_ms": loaded.Requests.QuantileMs(0.95),
		"direct_per_second": loaded.PerSecond, "requests": float64(loaded.N), "requests_alone": float64(alone.N),
		"errors_percent": 100 * float64(loaded.Failed) / float64(loaded.N), "users": float64(users), "level_users": float64(x.top.users),
	}
	if from.known {
		out.Values["caller_ms"] = from.waitMs
	}
	out.Words = map[string]string{"users_from": from.how}
	if loaded.Failure != "" {
		out.Words["failure"] = loaded.Failure
	}
	profiles, own, database := 0.0, 0.0, 0.0
	for _, r := range []drive.DirectResult{warm, alone, loaded} { // weighted by how many each has
		n := float64(r.Profiles)
		profiles, own, database = profiles+n, own+n*r.ProfiledMs, database+n*r.DatabaseMs
	}
	if profiles > 0 {
		out.Values["profiles"], out.Values["profiled_ms"], out.Values["profiled_database_ms"] = profiles, own/profiles, database/profiles
	}
	return out, nil
}

// level is a closed level of the search and when it was measured.
type level struct {
	users   int
	goodput float64
	span    Span
}

// topLevel keeps the best closed level; beganS is when its trial began, warm-up included.
func (x *experiment) topLevel(t search.Trial, beganS float64) {
	if t.Action.Kind != search.Closed || t.Verdict.Outcome == search.Invalid || t.Window.Goodput() <= x.top.goodput {
		return
	}
	from := beganS + t.Action.Warm
	x.top = level{users: t.Action.Users, goodput: t.Window.Goodput(), span: Span{from, from + t.Window.Seconds}}
}

// hopLoad is what the callers of a service had there at the best level.
type hopLoad struct {
	known  bool
	waitMs float64 // mean duration of a call, as its caller sees it
	how    string  // for people: where the number of users is from
}

// Counters of calls as the callers show them.
const (
	callSeconds = "http_client_request_duration_seconds_sum"
	callCount   = "http_client_request_duration_seconds_count"
	poolWait    = "http_client_pool_wait_seconds_total"
)

// usersOf is how many calls to a service were in progress at the best level: by Little's law N = X·R, which over counters of
// seconds is their growth a second, less the time in which a call only waited for a connection. Without such counters X is the
// level's journeys and R what a request straight at the service takes alone, in seconds, 0 for unknown: twice that, for what it
// takes longer under load. Never more than the users of the level.
func (x *experiment) usersOf(service string, aloneS float64) (int, hopLoad) {
	most := max(1, x.top.users)
	if x.top.users == 0 {
		return 1, hopLoad{how: "one user: no level of the search was valid"}
	}
	seconds, wait, n := 0.0, 0.0, 0.0
	scrapes := []record.Scrape(nil)
	if x.readings != nil {
		scrapes = x.readings.all()
	}
	for _, caller := range x.Target.Services {
		s, w, k := callsWithin(scrapes, caller.Name, service, x.top.span)
		seconds, wait, n = seconds+s, wait+w, n+k
	}
	if n <= 0 || !(seconds > 0) || math.IsInf(seconds, 0) {
		how := fmt.Sprintf("no caller shows what it waits for %s", service)
		if busy := 2 * math.Ceil(x.top.goodput*aloneS); busy >= 1 && busy < float64(most) {
			return int(busy), hopLoad{how: "twice what the best level's journeys keep busy of it: " + how}
		}
		return most, hopLoad{how: "the users of the best level: " + how}
	}
	// seconds and wait are per second of the level; n too.
	held := max(0, seconds-wait)
	return min(most, max(1, int(math.Round(held)))), hopLoad{known: true, waitMs: 1000 * seconds / n, how: "Little's law: calls in progress at the best level"}
}

// callsWithin gives by how much a caller's counters of calls to a service grew a second within a span: seconds of calls, seconds
// of waiting for a connection, and calls. Zeros when they are not shown.
func callsWithin(scrapes []record.Scrape, caller, service string, s Span) (seconds, wait, n float64) {
	const near, after = 1.2, 0.5 // s: how far from the span's ends a scrape still stands for them; after it nothing is called
	var first, last *record.Scrape
	for i := range scrapes {
		x := &scrapes[i]
		if x.Service != caller || x.OffsetS < s.FromS-near || x.OffsetS > s.ToS+after {
			continue
		}
		if first == nil || x.OffsetS <= s.FromS {
			first = x
		}
		if x.OffsetS > first.OffsetS {
			last = x
		}
	}
	if last == nil {
		return 0, 0, 0
	}
	over := last.OffsetS - first.OffsetS
	seconds, wait, n = callsBetween(service, first, last)
	return seconds / over, wait / over, n / over
}
