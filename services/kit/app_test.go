package kit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/services/kit/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Both(m).Run()) }

var quiet = slog.New(slog.DiscardHandler)

func testStore(t *testing.T) *Store {
	t.Helper()
	db, err := OpenStore(t.Context(), StoreConfig{URL: storetest.URL(t), Dir: t.TempDir(), Name: "test", Pool: 2}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// served is an app on a listener of its own.
type served struct {
	url  string
	app  *App
	m    *Metrics
	stop func() error
}

func serveApp(t *testing.T, k Knobs, routes map[string]Handler) *served {
	t.Helper()
	m := NewMetrics()
	s := &served{app: NewApp(k, testStore(t), "test", m, quiet), m: m}
	for pattern, h := range routes {
		s.app.Handle(pattern, h)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, ln, ServeConfig{
			Handler: s.app, Loops: s.app.Loops(), Drain: s.app.Drain,
			Graceful: k.Shutdown != Abrupt, ShutdownTimeout: 10 * time.Second, Log: quiet,
		})
	}()
	var result error
	done := false
	s.stop = func() error {
		if !done {
			cancel()
			result, done = <-ended, true
		}
		return result
	}
	t.Cleanup(func() { _ = s.stop() })
	return s
}

type got struct {
	status int
	header http.Header
	body   string
	err    error
}

// send makes a request on a connection of its own.
func send(ctx context.Context, method, url, body string) got {
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return got{err: err}
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return got{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, resp.Header, string(b), err}
}

func later(ctx context.Context, method, url, body string) <-chan got {
	c := make(chan got, 1)
	go func() { c <- send(ctx, method, url, body) }()
	return c
}

func TestAHandlerThatComputesHoldsUpTheHealthCheckOfItsLoop(t *testing.T) {
	computing, finish := make(chan struct{}), make(chan struct{})
	s := serveApp(t, Knobs{Workers: 1}, map[string]Handler{
		"POST /compute": func(context.Context, *Request) (Reply, error) {
			close(computing)
			<-finish // stands for bcrypt: nothing is awaited
			return Reply{Status: 200}, nil
		},
	})
	compute := later(t.Context(), "POST", s.url+"/compute", "")
	<-computing
	health := later(t.Context(), "GET", s.url+"/health", "")
	scrape := later(t.Context(), "GET", s.url+"/metrics", "")
	select {
	case g := <-health:
		t.Fatalf("health was answered while the loop was held: %+v", g)
	case g := <-scrape:
		t.Fatalf("metrics were answered while the loop was held: %+v", g)
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	for name, c := range map[string]<-chan got{"compute": compute, "health": health, "metrics": scrape} {
		if g := <-c; g.err != nil || g.status != 200 {
			t.Errorf("%s after the loop was free: %+v", name, g)
		}
	}
	if wait := value(t, s.m.loopWait.WithLabelValues("0")); wait < 0.09 {
		t.Errorf("the loop was waited for %v s, want the 100 ms the health check stood in line", wait)
	}
}

func TestAHandlerThatAwaitsLeavesTheLoopToOthers(t *testing.T) {
	waiting, finish := make(chan struct{}), make(chan struct{})
	s := serveApp(t, Knobs{Workers: 1}, map[string]Handler{
		"POST /await": func(ctx context.Context, _ *Request) (Reply, error) {
			defer Await(ctx)()
			close(waiting)
			<-finish
			return Reply{Status: 200}, nil
		},
	})
	await := later(t.Context(), "POST", s.url+"/await", "")
	<-waiting
	if g := send(t.Context(), "GET", s.url+"/health", ""); g.status != 200 { // answers although /await is not finished
		t.Errorf("health: %+v", g)
	}
	close(finish)
	if g := <-await; g.status != 200 {
		t.Errorf("await: %+v", g)
	}
}

func TestConnectionsArePinnedToTheLoopWithTheFewest(t *testing.T) {
	ls := NewLoops(3, NewMetrics())
	first, second, third := ls.pin(), ls.pin(), ls.pin()
	if first == second || second == third || first == third {
		t.Error("three connections do not have a loop each")
	}
	second.conns.Add(-1)
	if ls.pin() != second {
		t.Error("the fourth connection did not go to the loop that lost one")
	}
}

func TestRequestsBeyondTheBoundAreShedAtOnce(t *testing.T) {
	const bound = 3
	entered, finish := make(chan struct{}, bound+1), make(chan struct{})
	s := serveApp(t, Knobs{Workers: 1, Admission: bound}, map[string]Handler{
		"POST /work": func(ctx context.Context, _ *Request) (Reply, error) {
			defer Await(ctx)()
			entered <- struct{}{}
			<-finish
			return Reply{Status: 200}, nil
		},
	})
	var inside []<-chan got
	for range bound {
		inside = append(inside, later(t.Context(), "POST", s.url+"/work", ""))
		<-entered
	}
	g := send(t.Context(), "POST", s.url+"/work", "") // answered while the others are still at it
	if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") != "1" || !strings.Contains(g.body, `"success":false`) {
		t.Errorf("one too many: %+v", g)
	}
	if h := send(t.Context(), "GET", s.url+"/health", ""); h.status != 200 {
		t.Errorf("health is never shed: %+v", h)
	}
	close(finish)
	for _, c := range inside {
		if g := <-c; g.status != 200 {
			t.Errorf("admitted: %+v", g)
		}
	}
	if g := send(t.Context(), "POST", s.url+"/work", ""); g.status != 200 {
		t.Errorf("after the rush: %+v", g)
	}
	if n := value(t, s.m.shed.WithLabelValues("admission")); n != 1 {
		t.Errorf("requests_shed_total = %v, want 1", n)
	}
	if n := value(t, s.m.inProgress); n != 0 {
		t.Errorf("http_requests_in_progress = %v after all is done", n)
	}
}

func TestWorkOfAClientThatHasGone(t *testing.T) {
	for _, abandoned := range []string{Continues, Cancelled} {
		t.Run(abandoned, func(t *testing.T) {
			started, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			s := serveApp(t, Knobs{Abandoned: abandoned}, map[string]Handler{
				"POST /work": func(ctx context.Context, r *Request) (Reply, error) {
					close(started)
					<-r.Context().Done() // the client has gone
					if abandoned == Cancelled {
						<-ctx.Done()
					} else {
						<-finish
					}
					ended <- ctx.Err()
					return Reply{Status: 200}, ctx.Err()
				},
			})
			ctx, goAway := context.WithCancel(t.Context())
			request := later(ctx, "POST", s.url+"/work", "")
			<-started
			goAway()
			<-request
			close(finish)
			if err := <-ended; (err != nil) != (abandoned == Cancelled) {
				t.Errorf("the handler saw %v", err)
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	for _, how := range []string{Graceful, Abrupt} {
		t.Run(how, func(t *testing.T) {
			started, finish := make(chan struct{}), make(chan struct{})
			s := serveApp(t, Knobs{Shutdown: how}, map[string]Handler{
				"POST /work": func(context.Context, *Request) (Reply, error) {
					close(started)
					<-finish
					return Reply{Status: 200, Body: "done"}, nil
				},
			})
			request := later(t.Context(), "POST", s.url+"/work", "")
			<-started
			stopped := make(chan error, 1)
			go func() { stopped <- s.stop() }()
			if how == Abrupt {
				if g := <-request; g.err == nil { // cut off before it was finished
					t.Errorf("abrupt: %+v", g)
				}
				close(finish)
			} else {
				for s.app.draining.Load() == false {
					time.Sleep(time.Millisecond)
				}
				close(finish)
				if g := <-request; g.err != nil || g.status != 200 {
					t.Errorf("graceful: %+v", g)
				}
			}
			if err := <-stopped; err != nil {
				t.Errorf("stop: %v", err)
			}
			if g := send(t.Context(), "GET", s.url+"/health", ""); g.err == nil {
				t.Errorf("still answers after it stopped: %+v", g)
			}
		})
	}
}

func TestAHandlerThatPanicsIsA500AndFreesItsLoop(t *testing.T) {
	s := serveApp(t, Knobs{Workers: 1}, map[string]Handler{
		"POST /panic": func(ctx context.Context, _ *Request) (Reply, error) {
			defer Await(ctx)()
			panic("oops")
		},
	})
	if g := send(t.Context(), "POST", s.url+"/panic", ""); g.status != 500 || strings.Contains(g.body, "oops") {
		t.Errorf("panic: %+v", g)
	}
	if g := send(t.Context(), "GET", s.url+"/health", ""); g.status != 200 {
		t.Errorf("health: %+v", g)
	}
}

func TestErrorsThatAreNoProblemsAreNotShown(t *testing.T) {
	s := serveApp(t, Knobs{}, map[string]Handler{
		"GET /secret": func(context.Context, *Request) (Reply, error) { return Reply{}, errors.New("password is 1234") },
	})
	if g := send(t.Context(), "GET", s.url+"/secret", ""); g.status != 500 || strings.Contains(g.body, "1234") {
		t.Errorf("got %+v", g)
	}
}

func TestDatabaseProbeAndReadiness(t *testing.T) {
	db := testStore(t)
	m := NewMetrics()
	app := NewApp(Knobs{Workers: 1}, db, "test", m, quiet)
	get := func(path string) int {
		w := newRecorder()
		r, _ := http.NewRequestWithContext(t.Context(), "GET", path, nil)
		app.ServeHTTP(w, r)
		return w.status
	}
	for _, path := range []string{"/health", "/health/database", "/ready"} {
		if got := get(path); got != 200 {
			t.Errorf("%s: %d", path, got)
		}
	}
	app.Drain()
	if got := get("/ready"); got != 503 {
		t.Errorf("/ready while draining: %d", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/health": 200, "/health/database": 503, "/ready": 503} {
		if got := get(path); got != want {
			t.Errorf("%s without a store: %d, want %d", path, got, want)
		}
	}
}

type recorder struct {
	header http.Header
	status int
}

func newRecorder() *recorder                    { return &recorder{header: http.Header{}, status: 200} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
