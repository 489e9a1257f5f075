package experiment

import (
	"fmt"
	"math"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/observe"
)

// Own is what captest's own process and machine have for connections.
type Own struct {
	Descriptors, DescriptorLimit int // open now, and allowed; 0: unknown
	Ports                        int // for outgoing connections, of each address; 0: unknown
	Sources                      int // addresses that connections come from; 0 is one
}

// OwnNow reads it of this process.
func OwnNow(sources int) Own {
	open, limit := observe.Descriptors()
	return Own{Descriptors: open, DescriptorLimit: limit, Ports: observe.LocalPorts(), Sources: sources}
}

// DescriptorError: the load needs more connections than captest's process may hold. Without it, its failures would be the
// target's.
type DescriptorError struct {
	Connections, Endpoints int // needed at a time, to so many services
	Free, Limit            int // descriptors
}

func (e *DescriptorError) Error() string {
	to := ""
	if e.Endpoints > 1 {
		to = fmt.Sprintf(" to each of %d services", e.Endpoints)
	}
	return fmt.Sprintf("the load needs %d connections at a time%s, but captest's process may open %d more descriptors (limit %d)", e.Connections, to, e.Free, e.Limit)
}

// Hint is the next step.
func (e *DescriptorError) Hint() string {
	return fmt.Sprintf("raise the limit before captest starts (`ulimit -n %d`), or ask for at most %d at a time", e.Limit-e.Free+e.Connections*e.Endpoints, e.Free/e.Endpoints)
}

const (
	// besidesLoad are descriptors for what is neither open now nor a user's: probes, scrapes, files of the run folder.
	besidesLoad = 32
	// timeWait is how long Linux keeps the port of a connection it closed first (TCP_TIMEWAIT_LEN).
	timeWait = time.Minute
	// unkept: from this many new connections a request on, they are not kept alive.
	unkept = 0.5
)

// fits says how many connections at a time, to each endpoint, this process can hold; false when its limit is unknown.
func (o Own) fits(endpoints int) (each, free int, ok bool) {
	if o.DescriptorLimit <= 0 || endpoints <= 0 {
		return 0, 0, false
	}
	free = max(0, o.DescriptorLimit-o.Descriptors-besidesLoad)
	return free / endpoints, free, true
}

// forecastDescriptors refuses a fixed load that cannot have its connections, before anything is sent. What only may need too
// many, an open load without a bound or a search, is warned of.
func (x *experiment) forecastDescriptors() error {
	endpoints := len(x.Scenario.Services())
	each, free, ok := x.Own.fits(endpoints)
	if !ok {
		return nil
	}
	most, certain := search.MostUsers, false
	switch f := x.Fixed; {
	case f == nil:
	case f.Ramp != nil:
		most, certain = f.Ramp.Peak(), true
	case f.Users > 0:
		most, certain = f.Users, true
		if f.Total > 0 {
			most = int(min(uint64(most), f.Total))
		}
	case f.Connections > 0:
		most, certain = f.Connections, true
	case f.RatePerSecond > 0: // a target that stands still has them all wait
		most = int(math.Ceil(min(f.RatePerSecond*min(x.longest(), f.For).Seconds(), drive.DefaultInFlightCap)))
	default:
		return nil
	}
	if most <= each {
		return nil
	}
	if certain {
		return &DescriptorError{Connections: most, Endpoints: endpoints, Free: free, Limit: x.Own.DescriptorLimit}
	}
	x.warn("captest's process may have %d descriptors: enough for %d connections at a time, and this load may come to need %d; what does not fit fails as captest's own (local)",
		x.Own.DescriptorLimit, each, most)
	return nil
}

// forecastPorts warns, once, of a load that will run out of ports: each connection that is not kept occupies one for a minute.
// perSecond is in requests.
func (x *experiment) forecastPorts(perSecond float64) {
	s := x.Recorder.Snapshot()
	if x.portsTold || x.Own.Ports <= 0 || s.Total < 20 {
		return // without an earlier load nobody knows whether connections are kept
	}
	opened := float64(s.Connections.Opened) / float64(s.Total)
	if opened < unkept {
		return
	}
	have := float64(x.Own.Ports * max(1, x.Own.Sources) * max(1, len(x.Scenario.Services())))
	need := perSecond * min(opened, 1) * timeWait.Seconds()
	if need <= have {
		return
	}
	x.portsTold = true
	x.warn("connections are not kept alive: %.0f a second occupy up to %.0f ports (each for a minute, TIME_WAIT), and this machine has %.0f; more addresses (--source) have more",
		perSecond*min(opened, 1), need, have)
}

// expected is about how many requests a second a trial will send at most: its rate, or what its users could if nobody waited,
// but not more than twice what any level has brought.
func (x *experiment) expected(s trialSpec) float64 {
	per := x.perJourney()
	if s.mark.RatePerSecond > 0 {
		return s.mark.RatePerSecond * per
	}
	walk := x.walkMs() / 1000
	if walk <= 0 {
		return 0
	}
	rate := float64(s.mark.Users) * per / walk
	if best := search.Best(x.found); best > 0 {
		rate = min(rate, 2*best*per)
	}
	return rate
}
