package kit

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// hanging is a handler that says when it is reached and waits to be let go.
func hanging() (h Handler, reached chan struct{}, release func()) {
	reached, gate := make(chan struct{}, 100), make(chan struct{})
	return func(ctx context.Context, _ *Request) (Reply, error) {
		defer Await(ctx)()
		reached <- struct{}{}
		<-gate
		return Reply{Status: 200}, nil
	}, reached, sync.OnceFunc(func() { close(gate) })
}

func TestTheHotLockLetsOneRequestThroughAtATimeButNotTheProbes(t *testing.T) {
	const hold = 100 * time.Millisecond
	s := serveApp(t, Knobs{HotLock: hold, Workers: 1}, map[string]Handler{
		"GET /work": func(context.Context, *Request) (Reply, error) { return Reply{Status: 200}, nil },
	})
	began := time.Now()
	var all []<-chan got
	for range 4 {
		all = append(all, later(t.Context(), "GET", s.url+"/work", ""))
	}
	// The one event loop is free: whoever waits for the lock or holds it has given it up.
	if g := send(t.Context(), "GET", s.url+"/health", ""); g.status != 200 || value(t, s.m.loopBusy.WithLabelValues("0")) > hold.Seconds() {
		t.Errorf("health: %d, the loop was held for %v s", g.status, value(t, s.m.loopBusy.WithLabelValues("0")))
	}
	for _, g := range all {
		if got := <-g; got.status != 200 {
			t.Errorf("work: %d %v", got.status, got.err)
		}
	}
	if took := time.Since(began); took < 4*hold {
		t.Errorf("four requests took %s, want at least %s", took, 4*hold)
	}
	held, waited := value(t, s.m.lockHeld), value(t, s.m.lockWait)
	if held < 4*hold.Seconds() || waited < hold.Seconds() {
		t.Errorf("held for %v s, waited for %v s", held, waited)
	}
}

func TestRequestMemoryLivesAsLongAsTheRequest(t *testing.T) {
	h, reached, release := hanging()
	defer release()
	const mib = 24
	s := serveApp(t, Knobs{RequestMemory: mib}, map[string]Handler{"GET /work": h})
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	before := heap()
	g := later(t.Context(), "GET", s.url+"/work", "")
	<-reached
	if grown := int64(heap()) - int64(before); grown < mib<<20*9/10 || value(t, s.m.requestMemory) != mib<<20 {
		t.Errorf("the heap grew by %d bytes, the metric says %v; want about %d", grown, value(t, s.m.requestMemory), mib<<20)
	}
	release()
	<-g
	waitFor(t, "the memory to be let go", func() bool { return value(t, s.m.requestMemory) == 0 })
	if left := int64(heap()) - int64(before); left > mib<<20/2 {
		t.Errorf("%d bytes are left", left)
	}
}

func TestASessionKeepsOneConnectionFromTheFirstStatementToTheEnd(t *testing.T) {
	for session, want := range map[string]int{"statement": 0, ForRequest: 1} {
		wait, reached, release := hanging()
		var s *served
		var db *Store
		s = serveApp(t, Knobs{Session: session}, map[string]Handler{
			"GET /none": wait,
			"GET /work": func(ctx context.Context, r *Request) (Reply, error) {
				var one int
				if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
					return Reply{}, err
				}
				reply, err := wait(ctx, r)
				if err == nil {
					_, err = db.ExecContext(ctx, "SELECT 1") // on the same connection: there may be no other
				}
				return reply, err
			},
			"GET /after": func(ctx context.Context, r *Request) (Reply, error) {
				tx, err := db.Begin(ctx)
				if err != nil {
					return Reply{}, err
				}
				return Reply{Status: 200}, tx.Commit()
			},
			"GET /lost": func(ctx context.Context, _ *Request) (Reply, error) {
				_, err := db.Conn(ctx) // and nobody closes it
				return Reply{Status: 200}, err
			},
		})
		db = testStore(t)
		inUse := func() int { return db.DB().Stats().InUse }

		idle := later(t.Context(), "GET", s.url+"/none", "")
		<-reached
		if n := inUse(); n != 0 {
			t.Errorf("%s: a request without a statement keeps %d connections", session, n)
		}
		busy := later(t.Context(), "GET", s.url+"/work", "")
		<-reached
		if n := inUse(); n != want {
			t.Errorf("%s: %d connections in use between two statements, want %d", session, n, want)
		}
		release()
		for _, g := range []<-chan got{idle, busy, later(t.Context(), "GET", s.url+"/after", "")} {
			if got := <-g; got.status != 200 {
				t.Errorf("%s: %d %s", session, got.status, got.body)
			}
		}
		waitFor(t, "the connection to be given back", func() bool { return inUse() == 0 })
		if kept := value(t, s.m.sessionHeld) > 0; kept != (want == 1) {
			t.Errorf("%s: a connection was kept: %v", session, kept)
		}
		if got := send(t.Context(), "GET", s.url+"/lost", ""); got.status != 200 || inUse() != 1 {
			t.Errorf("%s: after a lost connection %d are in use, want 1", session, inUse())
		}
	}
}
