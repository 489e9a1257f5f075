package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Summarise turns a run folder into its result: what was measured, under which load, and what the experiment said of it.
// Findings, ceilings, limits and the verdict are left empty for those who explain and judge. It is a pure function: the same
// folder gives the same result. What is unknown is nil, never 0.
func Summarise(run *Run) *Result {
	s := &summary{run: run, own: run.Unaltered(), trials: map[int]*merged{}, all: newMerged(), measured: newMerged()}
	r := &Result{
		SchemaVersion: SchemaVersion, Run: run.Info,
		Trials: []Trial{}, Steps: map[string]StepStats{}, Findings: []Finding{}, Ceilings: []Ceiling{}, Limits: []LimitResult{},
		Capacity: Capacity{SLO: []string{}, LatencyAt: []LatencyAt{}},
	}
	s.warnings = append(s.warnings, run.Warnings...)
	s.frames()
	s.events(r)
	r.Trials = s.buildTrials()
	for name, m := range s.all.steps {
		r.Steps[name] = StepStats{
			N: m.n, OK: m.ok, Errors: m.errors, Status: m.status,
			ResponseMs: m.response.Percentiles(), ServiceMs: m.service.Percentiles(),
		}
	}
	s.fillCapacity(r)
	s.fillValidity(&r.Validity)
	if damage := run.Damage(); len(damage) > 0 {
		r.Validity.Valid = false
		r.Validity.Reasons = append(r.Validity.Reasons, damage...)
	}
	s.checkLittle(r)
	s.otherWork(r)
	s.fillRunInfo(&r.Run)
	s.warnOfChanges(r.Changes)
	r.Connections = Connections{
		Client: clientConnections(s.own.Frames), Target: s.targetConnections(), ListenOverflows: listenOverflows(s.own.Hosts),
	}
	s.targetKernel(r.Connections.Target)
	if s.damaged > 0 {
		s.warn("%d histograms in %s could not be decoded: latencies are incomplete", s.damaged, FramesFile)
	}
	if s.clamped > 0 {
		s.warn("%d times lay outside 1 µs to 10 min and were clamped", s.clamped)
	}
	r.Warnings = s.warnings
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	return r
}

// summary is the work of one Summarise.
type summary struct {
	run        *Run
	own        *Run            // the run until a test changed a setting of the target
	trials     map[int]*merged // warm-up left out
	firstFrame map[int]*Frame  // of a trial, warm-up included
	work       []frameWork     // of every frame
	all        *merged         // every frame
	measured   *merged         // every trial's measured frames
	starts     map[int]trialStart
	ends       map[int]TrialEnd
	validity   *Validity
	capacity   bool
	end        *Event
	endReason  string
	damaged    int
	clamped    uint64
	warnings   []string
}

type trialStart struct {
	TrialStart
	offsetS float64
}

// mostTrials bounds the trial numbers that are believed: a run has a few dozen.
const mostTrials = 1_000

func (s *summary) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.warnings, text) {
		s.warnings = append(s.warnings, text)
	}
}

// frames merges every frame into the run, and the measured ones into their trials.
func (s *summary) frames() {
	s.firstFrame, s.work = map[int]*Frame{}, make([]frameWork, len(s.run.Frames))
	altered := s.run.alteredS()
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if f.Seconds < 0 || f.Trial >= mostTrials {
			s.warn("%s: a frame at %.3f s makes no sense (trial %d, %v s) and was left out", FramesFile, f.OffsetS, f.Trial, f.Seconds)
			continue
		}
		d := decodeFrame(f)
		s.work[i] = workOf(d)
		s.damaged += d.damaged
		s.clamped += f.Clamped
		if f.OffsetS < altered {
			s.all.add(d)
		}
		if f.Trial >= 0 {
			if s.firstFrame[f.Trial] == nil {
				s.firstFrame[f.Trial] = f
			}
			if !f.Warmup {
				if s.trials[f.Trial] == nil {
					s.trials[f.Trial] = newMerged()
				}
				s.trials[f.Trial].add(d)
				s.trials[f.Trial].counts.add(f)
				s.measured.add(d)
			}
		}
	}
}

