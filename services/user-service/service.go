// Package userservice registers customers: it keeps them and their passwords, and has billing-service open their account.
//
// It stands first in the chain, before billing-service. It knows nothing of Kill Bill.
package userservice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/captest/captest/services/kit"
)

// Config of a user-service.
type Config struct {
	Dir     string // where its SQLite file is
	Store   string // URL of a PostgreSQL database to use instead, see kit.StoreConfig
	Billing string // base URL of billing-service
	Knobs   kit.Knobs
	Log     *slog.Logger
}

// Service is a user-service, ready to be served.
type Service struct {
	app       *kit.App
	db        *kit.Store
	customers customers
	tokens    tokens
	hasher    *kit.Hasher
	decoy     string // a hash no password fits
	client    *kit.Client
	billing   billing
	log       *slog.Logger

	settling *settling
}

// New opens the store, sets up the routes and starts the settler. It waits for nobody: what a crash left half done is
// settled in the background.
func New(ctx context.Context, c Config) (*Service, error) {
	m := kit.NewMetrics()
	hasher, err := kit.NewHasher(c.Knobs, m)
	if err != nil {
		return nil, fmt.Errorf("user-service: %w", err)
	}
	client, err := kit.NewClient("billing", c.Billing, c.Knobs, m, c.Log)
	if err != nil {
		return nil, fmt.Errorf("user-service: %w", err)
	}
	db, err := kit.OpenStore(ctx, kit.StoreConfig{URL: c.Store, Dir: c.Dir, Name: "user", Pool: c.Knobs.DBPool}, schema)
	if err != nil {
		return nil, fmt.Errorf("user-service: %w", err)
	}
	s := &Service{
		app: kit.NewApp(c.Knobs, db, "user", m, c.Log, client), db: db,
		customers: customers{db, c.Knobs.Undo == kit.Leaks}, tokens: tokens{db}, hasher: hasher, client: client, billing: billing{client}, log: c.Log,
	}
	if s.decoy, err = hasher.Hash(ctx, randomText()); err != nil {
		return nil, errors.Join(fmt.Errorf("user-service: %w", err), s.Close())
	}
	s.app.Handle("POST /auth/register", s.register)
	s.app.Handle("POST /auth/login", s.login)
	s.app.Handle("GET /users/profile", s.profile)
	if s.settling, err = newSettling(c, s.customers, m); err != nil {
		return nil, errors.Join(fmt.Errorf("user-service: %w", err), s.Close())
	}
	return s, nil
}

// Handler serves every route.
func (s *Service) Handler() http.Handler { return s.app }

// App is what the service is served with: its event loops and its drain.
func (s *Service) App() *kit.App { return s.app }

// Close stops the settler and closes the pooled connections and the store.
func (s *Service) Close() error {
	s.settling.close()
	s.client.Close()
	return s.db.Close()
}
