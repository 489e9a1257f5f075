package diagnose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// candidate is a cause that may lie behind what is seen from outside, with how much speaks for it. Points are a ranking and no
// probability: 3 for what few others show, 1 for what it shares with several, less for what speaks against it.
type candidate struct {
	claim
	points float64
}

// mostCandidates are named; leastPoints a cause needs, and farPoints is how far behind the first it may be.
const (
	mostCandidates = 4
	leastPoints    = 2 // that something decides
	fewPoints      = 1 // that it is worth a mention
	farPoints      = 3
)

// OrBecause is the role of a cause that may be behind the slowness instead of the one before it.
const OrBecause = "or-because"

// candidates ranks the causes, beside those that are claimed already, that fit a target that shows no metrics (measurement 5.4, black box and client connections; 5.5). None
// of them is more than consistent, unless a test decides. Where nothing speaks for one of them in particular, unknown comes first.
func (o *outside) candidates(claimed []claim) []claim {
	var all []candidate
	for _, of := range []func(*outside) []candidate{
		coupledLoop, computing, sharedLock, keptSessions, narrowCalls, heldDownstream, churned, lostConnections, lateAccepts, growing, refusing, givenUp,
	} {
		all = append(all, of(o)...)
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.points, a.points) })
	all = slices.DeleteFunc(all, func(c candidate) bool {
		return slices.ContainsFunc(claimed, func(x claim) bool { return x.Cause == c.Cause })
	})
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.points < fewPoints || c.points < all[0].points-farPoints })
	all = all[:min(len(all), mostCandidates)]
	var out []claim
	open := len(all) > 0 && all[0].points < leastPoints
	if open {
		out = append(out, unknown(o.sight))
	}
	first := true // of those that say why it is slow
	for i := range all {
		c := all[i].claim
		c.inside, c.instead = false, !c.stuck && (open || !first)
		first = first && c.stuck
		for j := range all {
			if all[j].Cause != c.Cause {
				c.maybe(all[j].Cause)
			}
		}
		c.Remedy = "show the target's event loop, pools, locks and CPU as metrics and run again: from outside this is a guess in order of likelihood"
		out = append(out, c)
	}
	return out
}

// guess begins a candidate.
func guess(cause, where, summary string, args ...any) candidate {
	c := candidate{claim: claimOf(cause, where)}
	c.Summary = fmt.Sprintf(summary, args...)
	return c
}

// fact adds evidence and what it is worth.
func (c *candidate) fact(points float64, what string, value float64, unit, expected, source string) {
	c.points += points
	c.evidence(what, value, unit, expected, source)
}

const (
	byTests  = "tests, probes"
	byKernel = "kernel"
)

// free says whether a trivial endpoint hardly slows down, tied that it does as much as the journeys.
func (o *outside) free() bool { return o.coupling < 0.05 }
func (o *outside) tied() bool { return o.coupling > 0.3 }

// coupledLoop: everything waits for one thing that works, so that even a health check that does nothing does.
func coupledLoop(o *outside) []candidate {
	if !o.tied() {
		return nil
	}
	c := guess("event-loop-blocked", o.entry(), "a trivial request slows down with the journeys: one thing that all requests share is busy")
	c.fact(3, "rise of a trivial request ÷ journeys' own rise", o.coupling, "", "> 0.3", byTests)
	switch {
	case o.form == "even":
		c.fact(1, "answered at a time", 1, "", "1", "test burst")
	case o.form == "shared" && o.servers < 1.5: // each answer takes several turns on the loop, and the turns of all are mixed
		c.fact(0.5, "answers to a burst came late and together, of servers", o.servers, "", "1", "test burst")
	case o.form != "" && o.form != "unclear":
		c.points--
	}
	if o.hungry() > 0.4 {
		c.fact(0.5, "CPU of "+o.entry(), o.cpu[o.entry()], "cores", "", byKernel)
	}
	return []candidate{c}
}

// hungry is the CPU of the service captest asks, in cores.
func (o *outside) hungry() float64 { return o.cpu[o.entry()] }

