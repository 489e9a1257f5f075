package billingservice

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/captest/captest/services/kit"
)

// A row goes one way:
//
//	                      ┌──────── DELETE ───────┐
//	opening ── keep ──► open                      │
//	   │                  └─ (keep failed) ──┐    ▼
//	   └──── abandon, DELETE, left behind ───┴► closing ── closer ──► closed
//
// A DELETE that finds no row inserts a closed one, so that a create which arrives after it is refused. Closed rows are
// kept: they are a hundred bytes for each registration that failed, and all that can refuse a create however late it comes,
// or keep a closed account from being taken for an open one when Kill Bill finds it by its key.
const (
	stateOpening = "opening" // in the store before Kill Bill hears of it
	open         = "open"
	stateClosing = "closing"
	stateClosed  = "closed"
)

const schema = `
CREATE TABLE IF NOT EXISTS accounts (
	customer_id          TEXT PRIMARY KEY,
	kill_bill_account_id TEXT NOT NULL,     -- empty while it is not known
	state                TEXT NOT NULL,     -- opening, open, closing, closed
	created_at           BIGINT NOT NULL,   -- Unix milliseconds, as the others
	since                BIGINT NOT NULL,   -- in this state
	look_at              BIGINT             -- when the closer looks next; NULL: never
);
CREATE INDEX IF NOT EXISTS accounts_look_at ON accounts (look_at) WHERE look_at IS NOT NULL;
`

// account is one row; without one, its state is empty.
type account struct {
	customer, killBillID, state string
	since                       time.Time
}

// accounts is the table. Its methods give up the event loop while the store works.
type accounts struct{ db *kit.Store }

// exec runs one statement and says how many rows it changed.
func (t accounts) exec(ctx context.Context, query string, args ...any) (int64, error) {
	defer kit.Await(ctx)()
	done, err := t.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("accounts: %w", err)
	}
	return done.RowsAffected()
}

// find gives a customer's row.
func (t accounts) find(ctx context.Context, customer string) (a account, err error) {
	defer kit.Await(ctx)()
	a.customer = customer
	var since int64
	err = t.db.QueryRowContext(ctx, `SELECT kill_bill_account_id, state, since FROM accounts WHERE customer_id = ?`, customer).
		Scan(&a.killBillID, &a.state, &since)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("accounts: %w", err)
	}
	a.since = time.UnixMilli(since)
	return a, nil
}

// begin inserts an opening row; fresh is false when there is a row already. Left alone, it is stale after the given time.
func (t accounts) begin(ctx context.Context, customer string, after time.Duration) (fresh bool, err error) {
	now := time.Now()
	n, err := t.exec(ctx, `INSERT INTO accounts (customer_id, kill_bill_account_id, state, created_at, since, look_at)
		VALUES (?, '', 'opening', ?, ?, ?) ON CONFLICT (customer_id) DO NOTHING`,
		customer, now.UnixMilli(), now.UnixMilli(), now.Add(after).UnixMilli())
	return n == 1, err
}

// keep makes an opening row open; kept is false when it is opening no more.
func (t accounts) keep(ctx context.Context, customer, id string) (kept bool, err error) {
	n, err := t.exec(ctx, `UPDATE accounts SET state = 'open', kill_bill_account_id = ?, since = ?, look_at = NULL
		WHERE customer_id = ? AND state = 'opening'`, id, time.Now().UnixMilli(), customer)
	return n == 1, err
}

// forget deletes an opening row for which Kill Bill made nothing.
func (t accounts) forget(ctx context.Context, customer string) error {
	_, err := t.exec(ctx, `DELETE FROM accounts WHERE customer_id = ? AND state = 'opening'`, customer)
	return err
}

// abandon makes a row closing, whatever it is, and notes the account if it is known: then it can be closed at once. An
// unknown one is looked for after the given time, in which a create still on its way comes through or never will.
func (t accounts) abandon(ctx context.Context, customer, id string, after time.Duration) error {
	now := time.Now()
	look := now
	if id == "" {
		look = now.Add(after)
	}
	_, err := t.exec(ctx, `UPDATE accounts SET state = 'closing', kill_bill_account_id = ?, since = ?, look_at = ?
		WHERE customer_id = ?`, id, now.UnixMilli(), look.UnixMilli(), customer)
	return err
}

// close makes a row closing unless it is that already or closed, and inserts a closed one where there is none. One
// statement, so that it meets a create that begins in the same instant either before or after, never half way.
func (t accounts) close(ctx context.Context, customer string, after time.Duration) error {
	now := time.Now()
	_, err := t.exec(ctx, `INSERT INTO accounts (customer_id, kill_bill_account_id, state, created_at, since, look_at)
		VALUES (?, '', 'closed', ?, ?, NULL)
		ON CONFLICT (customer_id) DO UPDATE SET state = 'closing', since = excluded.since,
			look_at = CASE WHEN accounts.kill_bill_account_id = '' THEN CAST(? AS BIGINT) ELSE excluded.since END
		WHERE accounts.state IN ('opening', 'open')`,
		customer, now.UnixMilli(), now.UnixMilli(), now.Add(after).UnixMilli())
	return err
}

// due gives at most limit rows the closer is to look at now, the longest overdue first.
func (t accounts) due(ctx context.Context, limit int) (all []account, err error) {
	rows, err := t.db.QueryContext(ctx, `SELECT customer_id, kill_bill_account_id, state, since FROM accounts
		WHERE look_at <= ? ORDER BY look_at LIMIT ?`, time.Now().UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a account
		var since int64
		if err := rows.Scan(&a.customer, &a.killBillID, &a.state, &since); err != nil {
			return nil, fmt.Errorf("accounts: %w", err)
		}
		a.since = time.UnixMilli(since)
		all = append(all, a)
	}
	return all, rows.Err()
}

// postpone has the closer look at a row again after the given time.
func (t accounts) postpone(ctx context.Context, a account, after time.Duration) error {
	_, err := t.exec(ctx, `UPDATE accounts SET look_at = ? WHERE customer_id = ? AND state = ?`,
		time.Now().Add(after).UnixMilli(), a.customer, a.state)
	return err
}

// stale makes an opening row that was left behind closing.
func (t accounts) stale(ctx context.Context, customer string, after time.Duration) error {
	now := time.Now()
	_, err := t.exec(ctx, `UPDATE accounts SET state = 'closing', since = ?, look_at = ? WHERE customer_id = ? AND state = 'opening'`,
		now.UnixMilli(), now.Add(after).UnixMilli(), customer)
	return err
}

// closed ends a closing row, or notes the account of one that was closed without. again is when the closer looks once
// more, 0 for never.
func (t accounts) closed(ctx context.Context, a account, again time.Duration) error {
	var look sql.NullInt64
	if again > 0 {
		look = sql.NullInt64{Int64: time.Now().Add(again).UnixMilli(), Valid: true}
	}
	_, err := t.exec(ctx, `UPDATE accounts SET state = 'closed', kill_bill_account_id = ?, look_at = ?
		WHERE customer_id = ? AND state = ? AND since = ?`, a.killBillID, look, a.customer, a.state, a.since.UnixMilli())
	return err
}

// unsettled counts closing rows and opening ones that were left behind.
func (t accounts) unsettled(ctx context.Context) (n int, err error) {
	err = t.db.QueryRowContext(ctx, `SELECT count(*) FROM accounts WHERE look_at IS NOT NULL
		AND (state = 'closing' OR state = 'opening' AND look_at <= ?)`, time.Now().UnixMilli()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("accounts: %w", err)
	}
	return n, nil
}
