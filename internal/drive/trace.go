package drive

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// trace collects the facts about one request's connection. Dials go on in the background when the request that asked for
// them has ended, so everything here is guarded, and what comes too late is dropped.
type trace struct {
	clock record.Clock
	hooks httptrace.ClientTrace

	mu       sync.Mutex
	request  context.Context // of the request under way; a dial ends with it
	over     bool            // the request has ended
	conn     *countedConn    // that carries it
	dialling bool            // a dial was started for it, and may report late
	waits    waits
	timer    *time.Timer // of the wait for the first byte; nil: none runs
	seen     facts
}

// facts are offsets since the run began and durations, in ns; 0 where it did not happen.
type facts struct {
	wanted, connected, wrote, firstByte int64
	dial, tls, wait                     int64
	reused                              bool
}

// waits are the timeouts of a request's parts; 0: none.
type waits struct {
	connect, firstByte time.Duration
	giveUp             context.CancelCauseFunc // ends the request
}

type traceKey struct{}

func newTrace(clock record.Clock) *trace {
	t := &trace{clock: clock}
	t.hooks = httptrace.ClientTrace{
		GetConn: t.getConn, GotConn: t.gotConn, WroteRequest: t.wroteRequest, GotFirstResponseByte: t.gotFirstByte,
	}
	return t
}

// within gives a context whose requests report to t.
func (t *trace) within(ctx context.Context) context.Context {
	return context.WithValue(httptrace.WithClientTrace(ctx, &t.hooks), traceKey{}, t)
}

// begin starts a request.
func (t *trace) begin(request context.Context, w waits) {
	t.mu.Lock()
	t.request, t.waits, t.over, t.seen = request, w, false, facts{}
	t.mu.Unlock()
}

// end closes the request, which ended so, and says what was seen. A trace may serve another request only if nothing can report to it any more:
// GotConn and GotFirstResponseByte are called before the response is handed over; WroteRequest need not be, and a dial is not
// bound to anything.
func (t *trace) end(class record.ErrorClass) (seen facts, reusable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.request, t.waits = nil, waits{}
	t.stopTimer()
	if t.conn != nil {
		t.conn.leave(class)
		t.conn = nil
	}
	return t.seen, !t.dialling && t.seen.wrote > 0
}

// getConn is called again when net/http retries.
func (t *trace) getConn(string) {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over {
		t.seen.wanted = now
	}
	t.mu.Unlock()
}

// gotConn is called again when net/http retries on another connection because a kept one had been closed under it; the last
// one is the one that carried the request.
func (t *trace) gotConn(info httptrace.GotConnInfo) {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over {
		t.seen.connected, t.seen.reused, t.seen.wrote, t.seen.firstByte = now, info.Reused, 0, 0
		t.seen.wait = now - t.seen.wanted
		if !info.Reused { // its dial has reported; else it would be another one's
			t.seen.wait -= t.seen.dial + t.seen.tls
		}
		t.on(countedIn(info.Conn))
		t.stopTimer()
		if giveUp := t.waits.giveUp; t.waits.firstByte > 0 {
			t.timer = time.AfterFunc(t.waits.firstByte, func() { giveUp(firstByteTimeout) })
		}
	}
	t.mu.Unlock()
}

// on has the request ride on a connection, and no longer on the one before. t.mu is held.
func (t *trace) on(c *countedConn) {
	if c == t.conn {
		return
	}
	if t.conn != nil {
		t.conn.leave(record.ErrorClosed) // under the request, or it would not be tried again
	}
	if t.conn = c; c != nil {
		c.ride()
	}
}

// announced says that the target closes the connection after this answer.
func (t *trace) announced() {
	t.mu.Lock()
	if t.conn != nil {
		t.conn.announced()
	}
	t.mu.Unlock()
}

func (t *trace) wroteRequest(info httptrace.WroteRequestInfo) {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over && info.Err == nil && t.seen.wrote == 0 {
		t.seen.wrote = now
	}
	t.mu.Unlock()
}

func (t *trace) gotFirstByte() {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over && t.seen.firstByte == 0 {
		t.seen.firstByte = now
		t.stopTimer()
	}
	t.mu.Unlock()
}

// stopTimer ends the wait for the first byte. t.mu is held.
func (t *trace) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// dial notes that a dial begins and gives the request it is for, nil when that has ended already, and how long it may take (0:
// as long as the request).
func (t *trace) dial() (request context.Context, within time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dialling = true
	return t.request, t.waits.connect
}

// dialled notes how long the TCP connection and the TLS handshake took.
func (t *trace) dialled(dial, tls time.Duration) {
	t.mu.Lock()
	if !t.over {
		t.seen.dial, t.seen.tls = int64(dial), int64(tls)
	}
	t.mu.Unlock()
}
