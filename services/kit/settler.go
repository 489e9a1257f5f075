package kit

import (
	"context"
	"log/slog"
	"time"
)

// settleDefault is the age at which something half done counts as left behind, where the knob settle_after is not set.
const settleDefault = time.Minute

// Settler finishes in the background what a fault left half done. It looks every second, or four times within
// settle_after when that is shorter, and more and more seldom while what it needs does not answer.
//
// It runs on no event loop and beside the semaphore and the breaker: users are not to wait for it, nor it for them.
type Settler struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// SettleAfter is the knob, or its default for the zero value.
func (k Knobs) SettleAfter() time.Duration {
	if k.Settle <= 0 {
		return settleDefault
	}
	return k.Settle
}

// NewSettler calls look at intervals made for the given settle_after until Close; after an error the next look is twice
// as far away, up to settle_after and at most 30 s. look bounds its own calls.
func NewSettler(after time.Duration, log *slog.Logger, look func(context.Context) error) *Settler {
	ctx, stop := context.WithCancel(context.Background())
	s := &Settler{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		every := min(time.Second, after/4)
		limit := max(every, min(after, 30*time.Second))
		timer := time.NewTimer(every)
		defer timer.Stop()
		for wait := every; ; timer.Reset(wait) {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			err := look(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				wait = every
			default:
				if wait == every { // the first of a row says it; the metrics count the rest
					log.Warn("left unsettled for now", "error", err.Error())
				}
				wait = min(2*wait, limit)
			}
		}
	}()
	return s
}

// Close ends the settler and waits until the look under way has returned.
func (s *Settler) Close() {
	s.stop()
	<-s.ended
}

// SettlerPatience bounds one call of a settler, all its waits together.
const SettlerPatience = 20 * time.Second

// NewSettlerClient makes the client a settler calls a downstream with. It is in good health whatever the knobs do to the
// service's own, for else it would hang on the very fault it has to settle: one connection, closed soon after use, a time
// for each wait, nothing left open, no breaker. Its calls are no user's, so they do not show in the service's metrics of
// its downstream.
func NewSettlerClient(downstream, base string, log *slog.Logger) (*Client, error) {
	return NewClient(downstream, base, Knobs{
		Client: Pooled, MaxConnections: 1, Keepalive: 1, KeepaliveExpiry: 2 * time.Second,
		ConnectTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, PoolTimeout: 5 * time.Second,
		ErrorPath: Closes, Abandoned: Cancelled,
	}, NewMetrics(), log)
}
