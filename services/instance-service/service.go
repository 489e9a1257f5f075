// Package instanceservice keeps the instances that customers order, for customers that billing-service has an account for.
//
// It stands beside user-service, before billing-service. It runs no instance.
package instanceservice

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/captest/captest/services/kit"
)

// Config of an instance-service.
type Config struct {
	Dir     string // where its SQLite file is
	Store   string // URL of a PostgreSQL database to use instead, see kit.StoreConfig
	Billing string // base URL of billing-service
	Knobs   kit.Knobs
	Log     *slog.Logger
}

// Service is an instance-service, ready to be served.
type Service struct {
	app       *kit.App
	db        *kit.Store
	instances instances
	client    *kit.Client
}

// New opens the store and sets up the routes.
func New(ctx context.Context, c Config) (*Service, error) {
	m := kit.NewMetrics()
	client, err := kit.NewClient("billing", c.Billing, c.Knobs, m, c.Log)
	if err != nil {
		return nil, fmt.Errorf("instance-service: %w", err)
	}
	db, err := kit.OpenStore(ctx, kit.StoreConfig{URL: c.Store, Dir: c.Dir, Name: "instance", Pool: c.Knobs.DBPool}, schema)
	if err != nil {
		return nil, fmt.Errorf("instance-service: %w", err)
	}
	s := &Service{app: kit.NewApp(c.Knobs, db, "instance", m, c.Log, client), db: db, instances: instances{db}, client: client}
	s.app.Handle("POST /api/v1/instances/{$}", s.create)
	s.app.Handle("POST /api/v1/instances", s.create)
	s.app.Handle("GET /api/v1/instances/{$}", s.list)
	s.app.Handle("GET /api/v1/instances", s.list)
	return s, nil
}

// Handler serves every route.
func (s *Service) Handler() http.Handler { return s.app }

// App is what the service is served with: its event loops and its drain.
func (s *Service) App() *kit.App { return s.app }

// Close closes the pooled connections and the store.
func (s *Service) Close() error {
	s.client.Close()
	return s.db.Close()
}

// hasAccount asks billing whether the customer may order.
func (s *Service) hasAccount(ctx context.Context, customer string) (bool, error) {
	answer, err := s.client.Do(ctx, kit.Call{Method: http.MethodGet, Path: "/api/billing/accounts/" + url.PathEscape(customer)})
	if err != nil {
		return false, err
	}
	switch answer.Status {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		answer.Close()
		return false, nil
	default:
		// Under the knob error_path=leaks the answer is still open here, and nobody is going to close it.
		return false, &kit.StatusError{Downstream: "billing", Call: "get account", Status: answer.Status}
	}
}