// computing: as many answers at a time as there are cores, and CPU used while they are made.
func computing(o *outside) []candidate {
	where := cmp.Or(o.holder, o.entry())
	c := guess("cpu-bound-hashing", where, "journeys wait for CPU: what computes, such as password hashing, takes all cores it may use")
	c.points = 1 // the most common of all where nothing else is seen
	if n, ok := o.cores(); ok && o.servers > 0 && o.form != "together" {
		if o.low <= n && n <= o.high && n > 1 {
			c.fact(2, "answered at a time", o.servers, "", fmt.Sprintf("the %.0f cores", n), "test burst")
		} else if o.form == "even" && n > 1 {
			c.points--
		}
	}
	if o.form == "shared" {
		c.fact(1, "answers to a burst came late and together, of servers", o.servers, "", "", "test burst")
	}
	if used := o.cpu[where]; o.known {
		switch share := o.computed(); {
		case used >= 0.8 && (where == o.holder || o.holder == ""):
			c.fact(2, "CPU of "+where, used, "cores", "", byKernel)
		case used >= 0.3 && where == o.holder && o.crowded():
			c.fact(1.5, "CPU of "+where+" beside other work that takes the rest", used, "cores", "", byKernel)
		case used >= 0.3 && share > 0.35:
			c.fact(1, "journey of one user that is CPU", 100*share, "%", "", byKernel)
		case used < 0.2:
			c.points -= 2
		}
	}
	if o.tied() {
		c.points--
	}
	return []candidate{c}
}

// sharedLock: one answer at a time, while a trivial request and the CPU are free.
func sharedLock(o *outside) []candidate {
	if o.holder != "" && o.holder != o.entry() {
		return nil
	}
	c := guess("lock-contention", o.entry(), "journeys are served one at a time, while a request that does nothing is answered at once: they share a lock, or a pool of one")
	if o.form == "even" {
		c.fact(2.5, "answered at a time", 1, "", "1", "test burst")
	} else if o.form != "" && o.form != "unclear" {
		c.points--
	}
	if o.free() {
		c.fact(1, "rise of a trivial request ÷ journeys' own rise", o.coupling, "", "< 0.05", byTests)
	}
	if o.tied() {
		c.points -= 2
	} else if o.refusals > sharedFrom { // what does not get to the work waits all the same: for what stands before the check of the input
		c.fact(2, "rise of what is refused at once ÷ journeys' own rise", o.refusals, "", "< 0.05, if nothing before the check were shared", "test short-circuit")
	}
	if share := o.computed(); o.holder == o.entry() && o.known && share < 0.4 {
		c.fact(2, "journey of one user that is CPU", 100*share, "%", "more, if it computed", byKernel)
	}
	return []candidate{c}
}

// keptSessions: some at a time, neither one nor as many as cores, and nothing further on is waited for.
func keptSessions(o *outside) []candidate {
	if o.holder != "" && o.holder != o.entry() {
		return nil
	}
	c := guess("database-pool-starved", o.entry(), "journeys are served a few at a time by %s and wait there: they may keep connections to its store while they do other work", cmp.Or(o.entry(), "the target"))
	if o.form == "steps" {
		c.fact(1.5, "answered at a time", o.servers, "", "the size of a pool", "test burst")
	}
	if o.free() {
		c.fact(0.5, "rise of a trivial request ÷ journeys' own rise", o.coupling, "", "< 0.05", byTests)
	}
	if o.tied() {
		c.points--
	}
	if used := o.hungry(); o.holder != "" && o.known {
		c.fact(1, "requests that came and did not go on", o.in[o.holder]-o.out[o.holder], "", "", byKernel)
		if n, ok := o.cores(); ok && used < 0.6*n {
			c.fact(0.5, "CPU of "+o.entry(), used, "cores", "", byKernel)
		}
	}
	return []candidate{c}
}

