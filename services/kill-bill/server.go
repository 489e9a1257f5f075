// Package killbill stands in for Kill Bill 0.24 on the wire: the same paths, headers, bodies and refusals, over a database of its own.
// It is the far end of the bundled chain (user → billing → kill-bill) and the target of the direct account scenario.
// It does not bill anybody: there is no catalog, invoice or payment behind it, and its time is a model (capacity.go), not Kill Bill's own.
package killbill

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one stand-in. Make it with New, serve Handler, and Close it after the last request.
type Server struct {
	config   Config
	log      *slog.Logger
	store    *store
	slots    *slots
	service  *serviceTime
	tenants  *tenantCache
	counts   *counts
	registry *registry
	queue    *queueWatch
	asked    atomic.Uint64 // calls, where one in so many is refused
	handler  http.Handler

	done    chan struct{} // closed by Close: ends modelled waits and the queue watch
	closing sync.Once
	watch   sync.WaitGroup
}

// New opens (or creates) the store and makes the default tenant.
func New(c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("kill-bill: %w", err)
	}
	st, err := openStore(c)
	if err != nil {
		return nil, fmt.Errorf("kill-bill: %w", err)
	}
	s := &Server{
		config:   c,
		log:      c.Log,
		store:    st,
		slots:    newSlots(c.Slots, c.Queue),
		service:  newServiceTime(c.ServiceTime, c.CV, c.Seed),
		tenants:  newTenantCache(),
		registry: newRegistry(time.Now()),
		queue:    newQueueWatch(),
		done:     make(chan struct{}),
	}
	s.counts = newCounts(s)
	if err := s.ensureDefaultTenant(); err != nil {
		_ = st.close()
		return nil, fmt.Errorf("kill-bill: %w", err)
	}
	s.handler = s.routes()
	s.watch.Go(s.watchQueue)
	return s, nil
}

// Handler serves every path of the stand-in, its Prometheus /metrics and /ready included.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends modelled waits and closes the store. Accounts written before it are kept.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		s.watch.Wait()
		if err = s.store.close(); err != nil {
			err = fmt.Errorf("kill-bill: close store: %w", err)
		}
	})
	return err
}

// watchQueue feeds the queue health check once a second.
func (s *Server) watchQueue() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			_, queued := s.slots.load()
			s.queue.record(now, queued)
		case <-s.done:
			return
		}
	}
}
