package kit

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Accepting is the front door of a service: it gives the listening socket its backlog, shows the socket's queue as the
// kernel counts it, and counts what is accepted.
//
//	SYN ──► kernel's accept queue (at most backlog+1) ──► accept loop (delay) ──► event loop ──► request
//
// With the queue full the kernel drops the SYN without a word, and the caller tries again after 1 s, 3 s, 7 s.
func Accepting(ln net.Listener, k Knobs, m *Metrics) (net.Listener, error) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("listen: %T is not a TCP listener", ln)
	}
	if k.Backlog > 0 {
		if err := setBacklog(tcp, k.Backlog); err != nil {
			return nil, fmt.Errorf("listen: backlog %d: %w", k.Backlog, err)
		}
	}
	showQueue(tcp, m)
	return &acceptLoop{Listener: ln, delay: k.AcceptDelay, accepted: m.accepted, closed: make(chan struct{})}, nil
}

// showQueue registers the gauges of the accept queue where the system can be asked for it.
func showQueue(ln *net.TCPListener, m *Metrics) {
	if _, _, err := acceptQueue(ln); err != nil {
		return
	}
	gauge := func(name, help string, pick func(length, limit int) int) {
		m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			length, limit, _ := acceptQueue(ln) // 0 after the end of listening
			return float64(pick(length, limit))
		}))
	}
	gauge("accept_queue_length", "Connections the kernel holds that nobody has accepted yet.", func(length, _ int) int { return length })
	gauge("accept_queue_limit", "Connections the kernel holds before it drops the next.", func(_, limit int) int { return limit })
}

// acceptLoop spends delay on each connection before it takes the next, as a loop does that looks a name up or sets up TLS
// inline.
type acceptLoop struct {
	net.Listener
	delay    time.Duration
	accepted prometheus.Counter
	closed   chan struct{}
	once     sync.Once
}

func (a *acceptLoop) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil || a.delay <= 0 {
		if err == nil {
			a.accepted.Inc()
		}
		return c, err
	}
	t := time.NewTimer(a.delay)
	defer t.Stop()
	select {
	case <-t.C:
		a.accepted.Inc()
		return c, nil
	case <-a.closed: // a shutdown does not wait: this caller is in the same position as those still in the queue
		_ = c.Close()
		return nil, net.ErrClosed
	}
}

func (a *acceptLoop) Close() error {
	a.once.Do(func() { close(a.closed) })
	return a.Listener.Close()
}
