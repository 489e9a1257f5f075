package drive

import (
	"sync"
	"time"

	"github.com/captest/captest/internal/schedule"
)

// pacer is a schedule.Plan for vegeta's dispatcher. The plan has a pacer's shape itself; what vegeta does not do, and this one
// does, is to wait to the microsecond and no longer than the run lasts, to remember when each arrival was due, and to count an
// arrival as dropped when as many are under way as there may be workers. vegeta would hold it back until one is free: the
// load would be closed where it should be open.
type pacer struct {
	*run
	limit  int
	timer  *time.Timer
	cursor *schedule.Cursor // nil before the first arrival
	began  int64            // ns since the run began
	over   chan struct{}    // closed when no arrival is left

	mu    sync.Mutex
	busy  int              // arrivals let through and not yet done
	seq   uint64           // of the next arrival
	dueAt map[uint64]int64 // by sequence number, until asked for
}

func newPacer(r *run, limit int) *pacer {
	return &pacer{run: r, limit: limit, over: make(chan struct{}), dueAt: map[uint64]int64{}}
}

// Pace implements vegeta.Pacer. It does the waiting itself: vegeta's own sleep would outlast a cancelled run.
func (p *pacer) Pace(elapsed time.Duration, _ uint64) (wait time.Duration, stop bool) {
	if p.cursor == nil {
		p.cursor, p.timer = p.load.Plan.Cursor(), time.NewTimer(0)
		p.began = p.clock.Now() - int64(elapsed)
	}
	for {
		offset, ok := p.cursor.Next()
		if !ok || offset > p.load.length() {
			p.until(p.timer, p.began+int64(p.load.length()))
			break
		}
		intended := p.began + int64(offset)
		if !p.until(p.timer, intended) {
			break
		}
		if p.let(intended) {
			return 0, false
		}
		p.drop(intended)
	}
	p.timer.Stop()
	close(p.over) // vegeta does not ask again
	return 0, true
}

// Rate implements vegeta.Pacer.
func (p *pacer) Rate(elapsed time.Duration) float64 { return p.load.Plan.Rate(elapsed) }

// let gives an arrival the next sequence number, if a worker can be free for it.
func (p *pacer) let(intended int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == p.limit {
		return false
	}
	p.dueAt[p.seq] = intended
	p.seq++
	p.busy++
	return true
}

// due gives an arrival's intended start, once.
func (p *pacer) due(seq uint64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.dueAt[seq]
	delete(p.dueAt, seq)
	return at
}

// done says that an arrival let through has ended.
func (p *pacer) done() {
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
}
