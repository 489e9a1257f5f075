package record

import "strconv"

// buildFrame encodes what was counted since frameAt. r.mu is held.
func (r *Recorder) buildFrame(now int64) Frame {
	b, length := r.frame, now-r.frameAt
	f := Frame{
		OffsetS: seconds(r.frameAt), Seconds: seconds(length),
		Trial: r.mark.Trial, Phase: r.mark.Phase, Warmup: r.mark.Warmup,
		Users: r.mark.Load.Users, RatePerSecond: r.mark.Load.RatePerSecond,
		InFlight: int(max(0, r.gauge)), Started: b.begun, Dropped: b.dropped, Clamped: b.clamped,
		Connections: r.connections(), Lag: r.encoder.encode(&b.lag),
	}
	if length > 0 {
		f.InFlightMean = max(0, float64(r.integral)/float64(length))
	}
	if f.RatePerSecond > 0 {
		late := b.late
		f.Late = &late
	}
	for i := range b.steps {
		s := &b.steps[i]
		if s.n == 0 {
			continue
		}
		if f.Steps == nil {
			f.Steps = make(map[string]*StepFrame, len(r.steps))
		}
		x := &StepFrame{
			N: s.n, OK: s.ok, Errors: errorCounts(&s.errors), BytesIn: s.bytesIn,
			Response: r.encoder.encode(&s.response), Service: r.encoder.encode(&s.service),
		}
		if len(s.status) > 0 {
			x.Status = make(map[string]uint64, len(s.status))
			for code, n := range s.status {
				x.Status[strconv.Itoa(int(code))] = n
			}
		}
		f.Steps[stepName(r.steps, i)] = x
	}
	return f
}

// connections of the client since the last frame. r.mu is held.
func (r *Recorder) connections() ConnectionFrame {
	b := r.frame
	opened, closed := r.opened.Load(), r.closed.Load()
	open := max(0, r.open.Load())
	peak := max(open, r.peak.Swap(open))
	if peak > r.runPeak.Load() {
		r.runPeak.Store(peak)
	}
	c := ConnectionFrame{
		Opened: opened - r.seen.opened, Closed: closed - r.seen.closed, Reused: b.reused,
		Open: int(open), Peak: int(peak), Errors: errorCounts(&b.connErrors),
		Dial: r.encoder.encode(&b.dial), TLS: r.encoder.encode(&b.tls),
		Wait: r.encoder.encode(&b.wait), FirstByte: r.encoder.encode(&b.firstByte),
		ConnWait: r.encoder.encode(&b.connWait), Write: r.encoder.encode(&b.write), Body: r.encoder.encode(&b.body),
	}
	b.conns.into(&c, &r.encoder)
	r.seen.opened, r.seen.closed = opened, closed
	return c
}
