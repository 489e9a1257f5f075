package drive

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/captest/captest/internal/record"
)

// hits is the transport of vegeta's client: our connections, timeouts and traces under its requests. It is also where
// a request's two ends are tied together again, since vegeta hands on neither error values nor contexts.
type hits struct {
	*run
	step      *step
	transport http.RoundTripper

	mu    sync.Mutex
	n     uint64
	built map[string]*hit // by the value of hitHeader
	sent  map[string]*hit // by vegeta's sequence number
}

// hit is one request on its way through vegeta.
type hit struct {
	user    *user
	run     context.Context //nolint:containedctx // the load's
	request context.Context //nolint:containedctx // the request's own: it ends when vegeta has read the answer
	cancel  context.CancelFunc
	status  int
	header  http.Header
	n       int64 // bytes of the body
	err     error // what broke it
	class   record.ErrorClass
}

// Headers that tie requests together. None of them is sent: the target shall see what it sees of the other engines.
const (
	hitHeader  = "X-Captest-Hit"
	seqHeader  = "X-Vegeta-Seq"
	nameHeader = "X-Vegeta-Attack"
)

// add registers a request about to be sent and gives the value of its hitHeader.
func (t *hits) add(u *user) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.built == nil {
		t.built, t.sent = map[string]*hit{}, map[string]*hit{}
	}
	key := strconv.FormatUint(t.n, 10)
	t.n++
	t.built[key] = &hit{user: u, run: t.ctx}
	return key
}

// RoundTrip implements http.RoundTripper for requests whose target was registered.
func (t *hits) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	h := t.built[r.Header.Get(hitHeader)]
	delete(t.built, r.Header.Get(hitHeader))
	if h == nil {
		t.mu.Unlock()
		return nil, errors.New("a request that nobody built")
	}
	t.sent[r.Header.Get(seqHeader)] = h
	h.request, h.cancel = context.WithTimeout(h.user.tracing(t.ctx), t.load.timeout(t.step.timeout))
	t.mu.Unlock()

	r = r.Clone(h.request)
	for _, name := range []string{hitHeader, seqHeader, nameHeader} {
		r.Header.Del(name)
	}
	h.user.trace.begin(h.request, waits{})
	t.rec.Shard(h.user.number).Begin(t.clock.Now())
	resp, err := t.transport.RoundTrip(r)
	if err != nil {
		h.broken(err)
		return nil, err
	}
	if resp.Close {
		h.user.trace.announced()
	}
	h.status, h.header = resp.StatusCode, resp.Header
	resp.Body = &hitBody{resp.Body, h}
	return resp, nil
}

// take gives the request of a sequence number, once; nil when there was none.
func (t *hits) take(seq uint64) *hit {
	key := strconv.FormatUint(seq, 10)
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.sent[key]
	delete(t.sent, key)
	return h
}

// broken notes what ended the request. The class is decided now: a moment later its contexts may be over for other reasons.
func (h *hit) broken(err error) {
	h.err, h.class = err, classify(err, h.run, h.request)
}

// hitBody counts what is read of an answer, bounds it, and remembers what broke it.
type hitBody struct {
	io.ReadCloser
	hit *hit
}

func (b *hitBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.hit.n += int64(n); b.hit.n > bodyMax && err == nil {
		err = errTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.hit.broken(err)
	}
	return n, err
}
