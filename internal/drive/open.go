package drive

import (
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// open follows a plan of arrivals, whatever the target does. One goroutine keeps time; each arrival's journey runs on its own,
// with a user that is free. The user who was free last goes first, so that as few connections as possible are used, and those often.
//
// An arrival that comes late, because this machine stalled, is sent at once: that is what the schedule owes. How late it was is
// recorded, and its response time counts from when it was due.
func (r *run) open() {
	idle, length := r.idle(), r.load.length()
	began := r.clock.Now()
	clock := time.NewTimer(0)
	defer clock.Stop()
	cursor := r.load.Plan.Cursor()
	for {
		offset, ok := cursor.Next()
		if !ok || offset > length {
			break
		}
		intended := began + int64(offset)
		if !r.until(clock, intended) {
			return
		}
		u := idle.take()
		if u == nil {
			r.drop(intended)
			continue
		}
		r.wg.Go(func() {
			r.account(r.journey(u, intended))
			idle.put(u)
		})
	}
	r.until(clock, began+int64(length))
}

// length of an open load.
func (l *Load) length() time.Duration {
	if l.For > 0 {
		return l.For
	}
	return l.Plan.Length()
}

// until waits for an instant, in ns since the run began; false when the run was cancelled before. The last part of the wait is
// a nap: half a millisecond of the timer's own error would be most of a fast target's response time.
func (r *run) until(clock *time.Timer, instant int64) bool {
	for r.ctx.Err() == nil {
		wait := time.Duration(instant - r.clock.Now())
		if wait <= 0 {
			return true
		}
		if r.fine && wait <= grain {
			nap(wait)
			continue
		}
		if r.fine {
			wait -= grain
		}
		clock.Reset(wait)
		select {
		case <-clock.C:
		case <-r.ctx.Done():
		}
	}
	return false
}

// drop counts an arrival that found every user busy. Delaying it instead would turn the open load into a closed one and hide the
// very overload it shows.
func (r *run) drop(intended int64) {
	r.dropped++
	r.rec.Shard(0).Add(record.Sample{
		Intended: intended, Step: r.script.steps[0].index, Error: record.ErrorDropped, Flags: record.Dropped,
	})
}

// idleUsers are those not on a journey, the latest to come back on top.
type idleUsers struct {
	run   *run
	limit int

	mu   sync.Mutex
	free []*user
}

// idle begins with every user that earlier loads left.
func (r *run) idle() *idleUsers {
	i := &idleUsers{run: r, limit: r.load.InFlightCap}
	if i.limit == 0 {
		i.limit = DefaultInFlightCap
	}
	for n := min(len(r.users), i.limit) - 1; n >= 0; n-- {
		i.free = append(i.free, r.users[n])
	}
	return i
}

// take gives a free user, a new one while there are fewer than the limit, else nil.
func (i *idleUsers) take() *user {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.free); n > 0 {
		u := i.free[n-1]
		i.free = i.free[:n-1]
		return u
	}
	if n := len(i.run.users); n < i.limit {
		i.run.reserve(n + 1)
		return i.run.users[n]
	}
	return nil
}

func (i *idleUsers) put(u *user) {
	i.mu.Lock()
	i.free = append(i.free, u)
	i.mu.Unlock()
}
