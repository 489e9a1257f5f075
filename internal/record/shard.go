package record

import (
	"sync"
	"time"
)

// Shard takes the samples of some of the workers. Its lock is held for a few dozen nanoseconds by whoever records and,
// once a frame, for the exchange of one pointer; nothing that reads, encodes or writes ever holds it.
type Shard struct {
	mu     sync.Mutex
	bin    *bin
	gauge  int64 // requests in flight that began minus those that ended here; negative when others began them
	base   int64 // start of the current frame, ns
	moment int64 // Σ(end−base) − Σ(begin−base) of this frame's events, ns

	_ [64]byte // keeps neighbours off this shard's cache line
}

// Begin says that a request started at now (Clock ns). Every sample but a dropped one needs it, on any shard.
func (s *Shard) Begin(now int64) {
	s.mu.Lock()
	s.bin.begun++
	s.gauge++
	s.moment -= s.since(now)
	s.mu.Unlock()
}

// Add counts a request that ended, into the frame that is current now. It allocates nothing once the latencies' range has
// been seen. Times that make no sense (before the run, backwards) are clamped and counted, never believed.
func (s *Shard) Add(x Sample) {
	s.mu.Lock()
	s.bin.count(&x)
	if x.Flags&Dropped == 0 {
		s.gauge--
		s.moment += s.since(max(x.Done, x.Started))
	}
	s.mu.Unlock()
}

// Lag counts how late an arrival was sent, in ns after its intended start; open loads only.
func (s *Shard) Lag(ns int64) {
	s.mu.Lock()
	us, _ := clampUs(max(ns, 0)) // early by the timer's grain is on time
	s.bin.lag.record(us)
	s.mu.Unlock()
}

// Late counts an arrival that had to wait for a user; open loads with a bound on connections.
func (s *Shard) Late() {
	s.mu.Lock()
	s.bin.late++
	s.mu.Unlock()
}

// Stretch counts what happened on a connection, into the frame that is current now.
func (s *Shard) Stretch(x Stretch) {
	s.mu.Lock()
	s.bin.conns.count(&x)
	s.mu.Unlock()
}

// since bounds an event's distance from the frame's start, so that one absurd time cannot spoil the integral.
func (s *Shard) since(t int64) int64 {
	const (
		late  = int64(10 * time.Second) // recorded after a cut it belongs before
		early = int64(10 * time.Minute) // recorded in a frame that a slow disk made long
	)
	return min(max(t-s.base, -late), early)
}

// swap takes what the shard has counted, gives it an empty bin, and returns the integral of its in-flight gauge from the
// frame's start to now:
//
//	∫ gauge dt = Σ over begins (now − t) − Σ over ends (now − t) + gauge₀·(now − base)
//	           = gauge·(now − base) + Σ(end − base) − Σ(begin − base)
//
// It does not depend on the order in which events were recorded, and an event recorded just after the cut it belongs before
// corrects the next frame: the sum over frames is exact.
func (s *Shard) swap(empty *bin, now int64) (full *bin, integral, gauge int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full, s.bin = s.bin, empty
	integral = s.gauge*(now-s.base) + s.moment
	s.base, s.moment = now, 0
	return full, integral, s.gauge
}
