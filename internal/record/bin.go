package record

// bin holds everything counted since it was last emptied: each shard fills one, a frame is the sum of all of them. It grows
// with the number of steps and the spread of latencies, never with the number of requests.
type bin struct {
	steps      []stepBin // one more than the scenario's: the last takes samples of a step that does not exist
	begun      uint64
	dropped    uint64
	late       uint64
	turnedAway uint64 // failed requests that the target asked to come back
	reused     uint64
	clamped    uint64 // times outside the histograms' range, or that ran backwards
	connErrors [errorClasses]uint64

	dial, tls, wait, connWait, write, firstByte, body, lag tally

	conns connBin
}

type stepBin struct {
	n, ok, bytesIn    uint64
	errors            [errorClasses]uint64
	status            map[uint16]uint64 // at most the 900 three-digit codes
	code              uint16            // the last one seen, which most often comes again
	codes             uint64            // how often it did, and is not in status yet
	response, service tally
}

func newBin(steps int) *bin {
	b := &bin{steps: make([]stepBin, steps+1)}
	for i := range b.steps {
		b.steps[i].status = make(map[uint16]uint64)
	}
	return b
}

// count adds one ended request.
func (b *bin) count(x *Sample) {
	if x.Flags&Dropped != 0 {
		b.dropped++
		return
	}
	class := x.Error
	if class >= errorClasses {
		class = ErrorOther
	}
	i := int(x.Step)
	if i >= len(b.steps) {
		i = len(b.steps) - 1
	}
	s := &b.steps[i]
	s.n++
	s.bytesIn += uint64(x.BytesIn)
	if class == ErrorNone {
		s.ok++
	} else {
		s.errors[class]++
		if x.Flags&TurnedAway != 0 {
			b.turnedAway++
		}
	}
	if x.Status >= 100 && x.Status <= 999 {
		if x.Status != s.code {
			s.settle()
			s.code = x.Status
		}
		s.codes++
	}
	b.time(&s.response, x.ResponseTime())
	b.time(&s.service, x.ServiceTime())

	if x.Flags&Reused != 0 {
		b.reused++
	}
	if x.Dial > 0 {
		b.time(&b.dial, x.Dial)
	}
	if x.TLS > 0 {
		b.time(&b.tls, x.TLS)
	}
	if x.Connected > 0 {
		b.time(&b.wait, x.Connected-x.Started)
		b.time(&b.connWait, x.Wait)
		if x.FirstByte > 0 {
			b.time(&b.firstByte, x.FirstByte-x.Connected)
			b.time(&b.body, x.Done-x.FirstByte)
		}
		if ns, ok := x.writeTime(); ok {
			b.time(&b.write, ns)
		}
	} else if class != ErrorNone && class != ErrorCanceled {
		b.connErrors[class]++ // it failed before it had a connection
	}
}

// settle puts the last status seen to the others.
func (s *stepBin) settle() {
	if s.codes > 0 {
		s.status[s.code] += s.codes
		s.codes = 0
	}
}

func (b *bin) time(t *tally, ns int64) {
	us, clamped := clampUs(ns)
	t.record(us)
	if clamped {
		b.clamped++
	}
}

// merge adds everything of o.
func (b *bin) merge(o *bin) {
	b.begun += o.begun
	b.dropped += o.dropped
	b.late += o.late
	b.turnedAway += o.turnedAway
	b.reused += o.reused
	b.clamped += o.clamped
	for i := range o.connErrors {
		b.connErrors[i] += o.connErrors[i]
	}
	for i := range o.steps {
		b.steps[i].merge(&o.steps[i])
	}
	theirs := o.times()
	for i, t := range b.times() {
		t.merge(theirs[i])
	}
	b.conns.merge(&o.conns)
}

func (s *stepBin) merge(o *stepBin) {
	if o.n == 0 {
		return
	}
	s.n += o.n
	s.ok += o.ok
	s.bytesIn += o.bytesIn
	for i := range o.errors {
		s.errors[i] += o.errors[i]
	}
	o.settle()
	for code, n := range o.status {
		s.status[code] += n
	}
	s.response.merge(&o.response)
	s.service.merge(&o.service)
}

// reset empties it and keeps its memory.
func (b *bin) reset() {
	b.begun, b.dropped, b.late, b.turnedAway, b.reused, b.clamped = 0, 0, 0, 0, 0, 0
	b.connErrors = [errorClasses]uint64{}
	for i := range b.steps {
		s := &b.steps[i]
		s.n, s.ok, s.bytesIn = 0, 0, 0
		s.errors = [errorClasses]uint64{}
		s.code, s.codes = 0, 0
		clear(s.status)
		s.response.reset()
		s.service.reset()
	}
	for _, t := range b.times() {
		t.reset()
	}
	b.conns.reset()
}

// times of no step in particular.
func (b *bin) times() [8]*tally {
	return [8]*tally{&b.dial, &b.tls, &b.wait, &b.connWait, &b.write, &b.firstByte, &b.body, &b.lag}
}

// completed is how many requests ended, and how many of them well.
func (b *bin) completed() (n, ok uint64) {
	for i := range b.steps {
		n += b.steps[i].n
		ok += b.steps[i].ok
	}
	return n, ok
}

func (b *bin) empty() bool {
	n, _ := b.completed()
	return n == 0 && b.begun == 0 && b.dropped == 0 && b.lag.n == 0 && b.conns.told == 0
}
