package record

import (
	"cmp"
	"slices"
	"time"
)

// historyTicks is how many seconds of history a snapshot carries.
const historyTicks = 600

// tickSum adds up the frames since the last tick: a phase may have changed in between, a rate needs the whole second.
type tickSum struct {
	ns, integral          int64
	n, ok, begun, dropped uint64
	response, lag         *Histogram

	// of the last second that had any
	offered, goodput, failed, inFlight float64
	latency                            Quantiles
	lagP99Ms                           float64
}

func newTickSum() tickSum { return tickSum{response: NewHistogram(), lag: NewHistogram()} }

func (s *tickSum) add(b *bin, ns, integral int64) {
	n, ok := b.completed()
	s.ns += ns
	s.integral += integral
	s.n += n
	s.ok += ok
	s.begun += b.begun
	s.dropped += b.dropped
	for i := range b.steps {
		s.response.add(&b.steps[i].response)
	}
	s.lag.add(&b.lag)
}

// totals of the whole run.
type totals struct {
	n, ok, dropped, late, reused, turnedAway uint64
	errors                                   [errorClasses]uint64
}

func (t *totals) add(b *bin) {
	n, ok := b.completed()
	t.n += n
	t.ok += ok
	t.dropped += b.dropped
	t.late += b.late
	t.reused += b.reused
	t.turnedAway += b.turnedAway
	for i := range b.steps {
		for c, k := range b.steps[i].errors {
			t.errors[c] += k
		}
	}
}

// endSecond turns the second's sums into rates and one tick of history. r.mu is held.
func (r *Recorder) endSecond() {
	s := &r.second
	if s.ns <= 0 {
		return
	}
	length := seconds(s.ns)
	s.offered = float64(s.begun+s.dropped) / length
	s.goodput = float64(s.ok) / length
	s.failed = float64(s.n-s.ok+s.dropped) / length // an arrival that could not start failed its user
	s.inFlight = max(0, float64(s.integral)/float64(s.ns))
	tick := Tick{Goodput: s.goodput, Errors: s.failed, InFlight: s.inFlight, Phase: r.mark.Phase}
	if s.response.N() > 0 {
		s.latency = s.response.quantiles()
		tick.P50Ms, tick.P95Ms, tick.P99Ms = s.latency.P50Ms, s.latency.P95Ms, s.latency.P99Ms
	}
	s.lagP99Ms = 0
	if s.lag.N() > 0 {
		s.lagP99Ms = s.lag.QuantileMs(0.99)
	}
	if len(r.history) == historyTicks {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	r.history = append(r.history, tick)

	s.response.Reset()
	s.lag.Reset()
	s.ns, s.integral, s.n, s.ok, s.begun, s.dropped = 0, 0, 0, 0, 0, 0
}

// publish builds a snapshot, lets the hooks fill in what they know and makes it the current one.
func (r *Recorder) publish(done bool) {
	r.mu.Lock()
	snap := r.buildSnapshot(done)
	hooks := r.hooks
	r.mu.Unlock()
	for _, hook := range hooks {
		hook(snap)
	}
	r.snapshot.Store(snap)
}

// buildSnapshot copies what the screen may see. r.mu is held.
func (r *Recorder) buildSnapshot(done bool) *Snapshot {
	shown := r.trial
	if shown.n == 0 {
		shown = r.warmup
	}
	s := &Snapshot{
		Elapsed: time.Duration(r.clock.Now()),
		Phase:   r.mark.Phase, Trial: r.mark.Trial, Load: r.mark.Load,
		OfferedPerSecond: r.second.offered, GoodputPerSecond: r.second.goodput, ErrorsPerSecond: r.second.failed,
		InFlight: int(max(0, r.gauge)), Latency: r.second.latency, LagP99Ms: r.second.lagP99Ms,
		Total: r.totals.n, TotalOK: r.totals.ok, TotalErrors: r.totals.n - r.totals.ok, Dropped: r.totals.dropped, Late: r.totals.late,
		Errors: countsOf(&r.totals.errors), History: slices.Clone(r.history), Done: done,
		Connections: ConnectionsNow{
			Open: int(max(0, r.open.Load())), Peak: int(max(r.runPeak.Load(), r.peak.Load())), Opened: r.opened.Load(),
		},
	}
	if all := r.totals.reused + s.Connections.Opened; all > 0 {
		s.Connections.ReusedPercent = 100 * float64(r.totals.reused) / float64(all)
	}
	s.TrialLatency = shown.response().quantiles()
	for i := range shown.steps {
		x := &shown.steps[i]
		if i == len(r.steps) && x.n == 0 {
			continue
		}
		s.Steps = append(s.Steps, StepNow{Name: stepName(r.steps, i), N: x.n, OK: x.ok, Latency: x.response.quantiles()})
	}
	if r.folder != nil {
		if err := r.folder.Err(); err != nil {
			s.Warnings = append(s.Warnings, err.Error())
		}
	}
	return s
}

// countsOf lists the error classes that occurred, most frequent first.
func countsOf(counts *[errorClasses]uint64) []Count {
	var out []Count
	for c, n := range counts {
		if n > 0 {
			out = append(out, Count{Name: ErrorClass(c).String(), N: n})
		}
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	return out
}
