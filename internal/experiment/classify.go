package experiment

import (
	"fmt"
	"sort"

	"github.com/captest/captest/internal/record"
)

// Aftermath is everything the recovery verdict is made of: pure data, so that it can be judged again from a run folder.
type Aftermath struct {
	Base          Quiet
	Probes        []record.Probe // any order; those before ReleasedS are ignored
	ReleasedS     float64        // last load request sent, seconds since the run began
	NowS          float64        // how far the watch has come
	ExpectedDrain float64        // in flight at release ÷ highest goodput, seconds; 0 when unknown
	WindowS       float64        // of good probes that counts as recovered
	RelapseS      float64        // that must pass after the window without a relapse
	MaxS          float64        // longest watch
}

// Verdict of a watch in progress.
type watchVerdict struct {
	recovered bool
	settled   bool // nothing more to learn
	seconds   float64
}

// tolerance of "as good as before": on a machine shared with other work, ten probes of a CPU-bound request vary by more
// than the 25 % that a quiet one allows, so the quick watch accepts half again; a stuck or degraded service is far beyond.
const (
	medianTolerance = 1.5
	p95Tolerance    = 2.0
	p95SlackMs      = 50.0
)

// judge finds the first window after release in which every functional probe succeeded as fast as before the load, without
// a relapse behind it. Source: measurement 4.3.
func (a Aftermath) judge() watchVerdict {
	f := a.after("functional")
	for i := range f {
		start := f[i].OffsetS
		if a.NowS < start+a.WindowS {
			break // the window is not full yet
		}
		if !a.good(f, start, start+a.WindowS) || a.relapsed(f, start+a.WindowS) {
			continue
		}
		return watchVerdict{recovered: true, settled: a.NowS >= start+a.WindowS+a.RelapseS, seconds: max(0, start-a.ReleasedS)}
	}
	return watchVerdict{settled: a.NowS-a.ReleasedS >= a.MaxS}
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

// minProbes in a window: fewer cannot tell a working service from luck (5 of 5 still allows 45 % failures at 95 %), but a
// slow target gets few probes, and the relapse watch doubles them.
const minProbes = 5

func (a Aftermath) good(f []record.Probe, from, to float64) bool {
	var ms []float64
	for _, p := range f {
		if p.OffsetS < from || p.OffsetS >= to {
			continue
		}
		if !p.OK {
			return false
		}
		ms = append(ms, p.Ms)
	}
	if len(ms) < minProbes {
		return false
	}
	sort.Float64s(ms)
	return quantile(ms, 0.5) <= medianTolerance*a.Base.MedianMs+5 &&
		quantile(ms, 0.95) <= max(p95Tolerance*a.Base.P95Ms, a.Base.P95Ms+p95SlackMs)
}

// relapsed: after a good window two failures are a relapse; one lost probe in a noisy minute is not.
func (a Aftermath) relapsed(f []record.Probe, from float64) bool {
	bad := 0
	for _, p := range f {
		if p.OffsetS >= from && p.OffsetS < from+a.RelapseS && !p.OK {
			bad++
		}
	}
	return bad >= 2
}

// Classify names what happened after the load. It never says STUCK before the longest watch is over.
func (a Aftermath) Classify() record.Recovery {
	v := a.judge()
	r := record.Recovery{WatchedSeconds: max(0, a.NowS-a.ReleasedS), Leaks: []record.Leak{}}
	if a.ExpectedDrain > 0 {
		r.ExpectedDrainSeconds = &a.ExpectedDrain
	}
	deceived := a.deception()
	if len(a.after("health")) > 0 {
		r.HealthDeceptionSeconds = &deceived
	}
	switch {
	case v.recovered:
		r.Seconds = &v.seconds
		r.Class, r.Summary = record.Slow, fmt.Sprintf("answers as before the load again after %.1f s", v.seconds)
		if v.seconds <= max(10, 2*a.ExpectedDrain) {
			r.Class = record.SelfHealing
		}
	case !v.settled:
		r.Class, r.Summary = record.NotTested, fmt.Sprintf("the watch ended after %.0f s, too early for a verdict", r.WatchedSeconds)
	default:
		a.stuckOrDegraded(&r)
	}
	return r
}

// stuckOrDegraded tells a service that no longer works from one that works worse than before.
func (a Aftermath) stuckOrDegraded(r *record.Recovery) {
	last := a.NowS - max(2*a.WindowS, 10)
	ok, n := count(a.after("functional"), last, "")
	if n > 0 && float64(ok) >= 0.9*float64(n) {
		r.Class = record.Degraded
		r.Summary = fmt.Sprintf("works, but %.0f s after the load it is still slower than before it", r.WatchedSeconds)
		return
	}
	if refused(a.after("functional"), last) {
		r.Class = record.Crashed
		r.Summary = fmt.Sprintf("nothing listens any more: every connection is refused, %.0f s after the load", r.WatchedSeconds)
		return
	}
	r.Class = record.Stuck
	r.SubClass = a.subClass(last)
	r.Summary = fmt.Sprintf("still failing %.0f s after the load ended, with no load at all", r.WatchedSeconds)
	if r.SubClass == "deceptive" {
		r.Summary += "; its health check says it is fine"
	}
}

func refused(probes []record.Probe, from float64) bool {
	n := 0
	for _, p := range probes {
		if p.OffsetS < from {
			continue
		}
		if p.Error != record.ErrorRefused.String() {
			return false
		}
		n++
	}
	return n > 0
}

func (a Aftermath) subClass(from float64) string {
	f, h := a.after("functional"), a.after("health")
	freshOK, fresh := count(f, from, "fresh")
	keptOK, kept := count(f, from, "kept")
	hFreshOK, hFresh := count(h, from, "fresh")
	hKeptOK, hKept := count(h, from, "kept")
	works := func(ok, n int) bool { return n > 0 && 2*ok > n }
	switch {
	case fresh > 0 && kept > 0 && works(freshOK, fresh) != works(keptOK, kept):
		return "connection-scoped"
	case hFresh > 0 && hKept > 0 && works(hFreshOK, hFresh) != works(hKeptOK, hKept):
		return "connection-scoped"
	case hFresh+hKept == 0:
		return ""
	case works(hFreshOK+hKeptOK, hFresh+hKept):
		return "deceptive"
	}
	return "total"
}

func count(probes []record.Probe, from float64, conn string) (ok, n int) {
	for _, p := range probes {
		if p.OffsetS < from || conn != "" && p.Connection != conn {
			continue
		}
		n++
		if p.OK {
			ok++
		}
	}
	return ok, n
}

// deception is how many seconds the health check passed while the service itself failed, after the release: for each
// second with both kinds of probe, health good and functional bad.
func (a Aftermath) deception() float64 {
	type second struct{ hOK, hBad, fOK, fBad int }
	by := map[int]*second{}
	for _, p := range a.Probes {
		if p.OffsetS < a.ReleasedS {
			continue
		}
		// A probe speaks for the seconds it took: a functional probe that hung for 5 s was bad for all of them.
		for s := int(p.OffsetS); s <= int(p.OffsetS+p.Ms/1000); s++ {
			b := by[s]
			if b == nil {
				b = &second{}
				by[s] = b
			}
			switch {
			case p.Probe == "health" && p.OK:
				b.hOK++
			case p.Probe == "health":
				b.hBad++
			case p.OK:
				b.fOK++
			default:
				b.fBad++
			}
		}
	}
	n := 0.0
	for _, b := range by {
		if b.hOK > 0 && b.hBad == 0 && b.fBad > 0 && b.fOK == 0 {
			n++
		}
	}
	return n
}
