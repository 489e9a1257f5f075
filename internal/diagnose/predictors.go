package diagnose

import (
	"fmt"
	"slices"

	"github.com/captest/captest/internal/record"
)

// Bounds of the coupling k (measurement 5.2, T2): from sharedFrom on something is shared by all requests of a process, below ownBelow
// it is the journeys' own. Between them k says nothing.
const (
	sharedFrom = 0.3
	ownBelow   = 0.05
	// clearlyEven is the variation of the gaps up to which two servers out of step are not taken for one.
	clearlyEven = 0.35
)

// servedAtOnce: the burst test's m is the number of places of the resource that is claimed to limit.
//
//	event-loop-blocked         loops of the service; 1 where they are not shown
//	lock-contention            1
//	cpu-bound-hashing          min(hash pool, cores)
//	pool-too-small, semaphore-too-small, database-pool-starved    its size
//
// A loop that makes a client for each of several calls is entered as often, and lets journeys go in other groups: connection-per-request
// predicts none. It decides where the target shows its resources, and no other of that number is in use most of the time.
func servedAtOnce(s *sight, c *claim) []prediction {
	t, ok := s.test(record.TestBurst, "")
	low, high := 0.7*t.Values["servers_low"], 1.3*t.Values["servers_high"]
	if !ok || high <= 0 || c.aside || c.rank > 0 || c.stuck {
		return nil
	}
	want, own := s.places(c)
	if n := t.Values["requests"]; want <= 0 || n > 0 && want >= n || !s.asked(t, c) {
		return nil // nobody waits for what has more places than there were requests
	}
	met := low <= want && want <= high
	form := t.Words["form"]
	if !met && (low/1.5 <= want && want <= 1.5*high || form == "even" && t.Values["variation"] > clearlyEven) {
		return nil // near it: neither for nor against
	}
	others := slices.ContainsFunc(s.resources, func(r resource) bool {
		if r.servers < low || r.servers > high || r.where == c.Where && slices.Contains(own, r.kind) {
			return false
		}
		u, ok := r.use(s.loads[0].window)
		return !ok || u.utilization >= 0.7 // otherwise its own metrics rule it out
	})
	return []prediction{{
		test: record.TestBurst, what: "answered at a time", measured: t.Values["servers"], expected: fmt.Sprintf("%.3g", want), met: met,
		decides: c.inside && !others && len(c.Lookalikes) == 0 && (form == "even" || form == "steps"),
	}}
}

// asked says whether a test speaks of a claim: tests ask the scenario's first step alone, and in a journey of several another step,
// at another service, may be what is slow.
func (s *sight) asked(t record.Test, c *claim) bool {
	return len(s.run.Info.Steps) <= 1 || c.Cause == "event-loop-blocked" && c.Where == t.Where
}

// places are how many at a time the claimed resource serves, 0 unknown, and which kinds of the service's resources it is.
func (s *sight) places(c *claim) (n float64, own []kind) {
	first := func(k kind) float64 {
		for _, r := range s.of(k, c.Where) {
			if r.servers > 0 && (r.to == c.to || c.to == "" || r.to == "") {
				return r.servers
			}
		}
		return 0
	}
	switch c.Cause {
	case "event-loop-blocked":
		return max(1, first(loop)), []kind{loop}
	case "lock-contention":
		return 1, []kind{lock}
	case "cpu-bound-hashing":
		n, _ = s.cores()
		if p := first(cpu); p > 0 {
			n = p
		}
		if p := first(hashPool); p > 0 && (p < n || n == 0) {
			n = p
		}
		return n, []kind{cpu, hashPool}
	case "pool-too-small":
		return first(clientPool), []kind{clientPool}
	case "semaphore-too-small":
		return first(semaphore), []kind{semaphore}
	case "database-pool-starved":
		return first(database), []kind{database}
	}
	return 0, nil
}

// slowsDown: whether a trivial request waits with the journeys.
//
//	event-loop-blocked at the service that was asked              k > 0.3
//	lock, pool, semaphore, store's pool, downstream               k < 0.05
//	cpu-bound-hashing                                             k < 0.3: whoever hashes leaves the loop free
//
// CPU that is short altogether, or memory, couples as a loop does. So k > 0.3 decides only where answers also came one at a time
// although there are more cores than one.
func slowsDown(s *sight, c *claim) []prediction {
	t, ok := s.test(record.TestCoupling, "")
	k, known := t.Values["coupling"]
	if !ok || !known || c.aside || c.rank > 0 || c.stuck || !s.asked(t, c) {
		return nil
	}
	p := prediction{test: record.TestCoupling, what: "rise of a trivial request ÷ journeys' own rise", measured: k}
	low, high := t.Values["coupling_low"], t.Values["coupling_high"]
	switch c.Cause {
	case "event-loop-blocked":
		if c.Where != t.Where && c.Where != "" {
			return nil
		}
		p.expected, p.met = "> 0.3", k > sharedFrom
		if !p.met && (high == 0 || high > sharedFrom) {
			return nil
		}
		burst, _ := s.test(record.TestBurst, "")
		cores, _ := s.cores()
		p.decides = low > sharedFrom && burst.Words["form"] == "even" && cores > 1 && (c.inside && len(c.Lookalikes) == 0 || !c.inside && s.computes(c.Where))
	case "lock-contention", "pool-too-small", "semaphore-too-small", "database-pool-starved", "slow-downstream":
		p.expected, p.met = "< 0.05", k < ownBelow
		if !p.met && low <= sharedFrom {
			return nil
		}
	case "cpu-bound-hashing":
		p.expected, p.met = "< 0.3", k < sharedFrom
		if !p.met && low <= 0.5 {
			return nil
		}
	default:
		return nil
	}
	return []prediction{p}
}

// computes says whether the kernel saw a thread of a service busy at the highest goodput: a limiter of rates answers one at a time too,
// and does nothing meanwhile.
func (s *sight) computes(name string) bool {
	hot, ok := s.busiestThread(s.loads[0].window, name)
	return ok && hot >= 50
}

// dialsLate: connections that wait to be accepted at the service that captest asks take a SYN's repetition, a second, and a load on
// fresh connections comes to less than one on kept ones. Nothing else does both.
func dialsLate(s *sight, c *claim) []prediction {
	t, ok := s.test(record.TestConnections, c.Where)
	late, known := t.Values["dial_max_ms"]
	if !ok || !known || c.Cause != "accept-backlog" || c.Where == "" {
		return nil
	}
	const repetition = 900 // ms: the first is sent after 1 s (RFC 6298)
	p := prediction{test: record.TestConnections, what: "longest dial", measured: late, unit: "ms", expected: "≥ 1000", met: late >= repetition}
	// A lost packet is repeated after as long, and is one of many; what waits to be accepted are most of them.
	ratio, measured := t.Values["goodput_ratio"]
	p.decides = measured && ratio < 0.8 && t.Values["dial_ms"] >= 100
	if !p.met && late >= 100 {
		return nil
	}
	return []prediction{p}
}
