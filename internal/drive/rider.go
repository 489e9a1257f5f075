package drive

import "github.com/captest/captest/internal/record"

// rider is a virtual user on a loop: a state machine that the loop moves on when something happens, from one request to the
// next. It holds no goroutine and, between requests, next to no memory.
//
//	resting ──begin──► (dialling ─►) sending ─► receiving ──finish──► thinking ──► sending …
//	   ▲                                                                              │
//	   └───────────────────────────────── journey ends ───────────────────────────────┘
type rider struct {
	*user
	conns []conn // by endpoint; one each, as a browser has to a host

	arrival  int64 // when the journey was due; -1: when its user is free
	setup    bool  // its steps are those of setup
	setupAt  int64 // when that began
	traveled bool  // a journey is under way
	playing  bool  // closed: it goes on with another journey by itself
	first    bool  // nothing of the journey has been sent yet
	next     int   // the step that follows

	w       *wire // of the request under way
	on      *conn // that carries it; nil between requests
	retried bool  // on another connection, since a kept one had been closed under it
	sample  record.Sample
	detail  string
	sink    bodySink

	whole deadline // of the request
	part  deadline // of its connection, then of the answer's first byte, where the step has such
}

// A connection of a rider.
type conn struct {
	r        *rider
	endpoint int
	fd       int
	turn     int32 // tells events of this socket from those of an earlier one with its number
	state    connState
	address  int    // of the endpoint's, the one being tried
	began    int64  // of the dial
	served   uint64 // requests answered
	carried  uint64 // requests begun on it
	// Since it was last told of (loop.tell).
	bytesIn, bytesOut uint64
	resent            uint32 // retransmits that were told of
	out               []byte // not sent yet
	in                response
}

type connState uint8

const (
	down connState = iota
	dialling
	up
)
