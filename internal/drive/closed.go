package drive

import (
	"sync/atomic"
	"time"
)

// closed runs a fixed number of users, each of whom starts its next journey when the last one has ended.
func (r *run) closed() {
	if r.load.varies() {
		r.crowd()
		return
	}
	r.reserve(r.load.Users)
	var claimed atomic.Uint64
	for _, u := range r.users[:r.load.Users] {
		r.wg.Go(func() { r.loop(u, &claimed, nil) })
	}
	if r.load.For == 0 {
		r.wg.Wait() // until Total
		return
	}
	all := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(all)
	}()
	t := time.NewTimer(r.load.For)
	defer t.Stop()
	select {
	case <-t.C:
	case <-all: // Total was reached, or the run was cancelled
	}
}

// loop is one user's life. A journey is claimed before it starts, so that exactly Total are made, however many fail.
//
// When the target fails at once (nobody listens, no descriptors left) the user pauses before its next journey. Without that, a dead
// target would be sent a million connection attempts a minute, whose number says nothing but how fast this machine is, and the
// attempts would hold the target down when it tries to start again. The pause lies between journeys and is in no latency.
//
// With a crew (nil: none) the user waits for its turn before each journey.
func (r *run) loop(u *user, claimed *atomic.Uint64, c *crew) {
	// A cancelled run ends its requests in no fixed order with ending: both are looked at.
	for r.ending.Err() == nil && r.ctx.Err() == nil {
		if c != nil && !c.turn(r, u) {
			return
		}
		if r.load.Total > 0 && claimed.Add(1) > r.load.Total {
			c.spend()
			return
		}
		out := r.journey(u, -1)
		r.account(out)
		sleep(r.ending, u.restAfter(out))
	}
}
