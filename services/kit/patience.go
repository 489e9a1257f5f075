package kit

import (
	"context"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"
)

// TimeoutError says which wait of a call was too long.
type TimeoutError struct {
	Downstream string
	Phase      string // connect, write, read
	After      time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s: %s timeout after %s", e.Downstream, e.Phase, e.After)
}

// Timeout makes it a timeout in the sense of net.Error.
func (e *TimeoutError) Timeout() bool { return true }

// phase of a call, in the order they come.
type phase int

const (
	waitingForPool phase = iota + 1
	connecting
	writing
	reading
	over
)

// patience gives each phase of one call its own time and ends the call when a phase outlives it:
//
//	GetConn ──pool──► ConnectStart ──connect──► GotConn ──write──► WroteRequest ──read──► answer read
//
// A phase whose time is 0 may last for ever, which is how a service gets stuck.
type patience struct {
	downstream string
	limits     [over]time.Duration // by phase
	cancel     context.CancelCauseFunc

	mu     sync.Mutex
	now    phase
	began  time.Time // when the phase now began
	timer  *time.Timer
	pooled time.Duration // spent waiting for the pool
	held   bool          // a connection is in hand
}

// enter starts a phase. Hooks of one call come from several goroutines, some after its end, so phases only go forward.
func (p *patience) enter(next phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next <= p.now && next != reading || p.now == over {
		return
	}
	if p.now == waitingForPool {
		p.pooled = time.Since(p.began)
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.now, p.began = next, time.Now()
	if next == over || p.limits[next] <= 0 {
		return
	}
	after := p.limits[next]
	p.timer = time.AfterFunc(after, func() {
		if next == waitingForPool {
			p.cancel(&BusyError{Downstream: p.downstream, What: "connection of the pool", Waited: after})
			return
		}
		name := map[phase]string{connecting: "connect", writing: "write", reading: "read"}[next]
		p.cancel(&TimeoutError{Downstream: p.downstream, Phase: name, After: after})
	})
}

// trace follows the call through net/http; held is told once when a connection is in hand.
func (p *patience) trace(held func()) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { p.enter(waitingForPool) },
		ConnectStart: func(string, string) { p.enter(connecting) },
		GotConn: func(httptrace.GotConnInfo) {
			p.enter(writing)
			p.mu.Lock()
			first := !p.held
			p.held = true
			p.mu.Unlock()
			if first { // net/http may try again on another connection
				held()
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { p.enter(reading) },
	}
}

// end stops the clock and says how long the call waited for the pool, and whether it ever had a connection.
func (p *patience) end() (pooled time.Duration, held bool) {
	p.enter(over)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pooled, p.held
}