// events takes over what the experiment said. The last event of a kind counts.
func (s *summary) events(r *Result) {
	s.starts, s.ends = map[int]trialStart{}, map[int]TrialEnd{}
	for i := range s.run.Events {
		e := &s.run.Events[i]
		switch e.Kind {
		case EventTrialStart:
			x := trialStart{offsetS: e.OffsetS}
			if s.decode(e, &x.TrialStart) && e.Trial >= 0 && e.Trial < mostTrials {
				s.starts[e.Trial] = x
			}
		case EventTrialEnd:
			var x TrialEnd
			if s.decode(e, &x) {
				s.ends[e.Trial] = x
			}
		case EventLoad, EventKey:
			s.change(e, r)
		case EventBrake:
			s.brake(e, r)
		case EventCapacity:
			s.capacity = takeOver(s, e, &r.Capacity) || s.capacity
		case EventTest:
			var x Test
			if s.decode(e, &x) {
				r.Tests = append(r.Tests, x)
			}
		case EventRecovery:
			var x Recovery
			if s.decode(e, &x) {
				r.Recovery = &x
			}
		case EventBaseline:
			var x Baseline
			if s.decode(e, &x) {
				r.Baseline = &x
			}
		case EventValidity:
			var x Validity
			if s.decode(e, &x) {
				s.validity = &x
				r.Validity = x
			}
		case EventLimits:
			var limits []string
			if s.decode(e, &limits) && !s.capacity {
				r.Capacity.SLO = limits
			}
		case EventWarning:
			s.warn("%s", e.Text)
		case EventEnd:
			var x struct {
				Reason string `json:"reason"`
			}
			if len(e.Data) == 0 || s.decode(e, &x) {
				s.end, s.endReason = e, x.Reason
			}
		}
	}
	for _, list := range []*[]string{&r.Capacity.SLO, &r.Validity.Reasons} {
		if *list == nil {
			*list = []string{}
		}
	}
	if r.Capacity.LatencyAt == nil {
		r.Capacity.LatencyAt = []LatencyAt{}
	}
	if r.Recovery != nil {
		r.Recovery.fill()
	}
	if r.Baseline != nil && r.Baseline.Notes == nil {
		r.Baseline.Notes = []string{}
	}
}

// takeOver replaces *to by the event's data when that is sound.
func takeOver[T any](s *summary, e *Event, to *T) bool {
	var x T
	if !s.decode(e, &x) {
		return false
	}
	*to = x
	return true
}

func (s *summary) decode(e *Event, to any) bool {
	if err := json.Unmarshal(e.Data, to); err != nil {
		s.warn("%s: the %s event at %.3f s was left out: %v", EventsFile, e.Kind, e.OffsetS, err)
		return false
	}
	return true
}

// buildTrials lists trials by number. A trial of which nothing is left keeps its place, so that numbers stay indexes.
func (s *summary) buildTrials() []Trial {
	count := 0
	for i := range s.starts {
		count = max(count, i+1)
	}
	for i := range s.firstFrame {
		count = max(count, i+1)
	}
	out := make([]Trial, count)
	for i := range out {
		out[i] = s.buildTrial(i)
	}
	return out
}

func (s *summary) buildTrial(i int) Trial {
	var t Trial
	if f := s.firstFrame[i]; f != nil {
		t.Phase, t.StartS = f.Phase, f.OffsetS
		t.Load = Load{Users: f.Users, RatePerSecond: f.RatePerSecond}
	}
	if start, ok := s.starts[i]; ok {
		t.Phase, t.Load, t.StartS = start.Phase, start.Load, start.offsetS
	}
	if end, ok := s.ends[i]; ok {
		t.Verdict, t.Reasons = end.Verdict, end.Reasons
	} else {
		t.Reasons = []string{"the run ended before the trial was judged"}
	}
	m := s.trials[i]
	if m == nil {
		return t
	}
	t.Seconds, t.N, t.Dropped, t.Late = m.seconds, m.n, m.dropped, m.late
	t.Latency = m.response.Latency()
	if m.seconds > 0 {
		t.InFlightMean = m.integral / m.seconds
		t.GoodputPerSecond = float64(m.ok) / m.seconds
		t.OfferedPerSecond = float64(m.offered(t.Load)) / m.seconds
	}
	if all := m.n + m.dropped; all > 0 {
		t.ErrorPercent = known(100 * float64(m.n-min(m.n, m.ok)+m.dropped) / float64(all))
	}
	t.ResolutionPercent = m.counts.resolution(m.ok)
	if end := s.ends[i]; end.ResolutionPercent != nil {
		t.ResolutionPercent = end.ResolutionPercent
	}
	return t
}

