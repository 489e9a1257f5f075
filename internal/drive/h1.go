package drive

import "io"

// response parses the HTTP/1.1 responses of one connection, one after the other (RFC 9112). It is a state machine over the
// bytes that come: it does no I/O and knows no time, and its answers do not depend on how the bytes are cut into pieces. start
// makes any value ready, the zero value too.
//
// It is as strict as net/http's client, because a target must not fare differently with another engine; h1_test.go has the
// list of what it deliberately does otherwise, and why.
type response struct {
	started bool      // a byte of it has come
	err     error     // what broke it; final
	seen    *seenHead // the last head that came; nil: none is remembered
	progress

	line  []byte // the beginning of a line whose end has not come
	value []byte // of the pending field
	kept  []byte // the head's fields, one a line: name, colon, value
}

// progress is what a response knows of itself. It holds no pointers, so that forgetting it costs nothing.
type progress struct {
	status int // of the answer; 0 until its head is complete

	phase phase
	head  bool // the request was HEAD: no body follows
	keep  bool // kept is wanted

	framing      // of the head under way, 1xx too
	pending kind // the framing field whose value may still go on in the next line
	code    int
	fields  int // lines of the head or the trailer, after the first
	informs int // 1xx heads skipped
	spent   int // bytes of all heads and the trailer

	rest   int64 // of the body, or of the chunk
	body   int64 // bytes of it that have come
	excess int64 // of chunk framing, beyond what the data justify
}

// framing is what a head says about where the response ends and whether another may follow.
type framing struct {
	length  int64 // -1: it does not say
	minor   byte  // of the version
	chunked bool
	close   bool // what "Connection" says
	persist bool
	faulty  bool // HTTP/1.0 with a transfer coding
}

type phase uint8

const (
	inStatusLine phase = iota
	inFields
	inTrailer
	inLength     // a body of known length
	inUntilClose // a body that the end of the connection ends
	inChunkSize
	inChunk
	inChunkCR // behind a chunk's data
	inChunkLF
	complete
)

const (
	headMax   = 256 << 10 // bytes of all heads of a response, 1xx and trailer included
	informMax = 64        // 1xx responses before the real one
	lineKept  = 16 << 10  // bytes of each buffer a connection keeps for the next response
)

// What can be wrong with a response. A sentence holds nothing of the response itself: it may be secret, and failures of one
// kind are counted by it.
const (
	errNotHTTP      protocolError = `not an HTTP/1 response: it does not begin with "HTTP/1."`
	errStatusLine   protocolError = "malformed status line"
	errField        protocolError = "malformed header line"
	errHeadTooLarge protocolError = "the response's headers are larger than 256 KiB"
	errLength       protocolError = "malformed Content-Length"
	errLengths      protocolError = "contradicting Content-Length headers"
	errCoding       protocolError = "unsupported Transfer-Encoding; only chunked is"
	errSwitched     protocolError = "status 101 though no other protocol was asked for"
	errInforms      protocolError = "more than 64 responses with a 1xx status before the real one"
	errChunkSize    protocolError = "malformed chunk size"
	errChunkLine    protocolError = "a chunk-size line longer than 4 KiB"
	errChunkEnd     protocolError = "a chunk whose data do not end where its size says"
	errChunkExcess  protocolError = "chunked encoding with more framing than data"
)

// start begins a new response. head: the request was HEAD, so that no body follows. keep: the header fields are wanted.
func (p *response) start(head, keep bool) {
	p.started, p.err = false, nil
	p.progress = progress{head: head, keep: keep, framing: framing{length: -1}}
	if max(cap(p.line), cap(p.value), cap(p.kept)) > lineKept {
		p.line, p.value, p.kept = nil, nil, nil
	}
	p.line, p.value, p.kept = p.line[:0], p.value[:0], p.kept[:0]
}

// feed takes the next bytes and says how many of them belong to this response and whether it is complete; bytes beyond used
// are unsolicited. What is body goes to sink (may be nil) as slices of in. An error is final; used then means nothing.
// It allocates only for lines that are split over several feeds and for kept fields, into memory the next response reuses.
func (p *response) feed(in []byte, sink *bodySink) (used int, done bool, err error) {
	first := !p.started
	if len(in) > 0 {
		p.started = true
	}
	if first && p.seen != nil {
		used = p.seen.again(in, p)
		first = used == 0
	}
	for used < len(in) && p.phase != complete && p.err == nil {
		rest := in[used:]
		switch p.phase {
		case inStatusLine, inFields, inTrailer:
			used += p.lines(rest)
			if first && p.seen != nil && p.phase > inTrailer {
				p.seen.learn(in[:used], p)
				first = false // what follows may have lines too
			}
		case inChunkSize:
			used += p.chunkSize(rest)
		case inChunkCR, inChunkLF:
			p.chunkEnd(rest[0])
			used++
		default:
			used += p.data(rest, sink)
		}
	}
	return used, p.phase == complete && p.err == nil, p.err
}

// eof says that the peer has closed. done: that completes the response, or it was complete before. Otherwise err is io.EOF
// when nothing of a response had come, io.ErrUnexpectedEOF in the middle of one.
func (p *response) eof() (done bool, err error) {
	switch {
	case p.err != nil:
	case p.phase == inUntilClose:
		p.close, p.phase = true, complete
	case p.phase == complete:
	case p.started:
		p.err = io.ErrUnexpectedEOF
	default:
		p.err = io.EOF
	}
	return p.err == nil, p.err
}

// keepAlive says whether the connection can carry another request; false before the response is complete.
func (p *response) keepAlive() bool {
	return p.phase == complete && p.err == nil && !p.close && !p.faulty && (p.minor > 0 || p.persist)
}

// bodyBytes that have come so far, without framing.
func (p *response) bodyBytes() int64 { return p.body }

// data takes what is body of in, which is not empty.
func (p *response) data(in []byte, sink *bodySink) (used int) {
	if p.phase != inUntilClose && int64(len(in)) > p.rest {
		in = in[:p.rest]
	}
	n := int64(len(in))
	if p.body+n > bodyMax { // a length or a chunk beyond it was refused before
		p.err = errTooLarge
		return 0
	}
	if sink != nil {
		sink.take(in)
	}
	p.body += n
	if p.phase == inUntilClose {
		return len(in)
	}
	if p.rest -= n; p.rest == 0 {
		if p.phase == inChunk {
			p.phase = inChunkCR
		} else {
			p.phase = complete
		}
	}
	return len(in)
}

// bodySink keeps the beginning of a body.
type bodySink struct {
	buf   []byte
	limit int // bytes kept; bodyMax: the whole body
}

func (s *bodySink) take(part []byte) {
	if room := s.limit - len(s.buf); len(part) > room {
		part = part[:max(room, 0)]
	}
	s.buf = append(s.buf, part...)
}