// narrowCalls: many come in, few go on, and what keeps them does not compute: a pool or a semaphore of that size.
func narrowCalls(o *outside) []candidate {
	var out []candidate
	leaf, _ := o.last()
	if o.holder == "" || o.holder == leaf || o.cpu[o.holder] >= 0.2 {
		return nil
	}
	for _, cause := range []string{"pool-too-small", "semaphore-too-small"} {
		c := guess(cause, o.holder, "%.3g requests are at %s and %.3g of them go on, while it computes nothing: it lets only so many through", o.in[o.holder], o.holder, o.out[o.holder])
		c.fact(4, "connections in ÷ connections on", o.in[o.holder]/math.Max(1, o.out[o.holder]), "", "1, if nothing held them", byKernel)
		if o.free() {
			c.points += 0.5
		}
		out = append(out, c)
	}
	return out
}

// heldDownstream: all that came in is at the last service, which computes nothing, and a journey alone lasts long without CPU.
func heldDownstream(o *outside) []candidate {
	leaf, _ := o.last()
	if leaf == "" {
		return nil
	}
	c := guess("slow-downstream", leaf, "requests go through to %s and wait there, while it computes nothing", leaf)
	if o.holder == leaf && o.cpu[leaf] < 0.2 {
		c.fact(2, "requests at "+leaf, o.in[leaf], "", fmt.Sprintf("of %.0f", o.in[o.entry()]), byKernel)
	}
	if share := o.computed(); share < 0.2 {
		c.fact(2, "journey of one user that is CPU", 100*share, "%", "more, if it computed", byKernel)
	}
	return []candidate{c}
}

// churned: a service has many more connections to another than it has requests, and ever more of them.
func churned(o *outside) []candidate {
	return o.overfull("connection-per-request", func(c *candidate, grew bool) {
		if grew {
			c.points += 2
		}
		c.points += 2
	})
}

// lostConnections: more connections than requests, no more of them in time, after calls that failed; or a target that stays away.
func lostConnections(o *outside) []candidate {
	out := o.overfull("leaked-connections", func(c *candidate, grew bool) {
		if !grew {
			c.points += 2
		}
		c.points++
		if o.refused > 0 {
			c.fact(1, "requests that failed with a status", 100*o.refused, "%", "", "closed ramp")
		}
	})
	if o.stuck() {
		for i := range out {
			out[i].points += 2
		}
		if len(out) == 0 {
			_, caller := o.last()
			c := guess("leaked-connections", caller, "the target does not come back without load: something it needs was not given back")
			c.points, c.stuck = 3, true
			out = append(out, c)
		}
	}
	return out
}

// overfull finds services with more connections to another than they have requests.
func (o *outside) overfull(cause string, weigh func(c *candidate, grew bool)) []candidate {
	var out []candidate
	for _, from := range o.path {
		for _, to := range o.path {
			n := 0.0
			for _, l := range o.loads {
				n = math.Max(n, o.most(l.window, from, to, "ESTABLISHED"))
			}
			in := o.most(o.all, from, "", "ESTABLISHED")
			if n < 1.5*in+3 {
				continue
			}
			c := guess(cause, from, "%s has %.0f connections to %s and never more than %.0f requests", from, n, to, in)
			c.to = to
			c.fact(1, "connections from "+from+" to "+to, n, "", fmt.Sprintf("at most %.0f", in), byKernel)
			weigh(&c, n > 3*in+20) // far more than were ever wanted at a time: they are not used again
			out = append(out, c)
		}
	}
	return out
}

// lateAccepts: connections to a service that are not accepted yet, or captest's own that took a SYN's repetition, 1 s and more.
func lateAccepts(o *outside) []candidate {
	var out []candidate
	for _, to := range o.path {
		queue, syn := 0.0, 0.0
		for _, l := range o.loads { // the highest goodput may be that of the users who did not queue yet
			queue = math.Max(queue, o.queued(l.window, to))
		}
		for _, from := range o.path {
			syn = math.Max(syn, o.most(o.all, from, to, "SYN_SENT"))
		}
		if syn < 2 || queue < 1 {
			continue
		}
		c := guess("accept-backlog", to, "connections to %s wait to be accepted", to)
		c.fact(3, "connections under way to "+to, syn, "", "0", byKernel)
		c.fact(2, "connections that nobody accepted", queue, "", "0", byKernel)
		out = append(out, c)
	}
	if d := o.res.Connections.Client.DialMs.P99; len(out) == 0 && d != nil && *d >= 900 {
		c := guess("accept-backlog", o.entry(), "captest's own connections take a second and more: the kernel repeats what nobody accepts")
		c.fact(4, "99th percentile of dials", *d, "ms", "a few", "client")
		out = append(out, c)
	}
	return out
}

