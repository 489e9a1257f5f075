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
	dialling bool            // a dial was started for it, and may report late
	seen     facts
}

// facts are offsets since the run began and durations, in ns; 0 where it did not happen.
type facts struct {
	connected, firstByte, dial, tls int64
	reused                          bool
}

type traceKey struct{}

func newTrace(clock record.Clock) *trace {
	t := &trace{clock: clock}
	t.hooks = httptrace.ClientTrace{GotConn: t.gotConn, GotFirstResponseByte: t.gotFirstByte}
	return t
}

// within gives a context whose requests report to t.
func (t *trace) within(ctx context.Context) context.Context {
	return context.WithValue(httptrace.WithClientTrace(ctx, &t.hooks), traceKey{}, t)
}

// begin starts a request.
func (t *trace) begin(request context.Context) {
	t.mu.Lock()
	t.request, t.over, t.seen = request, false, facts{}
	t.mu.Unlock()
}

// end closes the request and says what was seen. A trace may serve another request only if nothing can report to it any more:
// GotConn and GotFirstResponseByte are called before the response is handed over, a dial is not bound to anything.
func (t *trace) end() (seen facts, reusable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.request = nil
	return t.seen, !t.dialling
}

// gotConn is called again when net/http retries on another connection because a kept one had been closed under it; the last
// one is the one that carried the request.
func (t *trace) gotConn(info httptrace.GotConnInfo) {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over {
		t.seen.connected, t.seen.reused, t.seen.firstByte = now, info.Reused, 0
	}
	t.mu.Unlock()
}

func (t *trace) gotFirstByte() {
	now := t.clock.Now()
	t.mu.Lock()
	if !t.over && t.seen.firstByte == 0 {
		t.seen.firstByte = now
	}
	t.mu.Unlock()
}

// dial notes that a dial begins and gives the request it is for; nil when that has ended already.
func (t *trace) dial() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dialling = true
	return t.request
}

// dialled notes how long the TCP connection and the TLS handshake took.
func (t *trace) dialled(dial, tls time.Duration) {
	t.mu.Lock()
	if !t.over {
		t.seen.dial, t.seen.tls = int64(dial), int64(tls)
	}
	t.mu.Unlock()
}
