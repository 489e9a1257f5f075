package killbill

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
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
) STRICT;
CREATE TABLE IF NOT EXISTS accounts (
	id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, external_key TEXT NOT NULL, json TEXT NOT NULL, created_by TEXT NOT NULL,
	UNIQUE (tenant_id, external_key)
) STRICT;
CREATE TABLE IF NOT EXISTS tags (
	id TEXT PRIMARY KEY, account_id TEXT NOT NULL, definition_id TEXT NOT NULL, created_by TEXT NOT NULL,
	UNIQUE (account_id, definition_id)
) STRICT;
CREATE TABLE IF NOT EXISTS subscriptions (
	id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, account_id TEXT NOT NULL, json TEXT NOT NULL, created_by TEXT NOT NULL
) STRICT;`

// store is the SQLite file of one stand-in.
type store struct{ db *sql.DB }

// openStore opens kill-bill.db in dir. Write-ahead logging with synchronous=NORMAL keeps every answered write through a
// killed process; only a crash of the machine itself could lose the last ones.
func openStore(dir string, pool int) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make store folder: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "kill-bill.db"))
	if err != nil {
		return nil, fmt.Errorf("store folder: %w", err)
	}
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	if _, err := db.Exec(schema); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

// insert runs one INSERT; errTaken when a unique constraint refuses it.
func (s *store) insert(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, query, args...)
	var refused *sqlite.Error
	if errors.As(err, &refused) && (refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || refused.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
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
