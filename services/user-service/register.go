package userservice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"strings"
	"time"

	"github.com/captest/captest/services/kit"
)

// registration is the body of POST /auth/register.
type registration struct {
	Email       string `json:"email"`
	Password    string `json:"password"`
	FirstName   string `json:"first_name"`
	LastName    string `json:"last_name"`
	AcceptTerms bool   `json:"accept_terms"`
}

// check names every field that is wrong. The limits are those of Kill Bill's columns: 128 for an e-mail address, 100 for
// first and last name with a space between.
func (r *registration) check() error {
	r.Email = strings.ToLower(strings.TrimSpace(r.Email))
	r.FirstName, r.LastName = strings.TrimSpace(r.FirstName), strings.TrimSpace(r.LastName)
	f := kit.Fields{}
	f.Text("first_name", r.FirstName, 1, 49)
	f.Text("last_name", r.LastName, 1, 49)
	f.Text("email", r.Email, 3, 128)
	if a, err := mail.ParseAddress(r.Email); f["email"] == "" && (err != nil || a.Address != r.Email || len(r.Email) > 128) {
		f["email"] = "is not an e-mail address"
	}
	switch {
	case len(r.Password) < 8:
		f["password"] = "is too short: want at least 8 bytes"
	case len(r.Password) > kit.PasswordLimit:
		f["password"] = fmt.Sprintf("is too long: bcrypt takes at most %d bytes", kit.PasswordLimit)
	}
	if !r.AcceptTerms {
		f["accept_terms"] = "must be true"
	}
	return f.Err()
}

// register makes a customer and its account at billing, or neither:
//
//	look up → breaker → hash → insert pending → billing → activate → 201
//	                                               ├ says no    → forget → 502/503
//	                                               └ no answer  → undo   → 502/503, and billing is told to close
//
// Why no fault leaves half of it, whatever dies at whatever instant:
//
//   - A pending customer is visible to nobody, and a row that stays pending for settle_after is undone by the settler. So
//     a death of this process before activate ends in an undo, and after it the customer has its account.
//   - activate takes effect only on a row that is still pending, so an undo and an activation never both do.
//   - Billing saying no promises that no account stays (see billing-service); then the row is all there is.
//   - Any other end at billing leaves the outcome open. The undo, one transaction, frees the e-mail address and writes the
//     debt down in undone; the settler has billing close the account, until it confirms. Ids are not used twice.
//   - Where not even the store can say whether the customer exists, the connection is cut without an answer: no answer may
//     mean all or none, but every answer is true.
func (s *Service) register(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	var in registration
	if err := r.Decode(&in); err != nil {
		return kit.Reply{}, err
	}
	if err := in.check(); err != nil {
		return kit.Reply{}, err
	}
	if err := s.free(ctx, in.Email); err != nil {
		return kit.Reply{}, err
	}
	permit, err := s.client.Allow() // before the hash: an open breaker must not cost any CPU
	if err != nil {
		s.app.Shed("breaker")
		return kit.Reply{}, kit.Unavailable("registration is not available now", err)
	}
	defer permit.Release()
	hash, err := s.hasher.Hash(ctx, in.Password)
	if errors.Is(err, kit.ErrHashQueueFull) {
		s.app.Shed("hash_queue")
		return kit.Reply{}, kit.Unavailable("too many registrations at once", err)
	}
	if err != nil {
		return kit.Reply{}, err
	}
	c := &customer{
		ID: newID(), Email: in.Email, PasswordHash: hash, FirstName: in.FirstName, LastName: in.LastName,
		State: pending, Created: time.Now(),
	}
	if err := s.customers.insert(ctx, c); errors.Is(err, errTaken) {
		return kit.Reply{}, taken()
	} else if err != nil {
		s.forget(ctx, c) // the insert may have happened although its answer was lost
		return kit.Reply{}, err
	}
	if closed, err := s.billing.createAccount(ctx, permit, c); err != nil {
		if closed {
			s.forget(ctx, c)
		} else {
			_ = s.undo(ctx, c) // failed, it is pending still, and the settler undoes it
		}
		if ctx.Err() != nil {
			return kit.Reply{}, ctx.Err()
		}
		return kit.Reply{}, kit.Downstream("the account could not be opened, the registration was undone", err)
	}
	if err := s.activate(ctx, c); err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusCreated, Body: struct {
		Success  bool   `json:"success"`
		Message  string `json:"message"`
		Customer shown  `json:"customer"`
	}{true, "registered; please verify your e-mail address", c.shown()}}, nil
}

func taken() error {
	return &kit.Problem{Status: http.StatusConflict, Message: "this e-mail address is registered already"}
}

// free says whether an e-mail address can be registered. That of a registration under way cannot.
func (s *Service) free(ctx context.Context, email string) error {
	_, err := s.customers.byEmail(ctx, email)
	switch {
	case errors.Is(err, errNotFound):
		return nil
	case err != nil:
		return err
	default:
		return taken()
	}
}

// undoPatience bounds the last step of a registration, which goes on when the client has gone.
const undoPatience = 5 * time.Second

func lastStep(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
}

// activate makes the customer exist, even when its client has gone: billing has the account already.
func (s *Service) activate(ctx context.Context, c *customer) error {
	step, cancel := lastStep(ctx)
	defer cancel()
	unsure, err := s.customers.activate(step, c.ID)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotFound): // the settler came first: it owes billing the closing, nothing is left to do
		return kit.Unavailable("the registration took too long and was undone", err)
	}
	err = fmt.Errorf("activate: %w", err)
	if undoErr := s.undo(ctx, c); undoErr != nil && unsure {
		return errors.Join(http.ErrAbortHandler, err, undoErr)
	}
	return err
}

// forget removes a customer for whom billing has nothing. When that fails too, the customer stays pending, seen by
// nobody, until the settler undoes it.
func (s *Service) forget(ctx context.Context, c *customer) {
	ctx, cancel := lastStep(ctx)
	defer cancel()
	s.leftPending(c, s.customers.forget(ctx, c.ID))
}

// undo takes the customer back and leaves the account to the settler.
func (s *Service) undo(ctx context.Context, c *customer) error {
	ctx, cancel := lastStep(ctx)
	defer cancel()
	err := s.customers.undo(ctx, c.ID, time.Now())
	s.leftPending(c, err)
	return err
}

func (s *Service) leftPending(c *customer, err error) {
	if err != nil {
		s.log.Error("registration not undone, left to the settler", "customer", c.ID, "error", err.Error())
	}
}
