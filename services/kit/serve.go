package kit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServeConfig is how a handler is served.
type ServeConfig struct {
	Handler         http.Handler
	Loops           *Loops // nil: none
	Drain           func() // called first on a graceful shutdown; may be nil
	IdleTimeout     time.Duration
	Graceful        bool
	ShutdownTimeout time.Duration // how long requests in flight may take after ctx is done
	Log             *slog.Logger
}

// Serve serves on ln until ctx is done. A graceful shutdown lets the requests in flight finish for ShutdownTimeout; an
// abrupt one cuts them off. It returns nil when every accepted request was answered or was to be cut off.
func Serve(ctx context.Context, ln net.Listener, c ServeConfig) error {
	srv := &http.Server{
		Handler:           c.Handler,
		IdleTimeout:       c.IdleTimeout,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	if c.Loops != nil {
		ln = c.Loops.Listener(ln)
		srv.ConnContext = c.Loops.ConnContext
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	if !c.Graceful {
		err := srv.Close()
		<-served
		return err
	}
	if c.Drain != nil {
		c.Drain()
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.ShutdownTimeout)
	defer cancel()
	err := srv.Shutdown(deadline)
	<-served
	if err != nil {
		return errors.Join(fmt.Errorf("shutdown: requests still in flight after %s: %w", c.ShutdownTimeout, err), srv.Close())
	}
	return nil
}
