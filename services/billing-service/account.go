package billingservice

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/captest/captest/services/kit"
)

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

// create opens a customer's account. Asking again for an open account gives the same one, and an attempt that died half
// way is taken up again until the closer gets to it.
//
// Its promise is that a failure answered with any status but 500 leaves no account, now or later: before the answer, the
// row says either nothing (Kill Bill surely made nothing) or closing, and the closer does what the row says. A 500 means
// that the store failed, and promises nothing: who gets it, or no answer at all, asks for a DELETE.
func (s *Service) create(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	var in opening
	if err := r.Decode(&in); err != nil {
		return kit.Reply{}, err
	}
	if err := in.check(); err != nil {
		return kit.Reply{}, err
	}
	release, err := s.underWay.claim(ctx, in.CustomerID)
	if err != nil {
		return kit.Reply{}, err
	}
	defer release()
	fresh, err := s.accounts.begin(ctx, in.CustomerID, s.closing.after)
	if err != nil {
		return kit.Reply{}, err
	}
	if !fresh {
		row, err := s.accounts.find(ctx, in.CustomerID)
		switch {
		case err != nil:
			return kit.Reply{}, err
		case row.state == open:
			return kit.Reply{Status: http.StatusOK, Body: opened{true, row.killBillID, in.CustomerID, "account exists"}}, nil
		case row.state != stateOpening:
			return kit.Reply{}, errClosed()
		}
	}
	id, nothing, err := s.killBill.open(ctx, in)
	if err != nil {
		return kit.Reply{}, s.giveUp(ctx, in.CustomerID, id, fresh && nothing, err)
	}
	if err := s.keep(ctx, in.CustomerID, id); err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusOK, Body: opened{true, id, in.CustomerID, "account created"}}, nil
}

func errClosed() error {
	return &kit.Problem{Status: http.StatusConflict, Message: "this customer's account is closed; a new customer needs a new customer_id"}
}

// lastStep bounds what is written after Kill Bill has spoken, which goes on when the client has gone.
func lastStep(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// giveUp writes down what a failure of Kill Bill leaves, and gives the answer.
func (s *Service) giveUp(ctx context.Context, customer, id string, nothing bool, cause error) error {
	step, cancel := lastStep(ctx)
	defer cancel()
	var err error
	if nothing {
		err = s.accounts.forget(step, customer)
	} else {
		err = s.accounts.abandon(step, customer, id, s.closing.after)
	}
	var breaker *kit.OpenError
	if errors.As(cause, &breaker) {
		s.app.Shed("breaker")
	}
	switch {
	case err != nil:
		return storeFailed(errors.Join(cause, err))
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return kit.Downstream("Kill Bill did not open the account", cause)
	}
}

// keep makes the account open, unless somebody has asked meanwhile that it be closed.
func (s *Service) keep(ctx context.Context, customer, id string) error {
	step, cancel := lastStep(ctx)
	defer cancel()
	kept, err := s.accounts.keep(step, customer, id)
	if err == nil && kept {
		return nil
	}
	if abandoned := s.accounts.abandon(step, customer, id, s.closing.after); err != nil || abandoned != nil {
		return storeFailed(errors.Join(err, abandoned))
	}
	return errClosed()
}

// storeFailed is the 500 that promises nothing, also where the store only took too long.
func storeFailed(cause error) error {
	return &kit.Problem{Status: http.StatusInternalServerError, Message: "internal error", Cause: cause}
}

// get shows a customer's account. One that is not open yet, or no more, is none.
func (s *Service) get(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	customer := r.PathValue("customer_id")
	row, err := s.accounts.find(ctx, customer)
	if err != nil {
		return kit.Reply{}, err
	}
	if row.state != open {
		return kit.Reply{}, &kit.Problem{Status: http.StatusNotFound, Message: "this customer has no account"}
	}
	return kit.Reply{Status: http.StatusOK, Body: opened{true, row.killBillID, customer, "account found"}}, nil
}

// remove has a customer's account closed, and any that is still to be opened refused. 202: it is written down, and the
// closer will see to it whatever happens. Asking again changes nothing.
func (s *Service) remove(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	customer := r.PathValue("customer_id")
	f := kit.Fields{}
	f.Text("customer_id", customer, 1, 255)
	if err := f.Err(); err != nil {
		return kit.Reply{}, err
	}
	if err := s.accounts.close(ctx, customer, s.closing.after); err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusAccepted, Body: struct {
		Success    bool   `json:"success"`
		CustomerID string `json:"customer_id"`
		Message    string `json:"message"`
	}{true, customer, "the account will be closed"}}, nil
}
