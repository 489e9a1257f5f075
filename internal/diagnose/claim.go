package diagnose

import (
	"fmt"
	"slices"

	"github.com/captest/captest/internal/record"
)

// claim is a cause that the evidence carries, before the causes are weighed against each other.
type claim struct {
	record.Finding
	to string // the service behind it, where it is about calls
	// stuck: it outlasts the load. It explains a target that does not come back, and is a debt on one that does.
	stuck bool
	// inside says that the evidence is from the target's metrics or the kernel, and not from response times alone.
	inside bool
	// instead: it may be behind what is slow in place of the claim before it.
	instead bool
	// aside: it adds to what is slow and is not the resource that limits.
	aside  bool
	harmed bool // calls fail, and do not only last
	// agreed: the evidence from inside or a test is for it, and nothing against: C2, where the target is not blind.
	agreed bool
	// rank is the load it shows in: 0 for the one with the highest goodput. What is full there limits, and what only fills up
	// beyond it comes next.
	rank int
}

func (c *claim) evidence(what string, value float64, unit, expected, source string) {
	if !finite(value) {
		return // a quotient of nothing, from a damaged folder
	}
	c.Evidence = append(c.Evidence, record.Evidence{What: what, Value: value, Unit: unit, Expected: expected, Source: source})
}

func (c *claim) notThe(cause, why string, args ...any) {
	c.RuledOut = append(c.RuledOut, record.RuledOut{Cause: cause, Why: fmt.Sprintf(why, args...)})
}

func (c *claim) against(why string, args ...any) {
	c.Contradictions = append(c.Contradictions, fmt.Sprintf(why, args...))
}

// maybe names a lookalike that nothing here tells apart.
func (c *claim) maybe(cause string) {
	if !slices.Contains(c.Lookalikes, cause) {
		c.Lookalikes = append(c.Lookalikes, cause)
	}
}

func claimOf(cause, where string) claim {
	return claim{inside: true, Finding: record.Finding{
		Cause: cause, Where: where, Evidence: []record.Evidence{}, RuledOut: []record.RuledOut{}, Lookalikes: []string{}, Contradictions: []string{},
	}}
}

// settle gives a claim the confidence it has earned. C1: response times alone, or evidence that something contradicts. C2:
// the target's metrics or the kernel agree and nothing speaks against it; or, without them, a test came out as this cause alone
// predicts. C3: both. blind, none of the target's services shows metrics: what the kernel sees of them alone is C1, however plain, until a test was met.
func (c *claim) settle(predictions []prediction, blind bool) {
	c.Confidence = C1
	met := false
	for _, p := range predictions {
		c.evidence("test "+p.test+": "+p.what, p.measured, p.unit, p.expected, "test "+p.test)
		switch {
		case p.met && p.decides:
			met = true
		case !p.met:
			c.against("test %s: %s was %.3g %s, expected %s", p.test, p.what, p.measured, p.unit, p.expected)
		}
	}
	c.agreed = len(c.Contradictions) == 0 && (c.inside || met)
	inside := c.inside && (!blind || c.Cause == "generator-saturated") // of itself captest knows all
	switch {
	case !c.agreed:
	case inside && met:
		c.Confidence = C3
	case inside || met:
		c.Confidence = C2
	}
}

// consequence says that one cause brings about what looks like another.
type consequence struct {
	cause, looksLike string
	near             func(a, b *claim) bool
	why              string
}

// near: the same service; along: the same calls, or calls to the service; anywhere upstream.
func sameService(a, b *claim) bool { return a.Where == b.Where }

func sameCalls(a, b *claim) bool {
	return a.Where == b.Where && (a.to == b.to || a.to == "" || b.to == "")
}
func callsTo(a, b *claim) bool     { return b.to == a.Where || sameService(a, b) }
func anywhere(*claim, *claim) bool { return true }

