package kit

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestASettlerLooksOftenInHealthAndSeldomInTrouble(t *testing.T) {
	count := func(err error) int64 {
		var looks atomic.Int64
		s := NewSettler(80*time.Millisecond, slog.New(slog.DiscardHandler), func(context.Context) error {
			looks.Add(1)
			return err
		})
		defer s.Close()
		began := time.Now()
		for time.Since(began) < 800*time.Millisecond {
			time.Sleep(10 * time.Millisecond)
		}
		return looks.Load()
	}
	// Every 20 ms against 20, 40, 80, 80 ms …: a busy machine slows both alike.
	if well, ill := count(nil), count(errors.New("away")); ill < 2 || well < 2*ill {
		t.Errorf("%d looks in health, %d in trouble", well, ill)
	}
}

func TestClosingASettlerEndsTheLookUnderWay(t *testing.T) {
	looking, ended := make(chan struct{}), false
	s := NewSettler(time.Millisecond, slog.New(slog.DiscardHandler), func(ctx context.Context) error {
		close(looking)
		<-ctx.Done()
		ended = true
		return ctx.Err()
	})
	<-looking
	s.Close()
	if !ended {
		t.Error("Close did not wait")
	}
}

// An answer that might be untrue is not given: the connection is cut, the loop is free again, and it counts as a failure.
func TestAnAbortedHandlerCutsTheConnection(t *testing.T) {
	m := NewMetrics()
	db := opened(t, place(t))
	a := NewApp(Knobs{Workers: 1}, db, "s", m, slog.New(slog.DiscardHandler))
	a.Handle("GET /x", func(context.Context, *Request) (Reply, error) {
		return Reply{}, errors.Join(errors.New("store away"), http.ErrAbortHandler)
	})
	server := httptest.NewServer(a)
	defer server.Close()
	for range 2 {
		if resp, err := http.Get(server.URL + "/x"); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered %d", resp.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(w.Body.String(), `http_requests_total{route="GET /x",status="500"}`) || !strings.Contains(w.Body.String(), "http_requests_in_progress 0") {
		t.Error(w.Body.String())
	}
}
