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
//	                                               └ failed → remove → 502/503
//
// A pending customer is visible to nobody. A crash between insert and activate leaves it pending, and settle decides
// later. The reverse can remain: when billing opens the account but its answer is lost, the account stays behind at
// Kill Bill under the id of a customer that never was. Nobody is billed for it, and ids are not used twice.
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
		s.remove(ctx, c) // the insert may have happened although its answer was lost
		return kit.Reply{}, err
	}
	if err := s.billing.createAccount(ctx, permit, c); err != nil {
		s.remove(ctx, c)
		if ctx.Err() != nil {
			return kit.Reply{}, ctx.Err()
		}
		return kit.Reply{}, kit.Downstream("the account could not be opened, the registration was undone", err)
	}
	if err := s.activate(ctx, c); err != nil {
		s.remove(ctx, c)
		return kit.Reply{}, fmt.Errorf("activate: %w", err)
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

// free says whether an e-mail address can be registered. One that a crash left behind half registered is settled first.
func (s *Service) free(ctx context.Context, email string) error {
	c, err := s.customers.byEmail(ctx, email)
	if err == nil && c.State == pending && time.Since(c.Created) > staleAfter {
		s.settle(ctx, c)
		_, err = s.customers.byEmail(ctx, email)
	}
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

// activate makes the customer exist, even when its client has gone: billing has the account already.
func (s *Service) activate(ctx context.Context, c *customer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	return s.customers.activate(ctx, c.ID)
}

// remove undoes the insert. When the store fails too, the customer stays pending, seen by nobody, until settled.
func (s *Service) remove(ctx context.Context, c *customer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	if err := s.customers.removePending(ctx, c.ID); err != nil {
		s.log.Error("registration not undone, left pending", "customer", c.ID, "error", err.Error())
	}
}
