package drive

import (
	"sync"
	"sync/atomic"
	"time"
)

// crew are the users of a closed load whose number may change: those who may start a journey, and those who wait.
type crew struct {
	mu    sync.Mutex
	users int // those with a lower number may start journeys
	held  bool
	news  chan struct{} // closed when that has changed
	spent chan struct{} // closed when no journey is left to claim
	once  sync.Once
}

// set changes who may go.
func (c *crew) set(users int, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if users == c.users && held == c.held {
		return
	}
	c.users, c.held = users, held
	close(c.news)
	c.news = make(chan struct{})
}

// spend ends every wait: the load's Total has been claimed.
func (c *crew) spend() {
	if c != nil {
		c.once.Do(func() { close(c.spent) })
	}
}

// turn waits until the user may start a journey; false when it never may again. One that the load does not want any more hangs up,
// one that is held back does not.
func (c *crew) turn(r *run, u *user) bool {
	for {
		c.mu.Lock()
		wanted, held, news := u.number < c.users, c.held, c.news
		c.mu.Unlock()
		if wanted && !held {
			return true
		}
		if !wanted {
			u.transport.CloseIdleConnections()
		}
		select {
		case <-news:
		case <-c.spent:
			return false
		case <-r.ending.Done():
			return false
		}
	}
}

// crowd runs a closed load that changes while it runs: by its ramp, or because its throttle is turned.
func (r *run) crowd() {
	c := &crew{news: make(chan struct{}), spent: make(chan struct{})}
	var claimed atomic.Uint64
	clock := time.NewTimer(0)
	defer clock.Stop()
	for begun := 0; ; {
		s := r.throttle.current.Load()
		elapsed := s.elapsed(r.clock.Now(), r.began)
		if r.load.For > 0 && elapsed >= r.load.For {
			return
		}
		users := r.load.usersAt(s, elapsed)
		c.set(users, s.held())
		r.reserve(users)
		for ; begun < users; begun++ {
			u := r.users[begun]
			r.wg.Go(func() { r.loop(u, &claimed, c) })
		}
		clock.Stop()
		if next, ok := r.load.changes(elapsed); ok && !s.held() {
			clock.Reset(next - elapsed)
		}
		select {
		case <-clock.C:
		case <-r.changed:
		case <-c.spent:
			r.wg.Wait()
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// changes gives the next instant, by the load's own clock, at which a closed load ends or asks for another number of users.
func (l *Load) changes(elapsed time.Duration) (at time.Duration, ok bool) {
	if l.Ramp != nil {
		at, ok = l.Ramp.Next(elapsed)
	}
	if l.For > 0 && (!ok || l.For < at) {
		at, ok = l.For, true
	}
	return at, ok
}
