package record

// ClosedBy says who ended a connection of the client first.
type ClosedBy uint8

// Who did. Their names (String) are what frames and run.json carry.
const (
	StillOpen    ClosedBy = iota
	ByCaptest             // the load was over, the request was given up, or what came was not HTTP
	ByTarget              // the target: it had announced that in its answer, or closed during a request
	ByTargetIdle          // the target, between two requests as far as captest could see
	ByReset               // a RST came: from the target, or from something on the way to it
	closers
)

var closerNames = [closers]string{"", "captest", "target", "target_idle", "reset"}

// String is the fixed name, "" while the connection is open.
func (c ClosedBy) String() string {
	if c < closers {
		return closerNames[c]
	}
	return closerNames[ByCaptest]
}

// Stretch is what happened on one connection of the client since the stretch before it; the last one ends it. It is a
// fixed-size value, so recording allocates nothing.
type Stretch struct {
	BytesIn, BytesOut uint64 // on the TCP connection: heads, framing and TLS included
	TCP               TCPInfo
	Closed            ClosedBy
	Requests          uint64 // carried since it was opened, also those without an answer; counts when Closed
}

// TCPInfo is what the kernel thinks of a connection at one instant (Linux: TCP_INFO, tcp(7)).
type TCPInfo struct {
	Known       bool
	RTTUs       uint32 // smoothed round-trip time; 0: none measured yet
	RTTVarUs    uint32 // its mean deviation. Source: RFC 6298, section 2, "RTTVAR"
	Retransmits uint32 // segments sent once more since the connection's last reading
	Lost        uint32 // segments in flight that are believed lost
}

// connBin counts stretches.
type connBin struct {
	told              uint64
	bytesIn, bytesOut uint64
	by                [closers]uint64
	carried           uint64 // requests, by the connections that ended

	readings, retransmits, lost uint64

	requests tally // by connection that ended: a count, not µs
	rtt      tally
	rttVar   tally
}

func (b *connBin) count(x *Stretch) {
	b.told++
	b.bytesIn += x.BytesIn
	b.bytesOut += x.BytesOut
	if x.Closed != StillOpen {
		b.by[min(x.Closed, closers-1)]++
		b.carried += x.Requests
		b.requests.record(int64(min(x.Requests, highestUs)))
	}
	if !x.TCP.Known {
		return
	}
	b.readings++
	b.retransmits += uint64(x.TCP.Retransmits)
	b.lost += uint64(x.TCP.Lost)
	if x.TCP.RTTUs > 0 {
		b.rtt.record(min(int64(x.TCP.RTTUs), highestUs))
		b.rttVar.record(min(max(int64(x.TCP.RTTVarUs), lowestUs), highestUs))
	}
}

func (b *connBin) merge(o *connBin) {
	if o.told == 0 {
		return
	}
	b.told += o.told
	b.bytesIn += o.bytesIn
	b.bytesOut += o.bytesOut
	for i := range o.by {
		b.by[i] += o.by[i]
	}
	b.carried += o.carried
	b.readings += o.readings
	b.retransmits += o.retransmits
	b.lost += o.lost
	b.requests.merge(&o.requests)
	b.rtt.merge(&o.rtt)
	b.rttVar.merge(&o.rttVar)
}

func (b *connBin) reset() {
	b.told, b.bytesIn, b.bytesOut, b.carried = 0, 0, 0, 0
	b.readings, b.retransmits, b.lost = 0, 0, 0
	b.by = [closers]uint64{}
	b.requests.reset()
	b.rtt.reset()
	b.rttVar.reset()
}

// into fills in a frame. What nobody told of stays nil: unknown, not 0.
func (b *connBin) into(f *ConnectionFrame, e *encoder) {
	if b.told == 0 {
		return
	}
	in, out := b.bytesIn, b.bytesOut
	f.BytesIn, f.BytesOut = &in, &out
	if b.requests.n > 0 {
		f.Ended = &EndedConnections{N: b.requests.n, By: map[string]uint64{}, Requests: b.carried, RequestsEach: e.encode(&b.requests)}
		for by, n := range b.by {
			if n > 0 {
				f.Ended.By[ClosedBy(by).String()] = n
			}
		}
	}
	if b.readings > 0 {
		f.TCP = &TCPFrame{
			Samples: b.readings, Retransmits: b.retransmits, Lost: b.lost, RTT: e.encode(&b.rtt), RTTVar: e.encode(&b.rttVar),
		}
	}
}
