package record

// TrialSums is a trial so far: every frame of it that was not warm-up, merged.
type TrialSums struct {
	Seconds       float64
	N, OK         uint64            // completed requests of all steps; dropped arrivals are not among them
	Dropped       uint64            // arrivals that could not start
	Late          uint64            // arrivals that had to wait for a user
	Errors        map[string]uint64 // by class
	InFlight      int64             // at the end, whenever they began
	InFlightMean  float64           // time average
	Latency       Latency           // response time of all steps together
	Steps         map[string]StepSums
	LagP99Ms      *float64 // schedule lag; nil when nothing was scheduled
	ConnWaitP99Ms *float64 // wait for a connection, less dial and TLS; nil when no request had one

	// Started counts requests begun; the gap to N is what was in flight at the ends.
	Started uint64
	// ServiceMeanMs is the mean time from actual send to last byte, all steps; nil without requests.
	ServiceMeanMs *float64
	// Response is the histogram behind Latency; nil when unknown. Treat it as read-only.
	Response *Histogram
}

// StepSums is one step's part of a TrialSums.
type StepSums struct {
	N, OK    uint64
	Errors   map[string]uint64
	Latency  Latency
	Response *Histogram
}

// sums adds up frames as they are cut. Its memory is fixed by the number of steps.
type sums struct {
	ns             int64 // length
	integral       int64 // of the in-flight gauge, request·ns
	n, ok, dropped uint64
	begun, late    uint64
	errors         [errorClasses]uint64
	steps          []stepSum
	service, lag   *Histogram
	connWait       *Histogram
}

type stepSum struct {
	n, ok    uint64
	errors   [errorClasses]uint64
	response *Histogram
}

func newSums(steps int) *sums {
	s := &sums{steps: make([]stepSum, steps+1), service: NewHistogram(), lag: NewHistogram(), connWait: NewHistogram()}
	for i := range s.steps {
		s.steps[i].response = NewHistogram()
	}
	return s
}

func (s *sums) add(b *bin, ns, integral int64) {
	s.ns += ns
	s.integral += integral
	s.dropped += b.dropped
	s.begun += b.begun
	s.late += b.late
	for i := range b.steps {
		from, to := &b.steps[i], &s.steps[i]
		s.n += from.n
		s.ok += from.ok
		to.n += from.n
		to.ok += from.ok
		for c := range from.errors {
			s.errors[c] += from.errors[c]
			to.errors[c] += from.errors[c]
		}
		to.response.add(&from.response)
		s.service.add(&from.service)
	}
	s.lag.add(&b.lag)
	s.connWait.add(&b.connWait)
}

// merge adds everything of o, which has the same steps.
func (s *sums) merge(o *sums) {
	s.ns += o.ns
	s.integral += o.integral
	s.n += o.n
	s.ok += o.ok
	s.dropped += o.dropped
	s.begun += o.begun
	s.late += o.late
	for c := range o.errors {
		s.errors[c] += o.errors[c]
	}
	for i := range o.steps {
		from, to := &o.steps[i], &s.steps[i]
		to.n += from.n
		to.ok += from.ok
		for c := range from.errors {
			to.errors[c] += from.errors[c]
		}
		to.response.Merge(from.response)
	}
	s.service.Merge(o.service)
	s.lag.Merge(o.lag)
	s.connWait.Merge(o.connWait)
}

func (s *sums) reset() {
	steps := s.steps
	for i := range steps {
		steps[i].response.Reset()
		steps[i] = stepSum{response: steps[i].response}
	}
	s.service.Reset()
	s.lag.Reset()
	s.connWait.Reset()
	*s = sums{steps: steps, service: s.service, lag: s.lag, connWait: s.connWait}
}

// response merges the steps' response times.
func (s *sums) response() *Histogram {
	all := NewHistogram()
	for i := range s.steps {
		if s.steps[i].n > 0 {
			all.Merge(s.steps[i].response)
		}
	}
	return all
}

// trialSums is an independent copy for the outside.
func (s *sums) trialSums(names []string) TrialSums {
	all := s.response()
	out := TrialSums{
		Seconds: seconds(s.ns), N: s.n, OK: s.ok, Dropped: s.dropped, Late: s.late, Started: s.begun,
		Errors: errorCounts(&s.errors), Latency: all.Latency(), Response: all,
		Steps: make(map[string]StepSums, len(names)),
	}
	if s.ns > 0 {
		out.InFlightMean = max(0, float64(s.integral)/float64(s.ns))
	}
	if s.service.N() > 0 {
		out.ServiceMeanMs = known(s.service.MeanMs())
	}
	if s.lag.N() > 0 {
		out.LagP99Ms = known(s.lag.QuantileMs(0.99))
	}
	if s.connWait.N() > 0 {
		out.ConnWaitP99Ms = known(s.connWait.QuantileMs(0.99))
	}
	for i := range s.steps {
		x := &s.steps[i]
		if i == len(names) && x.n == 0 {
			continue
		}
		out.Steps[stepName(names, i)] = StepSums{
			N: x.n, OK: x.ok, Errors: errorCounts(&x.errors), Latency: x.response.Latency(), Response: x.response.Clone(),
		}
	}
	return out
}

// unknownStep names samples whose step number is not the scenario's.
const unknownStep = "(unknown step)"

func stepName(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return unknownStep
}

// errorCounts names the classes that occurred; nil when none did.
func errorCounts(counts *[errorClasses]uint64) map[string]uint64 {
	var out map[string]uint64
	for c, n := range counts {
		if n > 0 {
			if out == nil {
				out = make(map[string]uint64)
			}
			out[ErrorClass(c).String()] = n
		}
	}
	return out
}
