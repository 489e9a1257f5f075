package drive

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/captest/captest/internal/record"
)

// sampleEvery: the kernel is asked about a connection (TCP_INFO) when it ends, however it ends, and when every 1024th request
// of it begins. Counts alone set these instants, so that overload does not bias the sample: a clock would find a connection the
// more often the longer its requests take, the end of requests only those that end, their success only those that succeed. Every
// connection that was given up or reset gives its reading as every other does, bytes and retransmits add up with nothing left
// out, and a connection weighs 1 + ⌊its requests ÷ 1024⌋ in the round-trip times, whatever its requests came to.
const sampleEvery = 1024

// countedConn is a connection of net/http's. It tells the recorder what happened on it, and once that it was closed.
//
// net/http's goroutines close it at moments of their own, perhaps before its request knows how it ended. So the last word on it
// is said when it is closed and no request is under way on it any more.
type countedConn struct {
	net.Conn
	rec      *record.Recorder // nil: not counted
	resting  *atomic.Bool     // captest is closing what is idle
	secured  bool             // TLS is spoken on it
	shard    *record.Shard
	in, out  atomic.Uint64 // bytes since it was last told of
	mu       sync.Mutex    // everything below
	riding   int           // requests under way on it
	carried  uint64        // requests begun on it
	announce bool          // the target has said that it closes after its answer
	failed   bool          // a request on it was not answered
	closed   bool
	by       record.ClosedBy
	tcp      record.TCPInfo // as it was closed
	resent   uint32         // retransmits that were told of
}

// countedIn finds it behind what net/http shows of a connection; nil when there is none.
func countedIn(c net.Conn) *countedConn {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	counted, _ := c.(*countedConn)
	return counted
}

// ride begins a request on it.
func (c *countedConn) ride() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.riding++
	if c.carried++; c.carried%sampleEvery == 0 && !c.closed {
		c.tcp, _ = tcpInfoOf(c.Conn, &c.resent)
		c.tell(record.StillOpen)
	}
}

// leave ends a request on it. How that ended says more than the connection knew: an end that came with a complete answer came
// behind it, and a goodbye within TLS breaks a request without the connection below having ended yet.
func (c *countedConn) leave(class record.ErrorClass) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.riding--
	switch class {
	case record.ErrorNone, record.ErrorStatus, record.ErrorCheck:
		if c.by == record.ByTarget {
			c.by = c.ended()
		}
	case record.ErrorClosed:
		c.failed = true
		if c.by == record.ByCaptest {
			c.by = record.ByTarget
		}
	default:
		c.failed = true
	}
	if c.closed && c.riding == 0 {
		c.tell(c.by)
	}
}

// announced says that the answer under way is its last.
func (c *countedConn) announced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce = true
	if c.by == record.ByCaptest || c.by == record.ByTargetIdle {
		c.by = record.ByTarget
	}
}

// tell records a stretch. c.mu is held.
func (c *countedConn) tell(by record.ClosedBy) {
	if c.rec != nil {
		c.shard.Stretch(record.Stretch{BytesIn: c.in.Swap(0), BytesOut: c.out.Swap(0), TCP: c.tcp, Closed: by, Requests: c.carried})
	}
}

// Read reads and counts.
func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.Add(uint64(n))
	if err != nil {
		c.broke(err)
	}
	return n, err
}

// Write writes and counts.
func (c *countedConn) Write(b []byte) (int, error) {
	// Counted first: the answer may come, and the connection be closed and told of, before this goroutine runs again.
	c.out.Add(uint64(len(b)))
	n, err := c.Conn.Write(b)
	c.out.Add(-uint64(len(b) - n))
	if err != nil {
		c.broke(err)
	}
	return n, err
}

// broke notes who was first to end the connection. Errors that are not of the other side's making say nothing.
func (c *countedConn) broke(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.by != record.StillOpen:
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE):
		c.by = c.ended()
	case errors.Is(err, syscall.ECONNRESET):
		c.by = record.ByReset
	}
}

// ended is an end that the target made. c.mu is held.
func (c *countedConn) ended() record.ClosedBy {
	if c.announce || c.riding > 0 {
		return record.ByTarget
	}
	return record.ByTargetIdle
}

// Close closes it and counts that.
func (c *countedConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		var left bool
		c.tcp, left = tcpInfoOf(c.Conn, &c.resent)
		switch {
		case c.by != record.StillOpen:
		case left, c.announce:
			c.by = c.ended()
		case c.secured && c.riding == 0 && !c.failed && !c.resting.Load():
			// net/http has done it by itself: the target said goodbye within TLS, where it cannot be seen here.
			c.by = record.ByTargetIdle
		default:
			c.by = record.ByCaptest
		}
		if c.rec != nil {
			c.rec.Closed()
		}
		if c.riding == 0 {
			c.tell(c.by)
		}
	}
	return c.Conn.Close()
}
