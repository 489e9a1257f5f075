package record

// clientConnections adds up captest's own connections over the whole run.
func clientConnections(frames []Frame) ClientConnections {
	s := clientSum{
		out:  ClientConnections{Errors: map[string]uint64{}},
		each: NewHistogram(), rtt: NewHistogram(), rttVar: NewHistogram(),
	}
	c := &s.out
	times := make([]*Histogram, 6)
	for i := range times {
		times[i] = NewHistogram()
	}
	for i := range frames {
		f := &frames[i].Connections
		c.Opened += f.Opened
		c.Reused += f.Reused
		c.PeakOpen = max(c.PeakOpen, f.Peak)
		addCounts(c.Errors, f.Errors)
		for i, text := range []string{f.Dial, f.TLS, f.FirstByte, f.ConnWait, f.Write, f.Body} {
			mergeEncoded(times[i], text)
		}
		s.add(f)
	}
	if all := c.Opened + c.Reused; all > 0 {
		c.ReusedPercent = known(100 * float64(c.Reused) / float64(all))
	}
	for i, to := range []*Percentiles{&c.DialMs, &c.TLSMs, &c.FirstByteMs, &c.WaitMs, &c.WriteMs, &c.BodyMs} {
		*to = times[i].Percentiles()
	}
	s.finish()
	return s.out
}

// clientSum adds up what became of connections.
type clientSum struct {
	out               ClientConnections
	ended, carried    uint64
	each, rtt, rttVar *Histogram
}

// add takes a frame's. What no frame tells of stays nil.
func (s *clientSum) add(f *ConnectionFrame) {
	addKnown(&s.out.BytesIn, f.BytesIn)
	addKnown(&s.out.BytesOut, f.BytesOut)
	if e := f.Ended; e != nil {
		if s.out.ClosedBy == nil {
			s.out.ClosedBy = map[string]uint64{}
		}
		addCounts(s.out.ClosedBy, e.By)
		s.ended += e.N
		s.carried += e.Requests
		mergeEncoded(s.each, e.RequestsEach)
	}
	if t := f.TCP; t != nil {
		if s.out.TCP == nil {
			s.out.TCP = &ClientTCP{}
		}
		s.out.TCP.Samples += t.Samples
		s.out.TCP.Retransmits += t.Retransmits
		s.out.TCP.Lost += t.Lost
		mergeEncoded(s.rtt, t.RTT)
		mergeEncoded(s.rttVar, t.RTTVar)
	}
}

func (s *clientSum) finish() {
	if s.ended > 0 {
		s.out.RequestsPerConnection.Mean = known(float64(s.carried) / float64(s.ended))
	}
	if s.each.N() > 0 { // counts, which a histogram of ms shows as thousandths
		s.out.RequestsPerConnection.P50 = known(1000 * s.each.QuantileMs(0.5))
		s.out.RequestsPerConnection.Max = known(1000 * s.each.MaxMs())
	}
	if t := s.out.TCP; t != nil {
		t.RTTMs, t.RTTVarianceMs = s.rtt.Percentiles(), s.rttVar.Percentiles()
	}
}

// mergeEncoded adds a frame's histogram; a damaged one adds nothing.
func mergeEncoded(to *Histogram, text string) {
	if text == "" {
		return
	}
	if h, err := Decode(text); err == nil {
		to.Merge(h)
	}
}

// addKnown adds a count that may be unknown.
func addKnown(to **uint64, n *uint64) {
	if n == nil {
		return
	}
	if *to == nil {
		*to = new(uint64)
	}
	**to += *n
}
