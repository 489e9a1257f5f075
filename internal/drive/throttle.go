package drive

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// Throttle changes a load while it runs, and says how it stands. The zero value is ready; it serves one Drive at a time, and
// between two of them nothing can be changed. Safe for concurrent use.
//
// A load has a clock of its own, which stands while it is held: no journey begins, what is under way goes on, and afterwards
// everything that was still to come, the load's end included, comes that much later. Nothing is owed for the time of a hold.
type Throttle struct {
	// What engines look at, in one atomic read; nil while no load runs. A setting is never changed, only replaced.
	current atomic.Pointer[setting]

	mu    sync.Mutex
	load  Load
	clock record.Clock
	began int64
	wake  func() // tells the engine that there is another setting
}

// setting is what a load's changes so far come to.
type setting struct {
	more   int            // closed: users on top of those the load asks for; below 0: fewer
	factor float64        // open: of the load's rate
	plan   *schedule.Plan // open: the load's, with the factor from when it was set
	paused int64          // ns it was held in all, a hold in progress left out
	heldAt int64          // when the hold in progress began, ns since the run began; running: there is none
}

const running = -1

func (s *setting) held() bool { return s.heldAt != running }

// elapsed is the load's own clock.
func (s *setting) elapsed(now, began int64) time.Duration {
	if s.held() {
		now = s.heldAt
	}
	return time.Duration(max(now-began-s.paused, 0))
}

// Standing is a load at this moment.
type Standing struct {
	Users         int     // closed: users that may be on a journey
	RatePerSecond float64 // open: arrivals per second
	Held          bool
	Elapsed       time.Duration // of the load, the time it was held left out
}

// Bounds of what a load may be changed to.
const (
	usersMost   = 100_000
	factorLeast = 0.01
	factorMost  = 100
)

// Standing says how the load stands; false while none runs.
func (t *Throttle) Standing() (Standing, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.current.Load()
	if s == nil {
		return Standing{}, false
	}
	e := s.elapsed(t.clock.Now(), t.began)
	now := Standing{Held: s.held(), Elapsed: e}
	if t.load.Users > 0 {
		now.Users = t.load.usersAt(s, e)
	} else {
		now.RatePerSecond = s.plan.Rate(e)
	}
	return now, true
}

// AddUsers gives a closed load so many more users, or fewer (not below one), and says how many there were and are. Users beyond
// the new number finish their journey, then rest; when they are wanted again they go on with what setup gave them. ok is false
// when no closed load runs.
func (t *Throttle) AddUsers(by int) (before, after int, ok bool) {
	ok = t.change(func(s *setting, e time.Duration) bool {
		if t.load.Users == 0 {
			return false
		}
		before = t.load.usersAt(s, e)
		after = min(max(before+by, min(before, 1)), max(before, usersMost))
		s.more = after - t.load.planned(e)
		return true
	})
	return before, after, ok
}

// AddRate moves an open load's rate by a part of what its plan says (0.01 is one percent), from now on, and says what it was and
// is, in arrivals per second. It stays between a hundredth and a hundred times the plan's. ok is false when no open load runs.
func (t *Throttle) AddRate(part float64) (before, after float64, ok bool) {
	ok = t.change(func(s *setting, e time.Duration) bool {
		if t.load.Users > 0 {
			return false
		}
		before = s.plan.Rate(e)
		factor := min(max(math.Round(1e6*(s.factor+part))/1e6, factorLeast), factorMost)
		if factor != s.factor {
			s.plan, s.factor = s.plan.Scaled(e, factor/s.factor), factor
		}
		after = s.plan.Rate(e)
		return true
	})
	return before, after, ok
}

// Hold holds the load, or lets it go on. ok is false when no load runs or it is so already.
func (t *Throttle) Hold(on bool) (ok bool) {
	return t.change(func(s *setting, _ time.Duration) bool {
		now := t.clock.Now()
		switch {
		case s.held() == on:
			return false
		case on:
			s.heldAt = now
		default:
			s.paused, s.heldAt = s.paused+now-s.heldAt, running
		}
		return true
	})
}

// change replaces the setting, unless how says that it cannot.
func (t *Throttle) change(how func(s *setting, elapsed time.Duration) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.current.Load()
	if s == nil {
		return false
	}
	next := *s
	if !how(&next, s.elapsed(t.clock.Now(), t.began)) {
		return false
	}
	t.current.Store(&next)
	t.wake()
	return true
}

// bind puts a load that begins now under the throttle; wake is called after each change, until release.
func (t *Throttle) bind(load Load, clock record.Clock, began int64, wake func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Load() != nil {
		return errors.New("drive: the throttle has a load already")
	}
	t.load, t.clock, t.began, t.wake = load, clock, began, wake
	t.current.Store(&setting{factor: 1, plan: load.Plan, heldAt: running})
	return nil
}

func (t *Throttle) release() {
	t.mu.Lock()
	t.current.Store(nil)
	t.mu.Unlock()
}

// planned is how many users a closed load asks for by itself.
func (l *Load) planned(elapsed time.Duration) int {
	if l.Ramp != nil {
		return l.Ramp.At(elapsed)
	}
	return l.Users
}

func (l *Load) usersAt(s *setting, elapsed time.Duration) int {
	return max(l.planned(elapsed)+s.more, 0)
}

// varies says that the load may be another one later.
func (l *Load) varies() bool { return l.Control != nil || l.Ramp != nil }

// settled is the load with what follows from its ramp.
func (l Load) settled() Load {
	if l.Ramp != nil {
		l.Users = l.Ramp.Peak()
		if l.For == 0 {
			l.For = l.Ramp.Length()
		}
	}
	return l
}

// throttle is the load's own, or one that nobody turns.
func (l *Load) throttle() *Throttle {
	if l.Control != nil {
		return l.Control
	}
	return &Throttle{}
}
