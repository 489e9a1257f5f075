package drive

import (
	"math"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// open follows a plan of arrivals, whatever the target does. One goroutine keeps time; each arrival's journey runs on its own,
// with a user that is free. The user who was free last goes first, so that as few connections as possible are used, and those often.
//
// An arrival that comes late, because this machine stalled, is sent at once: that is what the schedule owes. How late it was is
// recorded, and its response time counts from when it was due.
func (r *run) open() {
	idle := r.idle()
	clock := time.NewTimer(0)
	defer clock.Stop()
	a := r.arrivals()
	blocked := false // arrivals had to wait for a user, and are being made up for
	for {
		a.obey()
		if a.set.held() {
			if !r.untilChanged() {
				a.giveUp()
				return
			}
			continue
		}
		late := a.due < r.clock.Now()
		switch r.wait(clock, min(a.due, a.endAt), r.changed) {
		case canceled:
			a.giveUp()
			return
		case interrupted:
			continue
		}
		if a.due > a.endAt {
			r.graceAt = a.endAt + int64(r.grace())
			return
		}
		u := idle.take()
		if u == nil && r.load.Connections > 0 {
			if blocked = true; !r.untilFree(clock, idle, a) {
				a.giveUp()
				return
			}
			continue
		}
		if blocked = blocked && late; blocked {
			r.late++
			r.rec.Shard(0).Late()
		}
		if intended := a.due; u == nil {
			r.drop(intended)
		} else {
			u.queued = blocked
			r.wg.Go(func() {
				r.account(r.journey(u, intended))
				idle.put(u)
			})
		}
		a.advance()
	}
}

// arrivals are those of an open load, as its throttle has moved them.
type arrivals struct {
	*run
	cursor *schedule.Cursor
	set    *setting
	start  int64 // of the load's clock: when it would have begun had it never been held
	due    int64 // the next one; math.MaxInt64: none
	endAt  int64
}

func (r *run) arrivals() *arrivals {
	// What has been changed since the load began is seen as a change.
	a := &arrivals{run: r, cursor: r.load.Plan.Cursor(), set: &setting{plan: r.load.Plan, heldAt: running}, start: r.began}
	a.endAt = a.start + int64(r.load.length())
	a.advance()
	return a
}

func (a *arrivals) advance() { a.next(a.cursor.Next()) }

func (a *arrivals) next(offset time.Duration, ok bool) {
	if !ok || offset > a.load.length() {
		a.due = math.MaxInt64
		return
	}
	a.due = a.start + int64(offset)
}

// obey takes in what the throttle has changed. After the end nothing changes any more.
func (a *arrivals) obey() {
	s := a.throttle.current.Load()
	if s == a.set || !a.set.held() && a.clock.Now() >= a.endAt {
		return
	}
	was := a.set
	a.set = s
	by := s.paused - was.paused
	a.start += by
	if a.due != math.MaxInt64 {
		a.due += by
	}
	a.endAt = a.start + int64(a.load.length())
	if s.plan != was.plan {
		a.next(a.cursor.Change(s.plan))
	}
}

// untilChanged waits for the throttle; false when the run was cancelled before.
func (r *run) untilChanged() bool {
	select {
	case <-r.changed:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// untilFree waits for a user to come back, or for another reason to look again; false when the run was cancelled, or the grace is
// over, before.
func (r *run) untilFree(clock *time.Timer, idle *idleUsers, a *arrivals) bool {
	r.graceAt = a.endAt + int64(r.grace())
	clock.Reset(time.Duration(r.graceAt - r.clock.Now()))
	select {
	case <-idle.freed:
		return true
	case <-r.changed:
		return true
	case <-clock.C:
	case <-r.ctx.Done():
	}
	return false
}

// giveUp counts the arrivals that waited for a user in vain.
func (a *arrivals) giveUp() {
	if a.load.Connections == 0 {
		return
	}
	last := min(a.clock.Now(), a.endAt)
	if a.set.held() {
		last = min(last, a.set.heldAt)
	}
	for ; a.due <= last; a.advance() {
		a.drop(a.due)
	}
}

// length of an open load.
func (l *Load) length() time.Duration {
	if l.For > 0 {
		return l.For
	}
	return l.Plan.Length()
}

// until waits for an instant, in ns since the run began; false when the run was cancelled before.
func (r *run) until(clock *time.Timer, instant int64) bool {
	return r.wait(clock, instant, nil) == reached
}

// How a wait ends.
type waited uint8

const (
	reached waited = iota
	interrupted
	canceled
)

// wait is until that news ends as well. The last part of the wait is a nap: half a millisecond of the timer's own error would be
// most of a fast target's response time.
func (r *run) wait(clock *time.Timer, instant int64, news <-chan struct{}) waited {
	for r.ctx.Err() == nil {
		wait := time.Duration(instant - r.clock.Now())
		if wait <= 0 {
			return reached
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
		case <-news:
			return interrupted
		case <-r.ctx.Done():
		}
	}
	return canceled
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
	freed chan struct{} // has something when one came back

	mu   sync.Mutex
	free []*user
}

// idle begins with every user that earlier loads left.
func (r *run) idle() *idleUsers {
	i := &idleUsers{run: r, limit: choose(r.load.Connections, r.load.InFlightCap), freed: make(chan struct{}, 1)}
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
	tell(i.freed)
}
