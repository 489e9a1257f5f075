package experiment

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// guarded is a service on real sockets that does its work under permits. Leaky, it keeps the permit of a request whose client
// goes away while it is served: when all are lost nothing works any more, and its health check knows nothing of it.
type guarded struct {
	leaky   bool
	mu      sync.Mutex
	permits chan struct{}
	serving int
}

const guardedPermits = 4

func (g *guarded) restart(context.Context, string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.permits = make(chan struct{}, guardedPermits)
	return nil
}

func (g *guarded) count(by int) {
	g.mu.Lock()
	g.serving += by
	g.mu.Unlock()
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/health":
		return
	case "/metrics":
		g.mu.Lock()
		defer g.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "http_requests_in_progress %d\nsemaphore_in_use{downstream=\"x\"} %d\nsemaphore_limit{downstream=\"x\"} %d\nprocess_start_time_seconds 1\n", g.serving, len(g.permits), guardedPermits)
		return
	}
	g.count(1)
	defer g.count(-1)
	g.mu.Lock()
	permits := g.permits
	g.mu.Unlock()
	select {
	case permits <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-r.Context().Done():
		if g.leaky {
			return
		}
	}
	<-permits
}

// onSockets runs the recovery test with a real engine, prober and observer, all lengths made short.
func onSockets(t *testing.T, g *guarded, test func(context.Context, *experiment) error) *record.Result {
	t.Helper()
	_ = g.restart(t.Context(), "")
	s := httptest.NewServer(g)
	defer s.Close()
	folder, err := record.Create(t.TempDir(), "sockets", "stub", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	clock := record.NewClock()
	target := &targets.Target{Name: "stub", Entry: "main", Services: []targets.Service{
		{Name: "main", URL: s.URL, Health: "/health", Metrics: "/metrics", Restart: "as below"},
	}}
	scenario := &scenarios.Scenario{Name: "sockets", Steps: []scenarios.Step{
		{Name: "work", Timeout: 2 * time.Second, Request: scenarios.Request{Method: http.MethodPost, Path: scenarios.Literal("/work")}},
	}}
	config := drive.Config{Scenario: scenario, Target: target, Guard: &targets.Guard{}, Identity: drive.NewIdentity(1, "sockets", nil), Clock: clock}
	engine, err := drive.NewHTTP(config)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	prober, err := drive.NewProber(config)
	if err != nil {
		t.Fatal(err)
	}
	defer prober.Close()
	recorder := record.NewRecorder(record.RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"work"}})
	x := &experiment{
		Config: Config{
			Scenario: scenario, Target: target, Guard: config.Guard, Engine: engine, Prober: prober, Recorder: recorder, Folder: folder, Clock: clock, Control: &Control{},
			Observer: observe.New(observe.Config{Target: target, Clock: clock, Every: 200 * time.Millisecond}), Restart: g.restart,
		},
		pace: paces[Quick],
		care: recoveryPace{patient: 2 * time.Second, aborting: 2 * time.Second, window: time.Second, relapse: time.Second, watch: 8 * time.Second, minProbes: minProbes},
	}
	x.progress = newProgress(x.Config)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { recorder.Run(ctx) })
	wg.Go(func() { x.Observer.Run(ctx) })
	x.readings = x.collect(ctx)
	if err := x.quietBaseline(ctx); err != nil {
		t.Error(err)
	}
	x.quietSpan = Span{0, x.now().Seconds()}
	if err := test(ctx, x); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
	if err := folder.Close(); err != nil {
		t.Error(err)
	}
	run, err := record.Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return record.Summarise(run)
}

func recovered(t *testing.T, g *guarded) record.Recovery {
	t.Helper()
	r := onSockets(t, g, func(ctx context.Context, x *experiment) error {
		return x.testRecovery(ctx, reached{users: 24, best: 40, capacity: 40})
	})
	if r.Recovery == nil {
		t.Fatal("no verdict")
	}
	return *r.Recovery
}

func TestPermitsLostToAbortingClientsOnRealSockets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	r := recovered(t, &guarded{leaky: true})
	if r.Class != record.StuckRestart || r.SubClass != "deceptive" {
		t.Fatalf("%s (%s): %s", r.Class, r.SubClass, r.Summary)
	}
	if len(r.Triggers) != 2 || !carriesOn(r.Triggers[0].Class) || r.Triggers[1].Clients != Aborting || r.Triggers[1].Aborted == 0 {
		t.Errorf("triggers %+v", r.Triggers)
	}
	l := find(r.Leaks, `semaphore_in_use{downstream="x"}`)
	if l == nil || l.After != guardedPermits || l.Limit == nil || *l.Limit != guardedPermits || l.ExhaustedSeconds == nil || *l.ExhaustedSeconds != 0 {
		t.Errorf("leaks %+v, want all %d permits", r.Leaks, guardedPermits)
	}
	if r.Restart == nil || !r.Restart.Cured || value(r.HealthDeceptionSeconds) < 5 {
		t.Errorf("restart %+v, deceived for %v s", r.Restart, value(r.HealthDeceptionSeconds))
	}
}

func TestAWellBehavedServiceOnRealSockets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	r := recovered(t, &guarded{})
	if !carriesOn(r.Class) || len(r.Triggers) != 2 || len(r.Leaks) != 0 || r.Restart != nil {
		t.Errorf("%s: %s, %d triggers, leaks %+v", r.Class, r.Summary, len(r.Triggers), r.Leaks)
	}
	if r.Triggers[1].Aborted == 0 {
		t.Error("no client went away: the test proves nothing")
	}
}

// A load that is kept up after a trigger is ended without breaking a request off: captest's own end is no client that aborts.
func TestALoadKeptUpEndsGently(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	var class string
	var err error
	r := onSockets(t, &guarded{}, func(ctx context.Context, x *experiment) error {
		r := &recoveryTest{experiment: x, pace: x.care, reached: reached{users: 24, best: 40, capacity: 30}, books: Books{Rests: []Span{x.quietSpan}, Triggers: 1}}
		class, err = r.triggerAt(ctx, 0.5, x.bases)
		return err
	})
	if !carriesOn(class) {
		t.Errorf("%s, want a service that drains under half its capacity", class)
	}
	if s := r.Steps["work"]; s.N < 90 || s.OK != s.N {
		t.Errorf("%d of %d requests succeeded: %v", s.OK, s.N, s.Errors)
	}
}
