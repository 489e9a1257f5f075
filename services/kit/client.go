package kit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerLimit bounds what is read of an answer, in bytes.
const answerLimit = 1 << 20

// Client calls one downstream service. In good health it has one pool of connections with a bound, a permit for each
// call, a time for each wait, and a breaker; each of these can be taken away by a knob.
type Client struct {
	downstream string
	base       string
	knobs      Knobs
	pool       *http.Transport // nil: a new one for each call
	conns      *connCount
	bulkhead   *bulkhead
	breaker    *breaker
	m          *Metrics
}

// Call is one request to the downstream.
type Call struct {
	Method string
	Path   string // with its query
	Header http.Header
	Body   []byte
	Permit *Permit // from Allow; nil asks the breaker now
}

// Answer is what came back, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	unread func() // Leaks only: closes the body nobody has read
}

// Close gives the connection back where reading the answer has not done so: after an error status with ErrorPath Leaks.
func (a *Answer) Close() {
	if a.unread != nil {
		a.unread()
	}
}

// StatusError is an answer that means failure.
type StatusError struct {
	Downstream string
	Call       string // method and path
	Status     int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %s: status %d", e.Downstream, e.Call, e.Status)
}

// NewClient makes a client for the service at base (http://host:port).
func NewClient(downstream, base string, k Knobs, m *Metrics, log *slog.Logger) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("downstream %s: %q is not an http URL", downstream, base)
	}
	c := &Client{
		downstream: downstream, base: strings.TrimRight(base, "/"), knobs: k, m: m,
		conns:    newConnCount(downstream, m),
		bulkhead: newBulkhead(downstream, k.Semaphore, k.SemaphoreWait, m),
		breaker:  newBreaker(downstream, k.Breaker, k.BreakerOpen, m, log),
	}
	m.retries.WithLabelValues(downstream) // shown as 0 before the first one
	if k.Client != PerRequest {
		keep := k.Keepalive
		if keep == 0 {
			keep = -1 // 0 would mean net/http's default of 2
		}
		c.pool = &http.Transport{
			DialContext:         c.conns.dialer(k.ConnectTimeout),
			MaxConnsPerHost:     k.MaxConnections,
			MaxIdleConnsPerHost: keep, // the default of 2 would close and reopen connections all the time
			IdleConnTimeout:     k.KeepaliveExpiry,
		}
	}
	return c, nil
}

// transport is the pool or, with Client PerRequest, a new zero transport. The latter keeps its connection idle until
// the peer closes it, because nobody is left to use it or to close it: one descriptor and two goroutines for each call.
func (c *Client) transport() *http.Transport {
	if c.pool != nil {
		return c.pool
	}
	return &http.Transport{DialContext: c.conns.dialer(c.knobs.ConnectTimeout)}
}

// Allow asks the breaker for leave to make a call, before any costly work for it is done. The permit goes into Call or
// is released.
func (c *Client) Allow() (*Permit, error) { return c.breaker.allow() }

// Open says whether the breaker refuses calls now.
func (c *Client) Open() bool { return c.breaker.isOpen() }

// Close closes the idle connections of the pool.
func (c *Client) Close() {
	if c.pool != nil {
		c.pool.CloseIdleConnections()
	}
}

// Do makes one call, giving up the event loop meanwhile, and repeats it as the knobs say. Every status is an Answer; errors
// are *OpenError, *BusyError, *TimeoutError, the context's, or the network's.
//
// A repetition comes at once, without back-off or budget, which is what makes a storm of it. It is a call like any other:
// it asks the breaker, whose count it belongs to, and waits for a permit behind those who wait already. Where it gets
// neither, the failure before it stands: that is what the downstream said.
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	answer, err := c.attempt(ctx, call)
	for range c.knobs.Retries {
		if !failed(answer, err) || ctx.Err() != nil {
			return answer, err
		}
		again := call
		if again.Permit, _ = c.Allow(); again.Permit == nil {
			return answer, err
		}
		c.m.retries.WithLabelValues(c.downstream).Inc()
		next, nextErr := c.attempt(ctx, again)
		if saysNothing(nextErr) {
			return answer, err
		}
		answer, err = next, nextErr
	}
	return answer, err
}

