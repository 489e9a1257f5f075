package killbill

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// slots is the capacity model's queue: servers calls in service, a bounded first-in-first-out line of those that wait,
// and a refusal for everyone else. A slot that becomes free is handed to the head of the line directly, so a newcomer
// can never overtake it.
type slots struct {
	servers, limit int

	mu     sync.Mutex
	busy   int
	line   *list.List // of chan struct{}; closed when the waiter got its slot
	waited time.Duration
	served uint64
}

// errFull says that the line is as long as it may get.
type errFull struct{ servers, limit int }

func (e errFull) Error() string {
	return fmt.Sprintf("over capacity: %d calls in service and %d waiting", e.servers, e.limit)
}

func newSlots(servers, limit int) *slots {
	return &slots{servers: servers, limit: limit, line: list.New()}
}

// acquire takes a slot, waiting in line when all are busy. It fails at once with errFull when the line is full, and with
// the context's error when the caller's client leaves the line. Every successful acquire needs one release.
func (s *slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.busy < s.servers {
		s.busy++
		s.served++
		s.mu.Unlock()
		return nil
	}
	if s.line.Len() >= s.limit {
		s.mu.Unlock()
		return errFull{s.servers, s.limit}
	}
	turn := make(chan struct{})
	place := s.line.PushBack(turn)
	s.mu.Unlock()

	start := time.Now()
	select {
	case <-turn:
		s.mu.Lock()
		s.waited += time.Since(start)
		s.served++
		s.mu.Unlock()
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	select {
	case <-turn: // the slot arrived in the same instant: pass it on
		s.mu.Unlock()
		s.release()
	default:
		s.line.Remove(place)
		s.mu.Unlock()
	}
	return ctx.Err()
}

// release gives the slot to the head of the line, or back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if head := s.line.Front(); head != nil {
		close(s.line.Remove(head).(chan struct{}))
		return
	}
	s.busy--
}

// load returns the calls in service and those waiting.
func (s *slots) load() (busy, queued int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy, s.line.Len()
}

// waits returns the total time spent waiting in line by the calls that were then served, and how many were served.
func (s *slots) waits() (total time.Duration, served uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waited, s.served
}
