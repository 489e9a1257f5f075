package experiment

import (
	"math"
	"slices"
	"sort"

	"github.com/captest/captest/internal/record"
)

// Aftermath is everything the verdict on one trigger is made of: pure data, so that it can be judged in simulation and
// again from a run folder.
type Aftermath struct {
	Base          map[string]Quiet // by step
	Probes        []record.Probe   // any order; those before ReleasedS are ignored
	ReleasedS     float64          // the load ended, seconds since the run began
	LastSentS     float64          // t_r, the last request of the load was sent; 0: at ReleasedS
	NowS          float64          // how far the watch has come
	ExpectedDrain float64          // Q(t_r)/X_max: in flight at release ÷ highest goodput, seconds; 0 when unknown
	WindowS       float64          // of good probes that counts as recovered
	MinProbes     int              // in a window, of each step
	RelapseS      float64          // that must pass after the window without a relapse
	MaxS          float64          // longest watch: T_max
	Strict        bool             // measurement 4.3's tolerance; otherwise the quick watch's
	Timers        []record.Timer   // known of this target, besides the well-known ones
	Restarts      []RestartSeen
	TriggeredS    float64   // the load began
	StalledS      float64   // longest time since the release in which captest itself stood still; 0: none to speak of
	Background    bool      // load was kept up after the release
	OpenS         []float64 // starts of the functional probes that have no answer yet
}

// RestartSeen is a later process start time that a service's metrics showed.
type RestartSeen struct {
	Service string
	AtS     float64 // when it was seen, seconds since the run began
}

// watchVerdict of a watch in progress.
type watchVerdict struct {
	recovered bool
	settled   bool // nothing more to learn
	seconds   float64
	startS    float64 // of the good window
}

// tolerance of "as good as before" (measurement 4.3): median within 1.25 and p95 within 1.5 times the quiet ones. A median
// that the quiet probes themselves reached in their slowest twentieth is no degradation either: without that, ten probes of a
// CPU-bound request on a shared machine fail a service that was never harmed. The quick watch accepts half again; a stuck or
// degraded service is far beyond either.
func (a Aftermath) tolerance(b Quiet) (medianMs, p95Ms float64) {
	if a.Strict {
		return max(1.25*b.MedianMs, b.P95Ms) + slackMs, max(1.5*b.P95Ms, b.P95Ms+20)
	}
	return max(1.5*b.MedianMs, b.P95Ms) + slackMs, max(2*b.P95Ms, b.P95Ms+50)
}

// slackMs is what a loopback request varies by for reasons of the machine's own.
const slackMs = 5

// judge finds the first window after release in which every functional probe succeeded as fast as before the load, without
// a relapse behind it. Source: measurement 4.3.
func (a Aftermath) judge() watchVerdict {
	f := a.after("functional")
	conns := map[string]bool{}
	for _, p := range f {
		conns[p.Connection] = true
	}
	for i := range f {
		start := f[i].OffsetS
		end := start + a.WindowS
		if a.NowS < end {
			break // the window is not full yet
		}
		if !a.good(f[i:], end, len(conns)) || relapsed(f[i:], end, end+a.RelapseS) {
			continue
		}
		settled := a.NowS >= end+a.RelapseS && !a.open(start, end+a.RelapseS)
		return watchVerdict{recovered: true, settled: settled, startS: start, seconds: max(0, start-a.sent())}
	}
	return watchVerdict{settled: a.NowS-a.ReleasedS >= a.MaxS+a.StalledS} // nobody watched while captest stood still
}

// open says whether a probe that was sent within a stretch of time may still fail.
func (a Aftermath) open(from, to float64) bool {
	return slices.ContainsFunc(a.OpenS, func(s float64) bool { return s >= from && s < to })
}

// sent is t_r.
func (a Aftermath) sent() float64 {
	if a.LastSentS > 0 {
		return a.LastSentS
	}
	return a.ReleasedS
}

// after gives the probes of one kind that began after the release, in order.
func (a Aftermath) after(kind string) []record.Probe {
	var out []record.Probe
	for _, p := range a.Probes {
		if p.Probe == kind && p.OffsetS >= a.ReleasedS {
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].OffsetS < out[j].OffsetS })
	return out
}

// good wants enough probes of every step until then, each a success, some of them on either kind of connection, and each step as
// fast as when it was quiet.
func (a Aftermath) good(f []record.Probe, until float64, conns int) bool {
	ms := map[string][]float64{}
	seen := map[string]bool{}
	for _, p := range f {
		if p.OffsetS >= until {
			break
		}
		if !p.OK {
			return false
		}
		ms[p.Step] = append(ms[p.Step], p.Ms)
		seen[p.Connection] = true
	}
	if len(seen) < conns {
		return false
	}
	for step, base := range a.Base {
		of := ms[step]
		if len(of) < max(1, a.MinProbes) {
			return false
		}
		sort.Float64s(of)
		median, p95 := a.tolerance(base)
		if quantile(of, 0.5) > median || quantile(of, 0.95) > p95 {
			return false
		}
	}
	return len(a.Base) > 0
}

// relapsed: after a good window two failures are a relapse; one lost probe in a noisy minute is not.
func relapsed(f []record.Probe, from, to float64) bool {
	bad := 0
	for _, p := range f {
		if p.OffsetS >= from && p.OffsetS < to && !p.OK {
			bad++
		}
	}
	return bad >= 2
}

// timer gives the well-known length that matches a recovery time to ±10 % (measurement 4.3), and never finer than the ±1 s
// that the time itself is known to; nil when none does.
func (a Aftermath) timer(seconds float64) *record.Timer {
	var best *record.Timer
	off := math.Inf(1)
	for _, t := range append(append([]record.Timer{}, a.Timers...), wellKnown...) {
		d := math.Abs(seconds - t.Seconds)
		if d > max(1, 0.1*t.Seconds) {
			continue
		}
		switch {
		case d < off:
			best, off = &record.Timer{Seconds: t.Seconds, What: t.What}, d
		case t.Seconds == best.Seconds: // nothing tells them apart
			best.What += ", or " + t.What
		}
	}
	return best
}

// wellKnown timers that bring a service back without anybody's help.
var wellKnown = []record.Timer{
	{Seconds: 30, What: "a connection pool's timeout or a circuit breaker"},
	{Seconds: 60, What: "TIME_WAIT (Linux), or a circuit breaker"},
	{Seconds: 75, What: "keep-alive expiry (nginx, the bundled services)"},
	{Seconds: 90, What: "Go's idle connection timeout"},
	{Seconds: 120, What: "an idle timeout of two minutes"},
}