// failed says whether an attempt was made and failed: a 5xx, a timeout, a connection refused or reset.
func failed(a *Answer, err error) bool {
	var open *OpenError
	if err != nil {
		return !saysNothing(err) && !errors.As(err, &open)
	}
	return a.Status >= 500
}

// build spends what making a client for one call takes, on the event loop, which is not given up for it: httpx reads its trust roots.
func (c *Client) build() {
	if c.pool != nil || c.knobs.ClientBuild == 0 {
		return
	}
	began := time.Now()
	for time.Since(began) < c.knobs.ClientBuild {
		sha256.Sum256(trustRoots())
	}
	c.m.clientBuild.WithLabelValues(c.downstream).Add(time.Since(began).Seconds())
}

// trustRoots is as much as a bundle of certificates is, and of no other meaning: what matters of it is the work.
var trustRoots = sync.OnceValue(func() []byte { return make([]byte, 256<<10) })

func (c *Client) attempt(ctx context.Context, call Call) (*Answer, error) {
	permit := call.Permit
	if permit == nil {
		var err error
		if permit, err = c.Allow(); err != nil {
			return nil, err
		}
	}
	defer permit.Release()
	c.build()
	defer Await(ctx)()
	if c.knobs.ErrorPath == Leaks {
		// The background context of the incident: ending the caller's request must not close what is left open below.
		ctx = context.WithoutCancel(ctx)
	}
	if err := c.bulkhead.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.bulkhead.release()
	answer, err := c.send(ctx, call)
	switch {
	case err != nil:
		permit.settle(err)
	case answer.Status >= 500:
		permit.settle(&StatusError{c.downstream, call.Method + " " + call.Path, answer.Status})
	default:
		permit.settle(nil)
	}
	return answer, err
}

func (c *Client) send(ctx context.Context, call Call) (*Answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{downstream: c.downstream, cancel: cancel}
	p.limits[waitingForPool] = c.knobs.PoolTimeout
	p.limits[connecting] = c.knobs.ConnectTimeout
	p.limits[writing] = c.knobs.WriteTimeout
	p.limits[reading] = c.knobs.ReadTimeout

	began := time.Now()
	answer, err := c.exchange(httptrace.WithClientTrace(ctx, p.trace(func() { c.conns.inUse.Add(1) })), call, p)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // why it was cancelled says more than that it was
	}
	c.m.callDuration.WithLabelValues(c.downstream).Observe(time.Since(began).Seconds())
	c.m.calls.WithLabelValues(c.downstream, outcome(answer, err)).Inc()
	pooled, held := p.end()
	c.m.connWait.WithLabelValues(c.downstream).Add(pooled.Seconds())

	release := func() {
		cancel(nil)
		if held {
			c.conns.inUse.Add(-1)
		}
	}
	if answer != nil && answer.unread != nil { // the leak: the connection stays in use until somebody calls Close
		closeBody := answer.unread
		answer.unread = func() {
			answer.unread = nil
			closeBody()
			release()
		}
		return answer, nil
	}
	release()
	return answer, err
}

func (c *Client) exchange(ctx context.Context, call Call, p *patience) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Path, bytes.NewReader(call.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.downstream, err)
	}
	p.enter(reading) // the body has as long as the head had
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if c.knobs.ErrorPath == Leaks && resp.StatusCode >= 400 && resp.Body != http.NoBody {
		answer.unread = func() { _ = resp.Body.Close() }
		return answer, nil
	}
	defer func() { _ = resp.Body.Close() }()
	// Reading to the end is what lets the connection be used again.
	if answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, answerLimit+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", c.downstream, err)
	}
	if len(answer.Body) > answerLimit {
		return nil, fmt.Errorf("%s: answer longer than %d bytes", c.downstream, answerLimit)
	}
	return answer, nil
}

// outcome is the status label of a call.
func outcome(a *Answer, err error) string {
	var busy *BusyError
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return strconv.Itoa(a.Status)
	case errors.As(err, &busy):
		return "pool-timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &late) && late.Timeout():
		return "timeout"
	default:
		return "error"
	}
}
