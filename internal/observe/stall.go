package observe

import (
	"context"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// stallTick is how often captest looks whether it runs at all; stallKept the shortest gap beyond it that is kept. A shared
// machine's scheduler takes tens of ms at a time.
const (
	stallTick = 50 * time.Millisecond
	stallKept = 4 * stallTick
)

// mostStalls bounds the memory of stalls; the oldest are forgotten first.
const mostStalls = 256

// stalls are the times in which captest stood still: stopped by a signal or a debugger, a paused container or virtual machine,
// swapped out, or without a core. The monotonic clock goes on meanwhile, so a tick that comes late says for how long. It does not go
// on while the whole machine is suspended; then nothing of a trial goes on either.
type stalls struct {
	clock record.Clock

	mu   sync.Mutex
	last int64 // Clock ns of the last tick; 0 while nobody ticks
	seen []stall
}

type stall struct{ from, to int64 } // Clock ns

// watch ticks until ctx is done.
func (s *stalls) watch(ctx context.Context) {
	every(ctx, stallTick, func() { s.tick(s.clock.Now()) })
	s.mu.Lock()
	s.last = 0
	s.mu.Unlock()
}

func (s *stalls) tick(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.gap(now); g.to-g.from >= int64(stallKept) {
		if len(s.seen) == mostStalls {
			s.seen = append(s.seen[:0], s.seen[1:]...)
		}
		s.seen = append(s.seen, g)
	}
	s.last = max(now, 1)
}

// gap is how far now is beyond the tick that was due.
func (s *stalls) gap(now int64) stall {
	if s.last == 0 {
		return stall{}
	}
	return stall{s.last + int64(stallTick), now}
}

// longest stall's part after since, one that has not ended for the ticker among them: who asks may have woken before it.
func (s *stalls) longest(since int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := int64(0)
	for _, g := range append(s.seen, s.gap(s.clock.Now())) {
		if g.to-g.from >= int64(stallKept) {
			most = max(most, g.to-max(g.from, since))
		}
	}
	return time.Duration(most)
}
