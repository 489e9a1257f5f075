package billingservice

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/captest/captest/services/kit"
)

const schema = `
CREATE TABLE IF NOT EXISTS accounts (
	customer_id          TEXT PRIMARY KEY,
	kill_bill_account_id TEXT NOT NULL,
	created_at           BIGINT NOT NULL    -- Unix milliseconds
);
`

// accounts is the table. Its methods give up the event loop while the store works.
type accounts struct{ db *kit.Store }

// find gives the Kill Bill account of a customer, "" when there is none.
func (t accounts) find(ctx context.Context, customer string) (id string, err error) {
	defer kit.Await(ctx)()
	err = t.db.QueryRowContext(ctx, `SELECT kill_bill_account_id FROM accounts WHERE customer_id = ?`, customer).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("accounts: %w", err)
	}
	return id, nil
}

// keep remembers an account. Of two requests for one customer at once, both found the same account at Kill Bill.
func (t accounts) keep(ctx context.Context, customer, id string) error {
	defer kit.Await(ctx)()
	_, err := t.db.ExecContext(ctx, `INSERT INTO accounts (customer_id, kill_bill_account_id, created_at) VALUES (?, ?, ?)
		ON CONFLICT (customer_id) DO NOTHING`, customer, id, time.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// opening is the body of POST /api/billing/accounts/.
type opening struct {
	CustomerID string `json:"customer_id"`
	Email      string `json:"email"`
	Name       string `json:"name"`
	Company    string `json:"company"`
	Currency   string `json:"currency"`
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// check holds the body against Kill Bill's columns, so that Kill Bill has nothing to refuse.
func (o *opening) check() error {
	if o.Currency = strings.ToUpper(o.Currency); o.Currency == "" {
		o.Currency = "USD"
	}
	f := kit.Fields{}
	f.Text("customer_id", o.CustomerID, 1, 255)
	f.Text("email", o.Email, 0, 128)
	f.Text("name", o.Name, 0, 100)
	f.Text("company", o.Company, 0, 50)
	if !currency.MatchString(o.Currency) {
		f["currency"] = "is not three letters"
	}
	return f.Err()
}

// opened is the answer for an account.
type opened struct {
	Success           bool   `json:"success"`
	KillBillAccountID string `json:"killbill_account_id"`
	CustomerID        string `json:"customer_id"`
	Message           string `json:"message"`
}

// create opens a customer's account. Asking again gives the same account, also after a failure half way: Kill Bill
// knows it by the customer's id.
func (s *Service) create(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	var in opening
	if err := r.Decode(&in); err != nil {
		return kit.Reply{}, err
	}
	if err := in.check(); err != nil {
		return kit.Reply{}, err
	}
	id, err := s.accounts.find(ctx, in.CustomerID)
	if err != nil {
		return kit.Reply{}, err
	}
	message := "account exists"
	if id == "" {
		message = "account created"
		if id, err = s.killBill.open(ctx, in); err != nil {
			var open *kit.OpenError
			if errors.As(err, &open) {
				s.app.Shed("breaker")
			}
			if ctx.Err() != nil {
				return kit.Reply{}, ctx.Err()
			}
			return kit.Reply{}, kit.Downstream("Kill Bill did not open the account", err)
		}
		if err := s.accounts.keep(ctx, in.CustomerID, id); err != nil {
			return kit.Reply{}, err
		}
	}
	return kit.Reply{Status: http.StatusOK, Body: opened{true, id, in.CustomerID, message}}, nil
}

// get shows a customer's account.
func (s *Service) get(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	customer := r.PathValue("customer_id")
	id, err := s.accounts.find(ctx, customer)
	if err != nil {
		return kit.Reply{}, err
	}
	if id == "" {
		return kit.Reply{}, &kit.Problem{Status: http.StatusNotFound, Message: "this customer has no account"}
	}
	return kit.Reply{Status: http.StatusOK, Body: opened{true, id, customer, "account found"}}, nil
}
