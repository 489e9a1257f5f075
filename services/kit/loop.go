package kit

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Loop is one event loop: whoever runs code of a request on it holds it, and nobody else does.
//
//	     enter          await (network, store, hash pool)           leave
//	A ─────┤▓▓▓▓▓▓▓▓▓▓▓▓├───────────────────────────────┤▓▓▓▓▓▓▓▓▓▓▓▓├──
//	B ──────── waits ───┤▓▓▓▓▓▓├─────── await ───┤▓▓├── waits ────────┤▓▓▓
//
// That is what a goroutine server does not have and an asyncio server does: between two awaits one request runs, and
// all others on the loop wait, health checks too. Waiters come through in the order they came, as in a ready queue.
type Loop struct {
	holds chan struct{} // one slot; senders blocked on a channel are served first in, first out
	since time.Time     // when the holder got it; owned by the holder
	conns atomic.Int64  // connections pinned to this loop

	busy, wait prometheus.Counter
}

// Enter waits for the loop and takes it.
func (l *Loop) Enter() {
	asked := time.Now()
	l.holds <- struct{}{}
	l.since = time.Now()
	l.wait.Add(l.since.Sub(asked).Seconds())
}

// Leave gives the loop to the next in line.
func (l *Loop) Leave() {
	l.busy.Add(time.Since(l.since).Seconds())
	<-l.holds
}

type loopKey struct{}

// Await gives up the event loop that ctx runs on, if any, until the returned function is called. Every wait of a
// handler goes through it:
//
//	defer kit.Await(ctx)()
func Await(ctx context.Context) (resume func()) {
	l, _ := ctx.Value(loopKey{}).(*Loop)
	if l == nil {
		return func() {}
	}
	l.Leave()
	return l.Enter
}

// Loops are a service's event loops. A connection belongs to one of them from the moment it is accepted.
type Loops struct {
	mu  sync.Mutex
	all []*Loop
}

// NewLoops makes n event loops; with none, handlers run as goroutines do.
func NewLoops(n int, m *Metrics) *Loops {
	ls := &Loops{}
	for i := range n {
		worker := strconv.Itoa(i)
		ls.all = append(ls.all, &Loop{
			holds: make(chan struct{}, 1),
			busy:  m.loopBusy.WithLabelValues(worker),
			wait:  m.loopWait.WithLabelValues(worker),
		})
	}
	return ls
}

// Listener pins each connection it accepts to the loop that has the fewest.
func (ls *Loops) Listener(inner net.Listener) net.Listener {
	if len(ls.all) == 0 {
		return inner
	}
	return &pinningListener{Listener: inner, loops: ls}
}

// ConnContext is for http.Server: it puts the connection's loop into the context of its requests.
func (ls *Loops) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*pinnedConn); ok {
		return context.WithValue(ctx, loopKey{}, p.loop)
	}
	return ctx
}

// of is the loop a request runs on. A connection that did not come through Listener runs on the first one.
func (ls *Loops) of(ctx context.Context) *Loop {
	if l, ok := ctx.Value(loopKey{}).(*Loop); ok {
		return l
	}
	if len(ls.all) > 0 {
		return ls.all[0]
	}
	return nil
}

func (ls *Loops) pin() *Loop {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	least := ls.all[0]
	for _, l := range ls.all[1:] {
		if l.conns.Load() < least.conns.Load() {
			least = l
		}
	}
	least.conns.Add(1)
	return least
}

type pinningListener struct {
	net.Listener
	loops *Loops
}

func (p *pinningListener) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &pinnedConn{Conn: c, loop: p.loops.pin()}, nil
}

type pinnedConn struct {
	net.Conn
	loop *Loop
	once sync.Once
}

func (c *pinnedConn) Close() error {
	c.once.Do(func() { c.loop.conns.Add(-1) })
	return c.Conn.Close()
}

// NetConn is the connection underneath.
func (c *pinnedConn) NetConn() net.Conn { return c.Conn }
