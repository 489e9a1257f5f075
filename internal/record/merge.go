package record

// decoded is a frame with its histograms decoded: once, however many sums it goes into.
type decoded struct {
	*Frame
	steps    map[string]*decodedStep
	lag      *Histogram
	connWait *Histogram
	damaged  int // histograms that could not be decoded
}

type decodedStep struct{ response, service *Histogram }

func decodeFrame(f *Frame) *decoded {
	d := &decoded{Frame: f, steps: make(map[string]*decodedStep, len(f.Steps))}
	d.lag, d.connWait = d.histogram(f.Lag), d.histogram(f.Connections.ConnWait)
	for name, s := range f.Steps {
		if s == nil {
			continue
		}
		x := &decodedStep{response: d.histogram(s.Response)}
		x.service = x.response
		if s.Service != s.Response { // they are the same text in a closed load
			x.service = d.histogram(s.Service)
		}
		d.steps[name] = x
	}
	return d
}

// histogram decodes one; nil for none or a damaged one.
func (d *decoded) histogram(encoded string) *Histogram {
	if encoded == "" {
		return nil
	}
	h, err := Decode(encoded)
	if err != nil {
		d.damaged++
		return nil
	}
	return h
}

// merged adds up frames.
type merged struct {
	seconds, integral float64 // integral of the in-flight gauge, request·s
	n, ok             uint64
	dropped, started  uint64
	errors, status    map[string]uint64
	steps             map[string]*mergedStep
	response, service *Histogram
	lag, connWait     *Histogram
	late              *uint64    // nil: unknown
	counts            dispersion // of the frames' good completions
}

type mergedStep struct {
	n, ok             uint64
	errors, status    map[string]uint64
	response, service *Histogram
}

func newMerged() *merged {
	return &merged{
		errors: map[string]uint64{}, status: map[string]uint64{}, steps: map[string]*mergedStep{},
		response: NewHistogram(), service: NewHistogram(), lag: NewHistogram(), connWait: NewHistogram(),
	}
}

func (m *merged) add(d *decoded) {
	m.seconds += d.Seconds
	m.integral += d.InFlightMean * d.Seconds
	m.dropped += d.Dropped
	m.started += d.Started
	m.lag.Merge(d.lag)
	m.connWait.Merge(d.connWait)
	addKnown(&m.late, d.Late)
	for name, x := range d.steps {
		f := d.Frame.Steps[name]
		s := m.steps[name]
		if s == nil {
			s = &mergedStep{errors: map[string]uint64{}, status: map[string]uint64{}, response: NewHistogram(), service: NewHistogram()}
			m.steps[name] = s
		}
		s.n += f.N
		s.ok += f.OK
		m.n += f.N
		m.ok += f.OK
		addCounts(s.errors, f.Errors)
		addCounts(m.errors, f.Errors)
		addCounts(s.status, f.Status)
		addCounts(m.status, f.Status)
		s.response.Merge(x.response)
		s.service.Merge(x.service)
		m.response.Merge(x.response)
		m.service.Merge(x.service)
	}
}

func addCounts(to, from map[string]uint64) {
	for k, n := range from {
		to[k] += n
	}
}

// sums as the outside sees them.
func (m *merged) sums() TrialSums {
	s := TrialSums{
		Seconds: m.seconds, N: m.n, OK: m.ok, Dropped: m.dropped, Started: m.started, Errors: m.errors,
		Latency: m.response.Latency(), Response: m.response, Steps: make(map[string]StepSums, len(m.steps)),
	}
	if m.seconds > 0 {
		s.InFlightMean = m.integral / m.seconds
	}
	if m.service.N() > 0 {
		s.ServiceMeanMs = known(m.service.MeanMs())
	}
	if m.lag.N() > 0 {
		s.LagP99Ms = known(m.lag.QuantileMs(0.99))
	}
	if m.connWait.N() > 0 {
		s.ConnWaitP99Ms = known(m.connWait.QuantileMs(0.99))
	}
	if m.late != nil {
		s.Late = *m.late
	}
	for name, x := range m.steps {
		s.Steps[name] = StepSums{N: x.n, OK: x.ok, Errors: x.errors, Latency: x.response.Latency(), Response: x.response}
	}
	return s
}

// Sums merges the frames of one trial, warm-up left out; -1 is all trials. Frames between trials never count.
func (run *Run) Sums(trial int) TrialSums {
	m := newMerged()
	for i := range run.Frames {
		f := &run.Frames[i]
		if !f.Warmup && f.Trial >= 0 && (trial < 0 || f.Trial == trial) {
			m.add(decodeFrame(f))
		}
	}
	return m.sums()
}
