package userservice

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/captest/captest/services/kit"
)

// tokenLife is how long an access token is valid.
const tokenLife = time.Hour

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type issued struct {
	AccessToken string    `json:"access_token"`
	ExpiresAt   time.Time `json:"expires_at"`
	TokenType   string    `json:"token_type"`
}

// login costs the same whether or not the e-mail address is known: a hash is always compared.
func (s *Service) login(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	var in credentials
	if err := r.Decode(&in); err != nil {
		return kit.Reply{}, err
	}
	f := kit.Fields{}
	f.Text("email", in.Email, 1, 128)
	if in.Password == "" || len(in.Password) > kit.PasswordLimit {
		f["password"] = "is missing or longer than any password can be"
	}
	if err := f.Err(); err != nil {
		return kit.Reply{}, err
	}
	c, err := s.customers.byEmail(ctx, strings.ToLower(strings.TrimSpace(in.Email)))
	if err != nil && !errors.Is(err, errNotFound) {
		return kit.Reply{}, err
	}
	known := err == nil && c.State == active
	hash := s.decoy
	if known {
		hash = c.PasswordHash
	}
	right, err := s.hasher.Verify(ctx, hash, in.Password)
	if errors.Is(err, kit.ErrHashQueueFull) {
		s.app.Shed("hash_queue")
		return kit.Reply{}, kit.Unavailable("too many logins at once", err)
	}
	if err != nil {
		return kit.Reply{}, err
	}
	if !known || !right {
		return kit.Reply{}, &kit.Problem{Status: http.StatusUnauthorized, Message: "e-mail address or password is wrong"}
	}
	token, expires := randomText(), time.Now().Add(tokenLife).UTC().Truncate(time.Millisecond)
	if err := s.tokens.insert(ctx, token, c.ID, expires); err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusOK, Body: struct {
		Success  bool   `json:"success"`
		Customer shown  `json:"customer"`
		Tokens   issued `json:"tokens"`
	}{true, c.shown(), issued{token, expires, "Bearer"}}}, nil
}

// profile shows the customer that the bearer token belongs to.
func (s *Service) profile(ctx context.Context, r *kit.Request) (kit.Reply, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return kit.Reply{}, &kit.Problem{Status: http.StatusUnauthorized, Message: "a bearer token is needed"}
	}
	c, err := s.customers.byToken(ctx, tokenHash(strings.TrimSpace(token)), time.Now())
	if errors.Is(err, errNotFound) {
		return kit.Reply{}, &kit.Problem{Status: http.StatusUnauthorized, Message: "the token is unknown or has expired"}
	}
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.Reply{Status: http.StatusOK, Body: struct {
		Success   bool      `json:"success"`
		Customer  shown     `json:"customer"`
		CreatedAt time.Time `json:"created_at"`
	}{true, c.shown(), c.Created.UTC()}}, nil
}
