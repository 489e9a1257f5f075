// Package drive SENDS: it turns a load and a journey into requests on real sockets and hands one record.Sample per request
// to the recorder.
//
// It stands between schedule (when) and record (keep). It does not decide loads, aggregate anything, or know phases.
package drive

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// Engine sends one load at a time. Nothing downstream of a record.Sample knows which one ran.
type Engine interface {
	// Drive runs the load until its end, then waits for what is in flight (at most the load's Grace, after which it is
	// cancelled and recorded as canceled) and says what happened. When ctx is done it cancels what is in flight at once.
	// No connection of the load is open any more when Drive returns, so that nothing of it lingers on the target.
	// The error is for what the engine itself could not do; failed requests are samples, not errors, and neither is a
	// cancelled ctx. One Drive runs at a time.
	Drive(ctx context.Context, load Load, rec *record.Recorder) (Tally, error)
	// Close shuts every idle connection and frees what virtual users hold.
	Close()
}

// Config of an engine.
type Config struct {
	Scenario *scenarios.Scenario
	Target   *targets.Target
	Guard    *targets.Guard      // every dial goes through it
	Identity *Identity           // the run's unique data
	Env      func(string) string // for {{env "NAME"}}
	Headers  map[string]string   // added to every request; a step's own headers win
	TLS      *tls.Config         // whom https trusts and as whom it comes; nil: the system's roots, no certificate
	HTTP     Version             // what is spoken
	Clock    record.Clock        // the run's; only probes need it (a load takes the recorder's)
	Loops    int                 // native engine: threads that send; 0: one for each of GOMAXPROCS
	Sources  []netip.Addr        // native engine: addresses that connections come from, in turn; empty: the kernel's choice

	// For tests: where connections come from instead of the Guard's dialer.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Load is one trial's load: closed when Users or Ramp is set, open when Plan is.
type Load struct {
	Users int
	Ramp  *schedule.Ramp // closed: instead of Users, a number that changes
	Total uint64         // closed: stop after this many journeys in all; 0: run For
	Plan  *schedule.Plan // open
	For   time.Duration  // 0: closed until Total, or for the ramp's length; open for the plan's
	// Control changes the load while it runs; nil: nothing does.
	Control *Throttle
	// InFlightCap bounds journeys in flight of an open load; arrivals beyond it are counted as dropped, never delayed. 0: DefaultInFlightCap.
	InFlightCap int
	// Connections, of an open load, is another way to bound it: arrivals beyond so many users at a time wait for one, late, and
	// are timed from when they were due. 0: they are dropped at InFlightCap.
	Connections int
	// Grace is how long in-flight journeys may finish after the end; 0: the longest step timeout.
	Grace time.Duration
	// Patience, when it is shorter than a step's timeout, is when its clients give up instead and close the connection. 0: no shorter.
	Patience time.Duration
}

// timeout of a step under this load.
func (l *Load) timeout(step time.Duration) time.Duration {
	if l.Patience > 0 {
		return min(l.Patience, step)
	}
	return step
}

// DefaultInFlightCap of open loads: far above what a healthy target needs, far below what a laptop's memory or descriptors allow.
const DefaultInFlightCap = 2000

// Tally is what an engine did in one Drive.
type Tally struct {
	Journeys   uint64        // finished
	Failed     uint64        // journeys that ended at a failed step
	Dropped    uint64        // arrivals that could not start
	Late       uint64        // arrivals that had to wait for a user (Load.Connections)
	LastSent   time.Duration // offset of the last request's start since the run began
	Stragglers int           // journeys cancelled: in flight when Grace was over or ctx was done
}
