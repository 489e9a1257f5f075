package userservice

import (
	"context"
	"time"
)

const (
	// staleAfter is when a pending registration counts as left behind rather than under way. It is longer than a
	// registration can take with every timeout of the pooled client used up.
	staleAfter  = 2 * time.Minute
	settleBatch = 1000
)

// settle decides a registration that was left pending: billing has the account or it has not, and the customer follows.
func (s *Service) settle(ctx context.Context, c *customer) {
	has, err := s.billing.hasAccount(ctx, c.ID)
	switch {
	case err != nil: // not decided: it stays pending
	case has:
		err = s.activate(ctx, c)
	default:
		s.remove(ctx, c)
	}
	if err != nil {
		s.log.Warn("pending registration not settled", "customer", c.ID, "error", err.Error())
		return
	}
	s.log.Info("pending registration settled", "customer", c.ID, "active", has)
}

// settleAll settles what an earlier process left pending. It never holds up the start for longer than patience: what
// remains is settled when its e-mail address is registered again.
func (s *Service) settleAll(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	left, err := s.customers.allPending(ctx, settleBatch)
	if err != nil {
		s.log.Warn("pending registrations not read", "error", err.Error())
		return
	}
	if len(left) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, c := range left {
			if ctx.Err() != nil {
				return
			}
			s.settle(ctx, c)
		}
	}()
	select { // a client without timeouts does not return when ctx ends
	case <-done:
	case <-ctx.Done():
	}
}
