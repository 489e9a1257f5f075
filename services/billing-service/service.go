// Package billingservice opens a Kill Bill account for each customer and remembers which is whose.
//
// It stands between user-service or instance-service and Kill Bill, a real one or the stand-in. It bills nobody.
package billingservice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/captest/captest/services/kit"
)

// Config of a billing-service.
type Config struct {
	Dir      string // where its SQLite file is
	Store    string // URL of a PostgreSQL database to use instead, see kit.StoreConfig
	KillBill string // base URL of Kill Bill
	Access   Access
	Knobs    kit.Knobs
	Log      *slog.Logger
}

// Service is a billing-service, ready to be served.
type Service struct {
	app      *kit.App
	db       *kit.Store
	accounts accounts
	client   *kit.Client
	killBill *killBill
	underWay *underWay
	closing  *closing
}

// New opens the store, sets up the routes, starts the closer and has Kill Bill make the tenant, or leaves that to the first account when
// Kill Bill cannot be reached yet.
func New(ctx context.Context, c Config) (*Service, error) {
	m := kit.NewMetrics()
	client, err := kit.NewClient("kill-bill", c.KillBill, c.Knobs, m, c.Log)
	if err != nil {
		return nil, fmt.Errorf("billing-service: %w", err)
	}
	db, err := kit.OpenStore(ctx, kit.StoreConfig{URL: c.Store, Dir: c.Dir, Name: "billing", Pool: c.Knobs.DBPool}, schema)
	if err != nil {
		return nil, fmt.Errorf("billing-service: %w", err)
	}
	s := &Service{
		app: kit.NewApp(c.Knobs, db, "billing", m, c.Log, client), db: db, accounts: accounts{db},
		client: client, killBill: newKillBill(client, c.Access, c.Knobs.KillBillCalls), underWay: newUnderWay(),
	}
	if s.closing, err = newClosing(c, s.accounts, s.underWay, m); err != nil {
		return nil, errors.Join(fmt.Errorf("billing-service: %w", err), s.Close())
	}
	s.app.Handle("POST /api/billing/accounts/{$}", s.create)
	s.app.Handle("POST /api/billing/accounts", s.create)
	s.app.Handle("GET /api/billing/accounts/{customer_id}", s.get)
	s.app.Handle("DELETE /api/billing/accounts/{customer_id}", s.remove)
	s.killBill.introduce(ctx, c.Log)
	return s, nil
}

// Handler serves every route.
func (s *Service) Handler() http.Handler { return s.app }

// App is what the service is served with: its event loops and its drain.
func (s *Service) App() *kit.App { return s.app }

// Close stops the closer and closes the pooled connections and the store.
func (s *Service) Close() error {
	s.closing.stop()
	s.client.Close()
	return s.db.Close()
}
