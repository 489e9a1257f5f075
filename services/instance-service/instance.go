package instanceservice

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/captest/captest/services/kit"
)

const schema = `
CREATE TABLE IF NOT EXISTS instances (
	id          TEXT PRIMARY KEY,
	name        TEXT NOT NULL,
	customer_id TEXT NOT NULL,
	plan        TEXT NOT NULL,
	created_at  BIGINT NOT NULL             -- Unix milliseconds
);
CREATE INDEX IF NOT EXISTS instances_customer ON instances (customer_id, created_at);
`

// listLimit is how many instances one answer shows, newest first.
const listLimit = 100

// instance is one row, and how it appears in answers.
type instance struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	CustomerID string    `json:"customer_id"`
	Plan       string    `json:"plan"`
	CreatedAt  time.Time `json:"created_at"`
}

// instances is the table. Its methods give up the event loop while the store works.
type instances struct{ db *kit.Store }

func (t instances) insert(ctx context.Context, i *instance) error {
	defer kit.Await(ctx)()
	_, err := t.db.ExecContext(ctx, `INSERT INTO instances (id, name, customer_id, plan, created_at) VALUES (?, ?, ?, ?, ?)`,
		i.ID, i.Name, i.CustomerID, i.Plan, i.CreatedAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("instances: %w", err)
	}
	return nil
}

func (t instances) of(ctx context.Context, customer string) (found []instance, err error) {
	defer kit.Await(ctx)()
	rows, err := t.db.QueryContext(ctx, `SELECT id, name, customer_id, plan, created_at FROM instances
		WHERE customer_id = ? ORDER BY created_at DESC, id LIMIT ?`, customer, listLimit)
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = []instance{}
	for rows.Next() {
		var i instance
		var created int64
		if err := rows.Scan(&i.ID, &i.Name, &i.CustomerID, &i.Plan, &created); err != nil {
			return nil, fmt.Errorf("instances: %w", err)
		}
		i.CreatedAt = time.UnixMilli(created).UTC()
		found = append(found, i)
	}
	return found, rows.Err()
}

// create keeps a new instance of a customer that has an account.
func (s *Service) create(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	var in struct {
		Name       string `json:"name"`
		CustomerID string `json:"customer_id"`
		Plan       string `json:"plan"`
	}
	if err := r.Decode(&in); err != nil {
		return kit.Reply{}, err
	}
	f := kit.Fields{}
	f.Text("name", in.Name, 1, 100)
	f.Text("customer_id", in.CustomerID, 1, 255)
	f.Text("plan", in.Plan, 0, 50)
	if err := f.Err(); err != nil {
		return kit.Reply{}, err
	}
	has, err := s.hasAccount(ctx, in.CustomerID)
	if err != nil {
		var open *kit.OpenError
		if errors.As(err, &open) {
			s.app.Shed("breaker")
		}
		if ctx.Err() != nil {
			return kit.Reply{}, ctx.Err()
		}
		return kit.Reply{}, kit.Downstream("billing could not be asked", err)
	}
	if !has {
		return kit.Reply{}, kit.Invalid(map[string]string{"customer_id": "has no account"})
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	made := &instance{
		ID: hex.EncodeToString(id[:]), Name: in.Name, CustomerID: in.CustomerID, Plan: in.Plan,
		CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
	}
	if err := s.instances.insert(ctx, made); err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusCreated, Body: struct {
		Success  bool      `json:"success"`
		Instance *instance `json:"instance"`
	}{true, made}}, nil
}

// list shows a customer's instances, newest first.
func (s *Service) list(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	customer := r.URL.Query().Get("customer_id")
	f := kit.Fields{}
	f.Text("customer_id", customer, 1, 255)
	if err := f.Err(); err != nil {
		return kit.Reply{}, err
	}
	found, err := s.instances.of(ctx, customer)
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusOK, Body: map[string][]instance{"instances": found}}, nil
}
