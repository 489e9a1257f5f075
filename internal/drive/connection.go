package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/captest/captest/internal/record"
)

// connector opens connections: through the guard, for as long as the request that wants one, counted.
type connector struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	tls   *tls.Config
	http  Version
	life  context.Context //nolint:containedctx // the engine's: dials do not outlive it
	close context.CancelFunc
	count atomic.Pointer[record.Recorder] // nil: not counted (probes)

	resting atomic.Bool   // the load is over, and its idle connections are being closed
	opened  atomic.Uint32 // spreads connections over the recorder's shards
}

func newConnector(c *Config, longest time.Duration) *connector {
	k := &connector{dial: c.dial, tls: &tls.Config{}, http: c.HTTP}
	if c.TLS != nil {
		k.tls = c.TLS.Clone()
	}
	k.tls.MinVersion, k.tls.NextProtos = max(k.tls.MinVersion, tls.VersionTLS12), c.HTTP.offered()
	k.tls.ClientSessionCache = nil // it would make every new connection but the first cheaper than a new user's
	if k.dial == nil {
		k.dial = c.Guard.Dialer(longest).DialContext
	}
	k.life, k.close = context.WithCancel(context.Background())
	return k
}

// transport makes one virtual user's own: its keep-alive connections belong to it alone, as a browser's do. So there is
// one connection to a service for each request in flight, no user waits for another's, none takes over another's dial, and
// no pool of captest's own can hide a queue.
func (k *connector) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // load goes where the target file says, whatever the environment holds
		DialContext:            k.plain,
		DialTLSContext:         k.secure,
		Protocols:              k.http.protocols(),
		DisableCompression:     true, // BytesIn is what the wire carried; a step may still ask for gzip
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// plain opens a TCP connection for the request whose context values ctx carries. net/http has cut ctx off from the request's
// cancellation, to keep the connection for later; here the dial ends with the request, so that a target that does not answer
// is not sent one more SYN for each request given up.
func (k *connector) plain(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, t, stop, err := k.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	conn, took, err := k.open(ctx, network, address)
	if err != nil {
		return nil, connectError(ctx, err)
	}
	t.dialled(took, 0)
	return conn, nil
}

// secure opens a TLS connection, handshake included.
func (k *connector) secure(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, t, stop, err := k.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	conn, took, err := k.open(ctx, network, address)
	if err != nil {
		return nil, connectError(ctx, err)
	}
	config := k.tls.Clone()
	if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	conn.secured = true
	secured, began := tls.Client(conn, config), time.Now()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, connectError(ctx, &handshakeError{err})
	}
	t.dialled(took, time.Since(began))
	if err := k.http.agreed(secured); err != nil {
		_ = secured.Close()
		return nil, &handshakeError{err}
	}
	return secured, nil
}

// connectError is the error of a connection attempt: the step's own timeout for it, where that ended it. A socket's deadline may
// come a moment before the timer of the context that it was taken from.
func connectError(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), connectTimeout) {
		return connectTimeout
	}
	at, ok := ctx.Deadline()
	if ok && ctx.Value(connectKey{}) != nil && !time.Now().Before(at) && is(err, os.ErrDeadlineExceeded) {
		return connectTimeout
	}
	return err
}

// connectKey marks a context whose deadline is the step's timeout for connecting.
type connectKey struct{}

// bound gives a context that ends with the request and with the engine.
func (k *connector) bound(ctx context.Context) (context.Context, *trace, func(), error) {
	t, _ := ctx.Value(traceKey{}).(*trace)
	if t == nil {
		return nil, nil, nil, fmt.Errorf("drive: a dial without a request")
	}
	request, within := t.dial()
	if request == nil {
		return nil, nil, nil, context.Canceled
	}
	var cancel context.CancelFunc
	if all, ok := request.Deadline(); within > 0 && (!ok || time.Until(all) > within) {
		ctx, cancel = context.WithTimeoutCause(context.WithValue(request, connectKey{}, true), within, connectTimeout)
	} else {
		ctx, cancel = context.WithCancel(request)
	}
	stop := context.AfterFunc(k.life, cancel)
	return ctx, t, func() { stop(); cancel() }, nil
}

// open dials and counts.
func (k *connector) open(ctx context.Context, network, address string) (*countedConn, time.Duration, error) {
	began := time.Now()
	conn, err := k.dial(ctx, network, address)
	if err != nil {
		return nil, 0, err
	}
	took := max(time.Since(began), 1)
	c := &countedConn{Conn: conn, rec: k.count.Load(), resting: &k.resting}
	if c.rec != nil {
		c.shard = c.rec.Shard(int(k.opened.Add(1)))
		c.rec.Opened()
	}
	return c, took, nil
}

// handshakeError tells a failed TLS handshake from a failed exchange over TLS.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }
