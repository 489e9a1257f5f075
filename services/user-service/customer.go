package userservice

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/captest/captest/services/kit"
)

const schema = `
CREATE TABLE IF NOT EXISTS customers (
	id            TEXT PRIMARY KEY,
	email         TEXT NOT NULL UNIQUE,
	password_hash TEXT NOT NULL,
	first_name    TEXT NOT NULL,
	last_name     TEXT NOT NULL,
	state         TEXT NOT NULL,            -- pending until billing has the account, then active
	created_at    BIGINT NOT NULL           -- Unix milliseconds
);
CREATE INDEX IF NOT EXISTS customers_pending ON customers (created_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS undone (     -- customers that are no more, whose account billing may still have or yet open
	customer_id TEXT PRIMARY KEY,
	since       BIGINT NOT NULL             -- Unix milliseconds
);
CREATE TABLE IF NOT EXISTS tokens (
	hash        TEXT PRIMARY KEY,           -- SHA-256 of the token; the token itself is kept nowhere
	customer_id TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
	expires_at  BIGINT NOT NULL             -- Unix milliseconds
);
CREATE INDEX IF NOT EXISTS tokens_customer ON tokens (customer_id);
`

const (
	pending = "pending"
	active  = "active"
)

var (
	errNotFound = errors.New("no such customer")
	errTaken    = errors.New("e-mail taken")
)

// customer is one row. A pending one does not exist as far as anybody outside can see.
type customer struct {
	ID, Email, PasswordHash, FirstName, LastName, State string
	Created                                             time.Time
}

// shown is how a customer appears in answers.
type shown struct {
	ID                   string `json:"id"`
	Email                string `json:"email"`
	FirstName            string `json:"first_name"`
	LastName             string `json:"last_name"`
	RequiresVerification bool   `json:"requires_verification"`
}

func (c *customer) shown() shown {
	return shown{ID: c.ID, Email: c.Email, FirstName: c.FirstName, LastName: c.LastName, RequiresVerification: true}
}

// customers is the table. Its methods give up the event loop while the store works.
type customers struct {
	db    *kit.Store
	leaks bool // undoing forgets to give its connection back
}

const columns = `id, email, password_hash, first_name, last_name, state, created_at`

func (t customers) byEmail(ctx context.Context, email string) (*customer, error) {
	defer kit.Await(ctx)()
	return scan(t.db.QueryRowContext(ctx, `SELECT `+columns+` FROM customers WHERE email = ?`, email))
}

// byToken finds the active customer that a token, given as its hash, belongs to.
func (t customers) byToken(ctx context.Context, hash string, now time.Time) (*customer, error) {
	defer kit.Await(ctx)()
	return scan(t.db.QueryRowContext(ctx, `SELECT `+columns+` FROM customers
		WHERE state = 'active' AND id = (SELECT customer_id FROM tokens WHERE hash = ? AND expires_at > ?)`, hash, now.UnixMilli()))
}

func (t customers) insert(ctx context.Context, c *customer) error {
	defer kit.Await(ctx)()
	_, err := t.db.ExecContext(ctx, `INSERT INTO customers (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		c.ID, c.Email, c.PasswordHash, c.FirstName, c.LastName, c.State, c.Created.UnixMilli())
	if kit.IsDuplicate(err) {
		return errTaken
	}
	return err
}

// activate makes a pending customer exist; errNotFound when an undo came first. unsure says that the store may have done
// it although it failed.
func (t customers) activate(ctx context.Context, id string) (unsure bool, err error) {
	defer kit.Await(ctx)()
	conn, err := t.db.Conn(ctx) // apart from the statement, because a failure here is certain
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	done, err := conn.ExecContext(ctx, `UPDATE customers SET state = 'active' WHERE id = ? AND state = 'pending'`, id)
	if err != nil {
		return true, err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return err != nil, errors.Join(errNotFound, err)
	}
	return false, nil
}

// forget deletes a customer that never became active and for whom billing keeps no account.
func (t customers) forget(ctx context.Context, id string) error {
	return t.onOwnConn(ctx, func(tx *kit.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM customers WHERE id = ? AND state = 'pending'`, id)
		return err
	})
}

// undo takes a customer back, in whatever state it is, and owes billing the closing of its account. Its e-mail address is
// free at once. The caller has told nobody that the customer exists.
func (t customers) undo(ctx context.Context, id string, now time.Time) error {
	return t.onOwnConn(ctx, func(tx *kit.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM customers WHERE id = ?`, id); err != nil {
			return err
		}
		return owe(ctx, tx, id, now)
	})
}

// onOwnConn is the way a failed registration is taken back: one transaction, on a connection that under the knob
// undo=leaks is never given back, which leaves the pool one poorer for each failed registration.
func (t customers) onOwnConn(ctx context.Context, do func(*kit.Tx) error) error {
	defer kit.Await(ctx)()
	conn, err := t.db.Conn(ctx)
	if err != nil {
		return err
	}
	if !t.leaks {
		defer func() { _ = conn.Close() }()
	}
	return inTx(ctx, conn, do)
}

func inTx(ctx context.Context, db interface {
	Begin(context.Context) (*kit.Tx, error)
}, do func(*kit.Tx) error,
) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func scan(row interface{ Scan(...any) error }) (*customer, error) {
	var c customer
	var created int64
	err := row.Scan(&c.ID, &c.Email, &c.PasswordHash, &c.FirstName, &c.LastName, &c.State, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("customers: %w", err)
	}
	c.Created = time.UnixMilli(created)
	return &c, nil
}