var consequences = []consequence{
	{"generator-saturated", "", anywhere, "captest itself was the limit"},
	{"event-loop-blocked", "semaphore-too-small", sameService, "permits are held by calls whose answers wait for the loop"},
	{"event-loop-blocked", "pool-too-small", sameService, "connections are held by calls whose answers wait for the loop"},
	{"event-loop-blocked", "slow-downstream", callsTo, "calls last until the loop takes their answer"},
	{"event-loop-blocked", "database-pool-starved", sameService, "store connections are held until the loop gets to them"},
	{"descriptor-exhaustion", "accept-backlog", sameService, "nobody accepts because no descriptor is left"},
	{"descriptor-exhaustion", "breaker-flapping", callsTo, "calls fail for want of descriptors"},
	{"event-loop-blocked", "accept-backlog", sameService, "the loop that accepts is busy"},
	{"event-loop-blocked", "cpu-bound-hashing", sameService, "hashes are computed on the event loop"},
	{"connection-per-request", "event-loop-blocked", func(a, b *claim) bool { return !a.aside && sameService(a, b) }, "it is making clients that keeps the loop busy"},
	{"memory-pressure", "cpu-bound-hashing", sameService, "the collector takes the CPU that hashes wait for"},
	{"memory-pressure", "event-loop-blocked", sameService, "the collector takes the CPU that the loop waits for"},
	{"accept-backlog", "slow-downstream", callsTo, "calls wait for their connection to be accepted"},
	{"accept-backlog", "semaphore-too-small", callsTo, "permits are held while connections wait to be accepted"},
	{"accept-backlog", "pool-too-small", callsTo, "connections wait to be accepted"},
	{"accept-backlog", "connection-per-request", callsTo, "new connections are what waits in the accept queue"},
	{"leaked-connections", "pool-too-small", sameCalls, "the pool is full of connections that nobody uses"},
	{"leaked-connections", "semaphore-too-small", sameCalls, "permits are held by calls that wait for leaked connections"},
	{"leaked-connections", "database-pool-starved", func(a, b *claim) bool { return sameService(a, b) && a.to == "" }, "the store's connections are leaked, not too few"},
	{"retry-storm", "unbounded-concurrency", sameCalls, "each call is made several times"},
	{"retry-storm", "semaphore-too-small", sameCalls, "permits are held by repetitions"},
	{"pool-too-small", "semaphore-too-small", callsTo, "permits are held while their calls wait for the pool"},
}

// weigh drops claims that another explains, and says so where they are explained.
func weigh(claims []claim) []claim {
	gone := make([]bool, len(claims))
	for _, r := range consequences {
		for i := range claims {
			a := &claims[i]
			if gone[i] || a.Cause != r.cause {
				continue
			}
			for j := range claims {
				b := &claims[j]
				if weaker(a, b) {
					continue
				}
				if i == j || gone[j] || b.Cause == a.Cause || r.looksLike != "" && b.Cause != r.looksLike || !r.near(a, b) {
					continue
				}
				gone[j] = true
				a.notThe(b.Cause, "at %s: %s", b.Where, r.why)
			}
		}
	}
	var out []claim
	for i := range claims {
		if !gone[i] {
			out = append(out, claims[i])
		}
	}
	return out
}

// weaker says whether a claim has less to show than another, which it then does not explain away.
func weaker(a, b *claim) bool {
	return a.Cause != "generator-saturated" && !a.inside && b.inside || len(a.Contradictions) > 0 && len(b.Contradictions) == 0 || a.aside && !b.aside
}

// roles say what each finding explains. Of what is slow the first limits and the others limit next, or add to it.
func (s *sight) roles(claims []claim) {
	slow := -1
	before := func(a, b *claim) bool { // whether a limits rather than b; in order of decision where nothing tells
		for _, d := range []int{number(a.aside) - number(b.aside), number(!a.agreed) - number(!b.agreed), a.rank - b.rank} {
			if d != 0 {
				return d < 0
			}
		}
		return false
	}
	for i := range claims {
		c := &claims[i]
		if c.instead || s.outlasts(c) {
			continue
		}
		if slow < 0 || before(c, &claims[slow]) {
			slow = i
		}
	}
	for i := range claims {
		c := &claims[i]
		switch {
		case c.stuck && (s.stuck() || c.Cause == "abandoned-work" && s.slowToRecover()):
			c.Role = StuckBecause
		case c.instead:
			c.Role = OrBecause
		case i == slow:
			c.Role = SlowBecause
		default:
			c.Role = Next
		}
	}
	order := []string{SlowBecause, OrBecause, StuckBecause, Next}
	if s.stuck() { // first what keeps it from coming back
		order = []string{StuckBecause, SlowBecause, OrBecause, Next}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return slices.Index(order, a.Role) - slices.Index(order, b.Role) })
}

// outlasts says whether a claim is about what stays after the load, and not about what limits under it. Descriptors that ran
// out do both: what they are counted as depends on whether the target came back. So does abandoned work, where nobody
// watched the target afterwards.
func (s *sight) outlasts(c *claim) bool {
	switch {
	case !c.stuck || c.Cause == "descriptor-exhaustion" && !s.stuck():
		return false
	case c.Cause == "abandoned-work":
		return s.res.Recovery != nil
	}
	return true
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
