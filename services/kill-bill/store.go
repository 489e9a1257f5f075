package killbill

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/captest/captest/services/kit"
)

// Errors of the store that a caller turns into a refusal.
var (
	errTaken  = errors.New("already exists")
	errAbsent = errors.New("does not exist")
)

// schema is applied at every start.
const schema = `
CREATE TABLE IF NOT EXISTS tenants (
	id TEXT PRIMARY KEY, api_key TEXT NOT NULL UNIQUE, external_key TEXT,
	salt BLOB NOT NULL, secret BLOB NOT NULL, rounds INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS accounts (
	id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, external_key TEXT NOT NULL, json TEXT NOT NULL, created_by TEXT NOT NULL,
	UNIQUE (tenant_id, external_key)
);
CREATE TABLE IF NOT EXISTS tags (
	id TEXT PRIMARY KEY, account_id TEXT NOT NULL, definition_id TEXT NOT NULL, created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL, -- Unix nanoseconds
	UNIQUE (account_id, definition_id)
);
CREATE TABLE IF NOT EXISTS blocking_states (
	blocked_id TEXT NOT NULL, state TEXT NOT NULL, service TEXT NOT NULL, type TEXT NOT NULL, effective_date TEXT NOT NULL,
	created_by TEXT NOT NULL, UNIQUE (blocked_id, service)
);
CREATE TABLE IF NOT EXISTS subscriptions (
	id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, account_id TEXT NOT NULL, json TEXT NOT NULL, created_by TEXT NOT NULL
);`

// store is the database of one stand-in.
type store struct{ db *kit.Store }

// openStore opens the store that the configuration names.
func openStore(c Config) (*store, error) {
	db, err := kit.OpenStore(context.Background(), kit.StoreConfig{URL: c.Store, Dir: c.Dir, Name: "kill-bill", Pool: c.DBPool}, schema)
	if err != nil {
		return nil, err
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

// insert runs one INSERT; errTaken when a unique constraint refuses it.
func (s *store) insert(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, query, args...)
	if kit.IsDuplicate(err) {
		return errTaken
	}
	return err
}

// one scans a single row; errAbsent when there is none.
func (s *store) one(ctx context.Context, query string, args []any, into ...any) error {
	err := s.db.QueryRowContext(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return errAbsent
	}
	return err
}

// document reads a row's JSON column into v.
func (s *store) document(ctx context.Context, v any, query string, args ...any) error {
	var text string
	if err := s.one(ctx, query, args, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), v)
}

func (s *store) insertAccount(ctx context.Context, tenant string, a *account, by string) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.insert(ctx, `INSERT INTO accounts (id, tenant_id, external_key, json, created_by) VALUES (?, ?, ?, ?, ?)`,
		a.AccountID, tenant, a.ExternalKey, string(text), by)
}

func (s *store) accountByID(ctx context.Context, tenant, id string) (*account, error) {
	a := new(account)
	return a, s.document(ctx, a, `SELECT json FROM accounts WHERE tenant_id = ? AND id = ?`, tenant, id)
}

func (s *store) accountByKey(ctx context.Context, tenant, key string) (*account, error) {
	a := new(account)
	return a, s.document(ctx, a, `SELECT json FROM accounts WHERE tenant_id = ? AND external_key = ?`, tenant, key)
}
