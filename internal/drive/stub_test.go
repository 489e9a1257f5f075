package drive

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
	"go.uber.org/goleak"
)

// underTest is the engine that engine makes: the whole suite runs once for each.
var underTest = "http"

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && runtime.GOOS == "linux" && flag.Lookup("test.bench").Value.String() == "" {
		underTest = "native"
		code = m.Run()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "leaked:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// memory is a network without sockets: it works in virtual time.
type memory struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.accept:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.accept <- far:
		return near, nil
	case <-m.closed:
		return nil, errors.New("the stub is closed")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stub is a service with known behaviour in virtual time; call it inside a synctest bubble.
func stub(t *testing.T, h http.HandlerFunc) *memory {
	t.Helper()
	m := newMemory()
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(m)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return m
}

// delayed answers 200 after a fixed time.
func delayed(d time.Duration) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

// onReal is a target on a real loopback socket.
func onReal(t testing.TB, h http.Handler) *targets.Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return target(s.URL)
}

func target(url string) *targets.Target {
	return &targets.Target{Name: "stub", Entry: "main", Services: []targets.Service{{Name: "main", URL: url}}}
}

// get is a scenario of one GET.
func get(path string) *scenarios.Scenario {
	return &scenarios.Scenario{Name: "get", Steps: []scenarios.Step{{
		Name: "get", Request: scenarios.Request{Method: "GET", Path: scenarios.Literal(path)},
	}}}
}

func text(t testing.TB, s string) *scenarios.Template {
	t.Helper()
	p, err := scenarios.ParseTemplate(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// once leaves a test out of the second half: it does not depend on the engine under test.
func once(t *testing.T) {
	t.Helper()
	if underTest != "http" {
		t.Skip("it ran with the first engine")
	}
}

// tested is an engine and what it tells of failures.
type tested interface {
	Engine
	Examples() []Example
}

// engine makes the engine under test with what the Config leaves open; it is closed when the test ends. Only net/http's can be
// given connections and roots of the test's own.
func engine(t testing.TB, c Config) tested {
	t.Helper()
	if underTest == "http" {
		return httpEngine(t, c)
	}
	if c.dial != nil || c.TLS != nil {
		t.Skip("not for the native engine")
	}
	e, err := newNative(filled(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// httpEngine is the engine on net/http, whichever is under test.
func httpEngine(t testing.TB, c Config) *HTTP {
	t.Helper()
	e, err := NewHTTP(filled(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// filled fills in what a Config leaves open.
func filled(c Config) Config {
	if c.Scenario == nil {
		c.Scenario = get("/")
	}
	if c.Target == nil {
		c.Target = target("http://stub.test")
	}
	if c.Identity == nil {
		c.Identity = NewIdentity(1, c.Scenario.Name, nil)
	}
	return c
}

// recorder is one in the middle of a trial.
func recorder(s *scenarios.Scenario) *record.Recorder {
	names := make([]string, len(s.Steps))
	for i := range s.Steps {
		names[i] = s.Steps[i].Name
	}
	rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: names})
	rec.Enter(record.Mark{Trial: 0, Phase: "test"})
	return rec
}

// drive runs a load and gives what was recorded.
func drive(t testing.TB, ctx context.Context, e Engine, load Load, rec *record.Recorder) (Tally, record.TrialSums) {
	t.Helper()
	tally, err := e.Drive(ctx, load, rec)
	if err != nil {
		t.Fatal(err)
	}
	return tally, rec.Cut()
}

// journeys runs n journeys of one user and gives what was recorded.
func journeys(t testing.TB, c Config, n uint64) (Tally, record.TrialSums) {
	t.Helper()
	e := engine(t, c)
	return drive(t, t.Context(), e, Load{Users: 1, Total: n}, recorder(c.Scenario))
}

func near(got, want, tolerance float64) bool { return got >= want-tolerance && got <= want+tolerance }

var errFull = errors.New("disk full")