// growing: a process that takes ever more memory as requests are under way, with its CPU.
func growing(o *outside) []candidate {
	var out []candidate
	for _, name := range o.path {
		before, under := o.resident(window{index: o.index, to: o.all.from}, name), 0.0
		for _, l := range o.loads {
			under = math.Max(under, o.resident(l.window, name))
		}
		if before <= 0 || under < 1.8*before || under-before < 20e6 || o.cpu[name] < 0.5 {
			continue
		}
		c := guess("memory-pressure", name, "%s takes %.1f times its memory under load, and CPU with it", name, under/before)
		c.fact(3, "memory of "+name+" under load ÷ before", under/before, "", "1", byKernel)
		if o.tied() {
			c.points++
		}
		if last := o.loads[len(o.loads)-1].trial; last.GoodputPerSecond < 0.6*o.best.GoodputPerSecond {
			c.fact(1, "goodput of the heaviest load", last.GoodputPerSecond, "/s", fmt.Sprintf("%.3g", o.best.GoodputPerSecond), "closed ramp")
		}
		out = append(out, c)
	}
	return out
}

// refusing: answers with a status of 500 and more, by when and in what kinds they come.
func refusing(o *outside) []candidate {
	if o.refused < 0.01 {
		return nil
	}
	_, caller := o.last()
	kinds := 0
	for _, share := range o.statuses {
		if share >= 0.2 {
			kinds++
		}
	}
	retry := guess("retry-storm", caller, "requests are refused, %.0f %% of them at loads short of the overload: what is made again at once is refused again", 100*o.early)
	flood := guess("unbounded-concurrency", caller, "requests are refused under overload: more calls at once are made than are taken")
	flap := guess("breaker-flapping", caller, "failures of several kinds (%s) alternate, as of a breaker that opens and closes", strings.Join(o.codes(), ", "))
	retry.fact(1, "requests refused short of the overload", 100*o.early, "%", "", "closed ramp")
	flood.fact(1.5, "requests refused", 100*o.refused, "%", "", "closed ramp")
	if o.early >= 0.1 {
		retry.points += 2
		flood.points += 0.5
	} else {
		flood.points += 1.5
		retry.points++
	}
	out := []candidate{retry, flood}
	if kinds >= 2 && o.failed >= 0.3 {
		flap.fact(4, "requests that failed", 100*o.failed, "%", "", "closed ramp")
		out = append(out, flap)
	}
	return out
}

func (o *outside) codes() []string {
	var out []string
	for code := range o.statuses {
		out = append(out, code)
	}
	slices.Sort(out)
	return out
}

// givenUp: clients that gave up and work that goes on: connections the service has not noticed to be closed, or a target that takes
// longer to come back than its backlog.
func givenUp(o *outside) []candidate {
	c := guess("abandoned-work", o.entry(), "the target goes on with work whose clients have gone")
	half := o.most(o.all, o.entry(), "", "CLOSE_WAIT")
	if half < 10 && o.late <= 0.3 {
		return nil
	}
	if half >= 10 {
		c.fact(3, "connections closed by their clients and still held", half, "", "0", byKernel)
	}
	if o.late > 0.3 {
		c.fact(2, "requests whose clients gave up", 100*o.late, "%", "", "closed ramp")
	}
	if o.res.Recovery != nil && o.res.Recovery.Class == record.Slow {
		c.points++
	}
	if o.tied() { // whoever does not get to anything does not get to closing connections either
		c.points -= 2
	}
	return []candidate{c}
}
