package kit

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// session is the store connection that one request keeps from its first statement to its end, as an ORM's session per
// request does:
//
//	statement:  ─┤query├──── hash ────┤insert├──── call ────┤update├─
//	request:    ─┤query──────hash──────insert──────call──────update─────answer├─
//
// The zero session has no connection yet.
type session struct {
	held prometheus.Counter // seconds

	mu    sync.Mutex
	conn  *sql.Conn
	since time.Time
	conns int  // Conns handed out that are not closed
	over  bool // the request has ended: what still runs takes connections as it needs them
}

type sessionKey struct{}

// open gives ctx a session; end gives its connection back.
func (s *session) open(ctx context.Context) (_ context.Context, end func()) {
	return context.WithValue(ctx, sessionKey{}, s), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
		if s.conn == nil {
			return
		}
		s.held.Add(time.Since(s.since).Seconds())
		if s.conns == 0 { // else somebody has it open still, or has lost it for ever
			_ = s.conn.Close()
		}
	}
}

// sessionConn gives the connection that the request of ctx keeps, which it takes at the first call; nil when the request
// keeps none.
func sessionConn(ctx context.Context, db *sql.DB) (*sql.Conn, *session, error) {
	s, _ := ctx.Value(sessionKey{}).(*session)
	if s == nil {
		return nil, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, nil, nil
	}
	if s.conn == nil {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		s.conn, s.since = conn, time.Now()
	}
	return s.conn, s, nil
}

// lend counts a Conn that shares the session's connection; the returned function ends that, and closes the connection
// when the request has ended meanwhile.
func (s *session) lend() (giveBack func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	return sync.OnceValue(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conns--; s.over && s.conns == 0 {
			return s.conn.Close()
		}
		return nil
	})
}

// perRequest runs statements on the connection that the request of their context keeps, or else on the pool.
type perRequest struct{ db *sql.DB }

func (p perRequest) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	conn, _, err := sessionConn(ctx, p.db)
	switch {
	case err != nil:
		return nil, err
	case conn != nil:
		return conn.ExecContext(ctx, query, args...)
	}
	return p.db.ExecContext(ctx, query, args...)
}

func (p perRequest) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	conn, _, err := sessionConn(ctx, p.db)
	switch {
	case err != nil:
		return nil, err
	case conn != nil:
		return conn.QueryContext(ctx, query, args...)
	}
	return p.db.QueryContext(ctx, query, args...)
}

func (p perRequest) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if conn, _, err := sessionConn(ctx, p.db); err == nil && conn != nil {
		return conn.QueryRowContext(ctx, query, args...)
	}
	return p.db.QueryRowContext(ctx, query, args...) // where no connection was to be had, only this can say so in a Row
}
