package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// Limits of one scrape.
const (
	scrapeTimeout = time.Second
	mostBytes     = 4 << 20
	mostValues    = 2000
	longestError  = 200 // bytes of an error kept in the folder
)

// scraper reads one service's metrics over one kept connection.
type scraper struct {
	service targets.Service
	roles   map[string]string // metric name → the roles the target file gives it
	folder  *record.Folder
	clock   record.Clock
	client  *http.Client
	timeout time.Duration

	started float64 // latest process_start_time_seconds seen
	dated   float64 // the target's clock at the latest answer, Unix seconds; 0 where it does not tell
	sawAt   float64 // the same at the latest good answer before
	warned  bool    // that values were dropped

	mu     sync.Mutex
	before *record.Scrape // the good scrape before last
	last   *record.Scrape // the last good one
	stale  bool           // a scrape failed since
}

func newScraper(c Config, s targets.Service) *scraper {
	return &scraper{
		service: s, roles: c.Target.Roles, folder: c.Folder, clock: c.Clock, timeout: scrapeTimeout,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: c.Guard.Dialer(scrapeTimeout).DialContext, TLSClientConfig: c.TLS.Clone(), MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // compressing would cost the target more than the bytes cost us
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (s *scraper) close() { s.client.CloseIdleConnections() }

// readings are the last two good scrapes, nil where there was none, and whether one failed since.
func (s *scraper) readings() (before, last *record.Scrape, stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before, s.last, s.stale
}

// once scrapes and records what came of it.
func (s *scraper) once(ctx context.Context) {
	start := s.clock.Now()
	values, err := s.fetch(ctx)
	if ctx.Err() != nil {
		return // the run is over: a scrape it cut off says nothing about the target
	}
	end := s.clock.Now()
	x := record.Scrape{OffsetS: float64(end) / 1e9, Service: s.service.Name, Ms: float64(end-start) / 1e6}
	if err != nil {
		x.Error = describe(err)
	} else {
		addRoles(values, s.roles)
		x.Values = s.bounded(values, x.OffsetS)
		s.watchRestart(&x)
	}
	s.mu.Lock()
	if s.stale = err != nil; !s.stale {
		s.before, s.last = s.last, &x
	}
	s.mu.Unlock()
	if s.folder != nil {
		s.folder.Scrape(x)
	}
}

// fetch gets and reads the metrics.
func (s *scraper) fetch(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.service.URL+s.service.Metrics, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "captest")
	if s.service.Kind == killBill {
		req.Header.Set("Accept", "application/json")
	} else {
		req.Header.Set("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.dated = float64(at.Unix())
	}
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is kept
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > mostBytes {
		return nil, fmt.Errorf("longer than %d MiB", mostBytes>>20)
	}
	return parse(body, s.service.Kind, resp.Header.Get("Content-Type"))
}

// killBill is the kind of a service whose metrics are Dropwizard JSON.
const killBill = "kill-bill"

// parse reads metrics of either form.
func parse(body []byte, kind, contentType string) (values map[string]float64, err error) {
	media, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == killBill, media == "application/json":
		values, err = parseDropwizard(body)
	case media == "text/html":
		return nil, errors.New("a web page, not metrics")
	default:
		values, err = parsePrometheus(body)
	}
	if err == nil && len(values) == 0 {
		err = errors.New("no metrics in the answer")
	}
	return values, err
}

// bounded drops what exceeds mostValues, what captest knows last of all, and says so once.
func (s *scraper) bounded(values map[string]float64, at float64) map[string]float64 {
	dropped := trim(values, mostValues)
	if dropped > 0 && !s.warned {
		s.warned = true
		s.event(record.EventWarning, at, fmt.Sprintf("%s shows more than %d metric values: %d were left out", s.service.Name, mostValues, dropped), nil)
	}
	return values
}

// watchRestart reports a process that began later than the one before it. Several worker processes behind one port answer in
// turn: an earlier start says nothing, and neither does one from before the other process answered last, by the target's own
// clock, for then both were there. The second allows for clients that compute the start anew for each scrape.
func (s *scraper) watchRestart(x *record.Scrape) {
	started, last := x.Values["process_start_time_seconds"], s.sawAt
	s.sawAt = s.dated
	if started <= 0 {
		return
	}
	together := last > 0 && started < last-startSlack
	if s.started > 0 && started > s.started+1 && !together {
		s.event(record.EventTarget, x.OffsetS, s.service.Name+" restarted (seen in its metrics)",
			map[string]any{"service": s.service.Name, "state": "restarted"})
	}
	s.started = max(s.started, started)
}

// startSlack is by how much a start time may miss the clock of the same machine, in seconds: Date has whole seconds, and
// the kernel's boot time is rounded.
const startSlack = 2

func (s *scraper) event(kind record.EventKind, at float64, text string, data any) {
	if s.folder == nil {
		return
	}
	if e, err := record.NewEvent(at, kind, -1, text, data); err == nil {
		s.folder.Event(e)
	}
}

// describe names why a scrape failed: an error class where there is one, else the error's own words.
func describe(err error) string {
	var refused *targets.RefusedError
	var lookup *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return clip(refused.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return record.ErrorTimeout.String()
	case errors.As(err, &lookup):
		return record.ErrorDNS.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		return record.ErrorRefused.String()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return record.ErrorReset.String()
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return record.ErrorLocal.String()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return record.ErrorClosed.String()
	}
	return clip(err.Error())
}

// clip bounds a text that the target may have had a hand in.
func clip(text string) string {
	if len(text) > longestError {
		text = text[:longestError]
	}
	return strings.ToValidUTF8(text, "")
}