// offered counts what a load asked for: in an open one every arrival, begun or dropped (which exceeds completions while a
// backlog grows); in a closed one a user offers the next request only when the last has ended.
func (m *merged) offered(l Load) uint64 {
	if l.RatePerSecond > 0 && m.started > 0 {
		return m.started + m.dropped
	}
	return m.n + m.dropped
}

// fillCapacity fills in what the trials alone say, when a run ended before its capacity was stated.
func (s *summary) fillCapacity(r *Result) {
	c := &r.Capacity
	if s.capacity {
		return
	}
	for _, t := range r.Trials {
		if t.N == 0 || t.Seconds <= 0 || t.Phase == PhaseTests {
			continue
		}
		if c.MaxPerSecond == nil || t.GoodputPerSecond > *c.MaxPerSecond {
			c.MaxPerSecond = known(t.GoodputPerSecond)
		}
		if t.Load.Users > 0 && t.Latency.MeanMs != nil {
			c.LatencyAt = append(c.LatencyAt, LatencyAt{
				Users: t.Load.Users, N: t.N, MeanMs: *t.Latency.MeanMs, P50Ms: *t.Latency.P50Ms, P95Ms: *t.Latency.P95Ms,
				PerSecond: t.GoodputPerSecond,
			})
		}
	}
	slices.SortStableFunc(c.LatencyAt, func(a, b LatencyAt) int { return a.Users - b.Users })
}

// fillValidity adds what can be recomputed. Numbers nobody vouched for are not valid.
func (s *summary) fillValidity(v *Validity) {
	if s.validity == nil {
		v.Valid = false
		v.Reasons = append(v.Reasons, "the run ended before its validity was judged")
	}
	if v.ScheduleLagP99Ms == nil && s.measured.lag.N() > 0 {
		v.ScheduleLagP99Ms = known(s.measured.lag.QuantileMs(0.99))
	}
	if v.ConnectionWaitP99Ms == nil && s.measured.connWait.N() > 0 {
		v.ConnectionWaitP99Ms = known(s.measured.connWait.QuantileMs(0.99))
	}
	if v.GeneratorCPUPercent == nil {
		v.GeneratorCPUPercent = s.generatorCPU()
	}
	for _, h := range s.run.Hosts { // each is over the run so far
		if h.GCPauseP99Ms != nil {
			v.GCPauseP99Ms = h.GCPauseP99Ms
		}
	}
}

// generatorCPU is the mean of the readings taken under load.
func (s *summary) generatorCPU() *float64 {
	var sum float64
	n := 0
	for _, h := range s.run.Hosts {
		if h.GeneratorCPUPercent != nil && s.underLoad(h.OffsetS) {
			sum += *h.GeneratorCPUPercent
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return known(sum / float64(n))
}

// loaded says whether a frame belongs to a load.
func (f *Frame) loaded() bool { return f.Trial >= 0 && (f.Users > 0 || f.RatePerSecond > 0) }

// underLoad says whether an instant lies within a loaded frame. Frames are in order of time.
func (s *summary) underLoad(offsetS float64) bool {
	frames := s.run.Frames
	i, found := slices.BinarySearchFunc(frames, offsetS, func(f Frame, at float64) int {
		switch {
		case f.OffsetS+f.Seconds <= at:
			return -1
		case f.OffsetS > at:
			return 1
		}
		return 0
	})
	return found && frames[i].loaded()
}

func (s *summary) fillRunInfo(info *RunInfo) {
	info.CutShort = s.end == nil
	if info.Steps == nil {
		info.Steps = []string{}
	}
	if s.end != nil {
		info.Interrupted = info.Interrupted || s.endReason == "interrupted"
		if info.Ended == nil && !info.Started.IsZero() {
			ended := info.Started.Add(time.Duration(s.end.OffsetS * float64(time.Second)))
			info.Ended = &ended
		}
	}
	if info.LoadSeconds == nil {
		var load float64
		any := false
		for i := range s.run.Frames {
			if f := &s.run.Frames[i]; f.loaded() {
				load += f.Seconds
				any = true
			}
		}
		if any {
			info.LoadSeconds = known(load)
		}
	}
}
