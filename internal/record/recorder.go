// Package record KEEPS: samples become one frame a second, frames go to the run folder, and everything to the right of it
// (diagnose, gate, report) is a function of that folder.
//
// It stands between drive and observe, which feed it, and all that explains, judges and shows. It never sends a request,
// decides a load or explains a number.
package record

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// RecorderConfig of a Recorder.
type RecorderConfig struct {
	Clock  Clock    // the run's; zero: one that starts now
	Folder *Folder  // nil: frames are kept for the screen only
	Steps  []string // names in journey order; Sample.Step is an index into it
	Shards int      // 0: four for each of GOMAXPROCS
}

// Mark says under which trial, phase and load samples fall from now on.
type Mark struct {
	Trial  int // index into the run's trials, -1 between them
	Phase  string
	Warmup bool
	Load   Load
}

// Recorder turns samples into frames, trial sums and snapshots. Its memory does not grow with the number of requests or
// with the length of the run.
type Recorder struct {
	clock  Clock
	folder *Folder
	steps  []string
	shards []*Shard

	open, peak, runPeak atomic.Int64
	opened, closed      atomic.Uint64

	mu       sync.Mutex // everything below; workers never take it
	mark     Mark
	frameAt  int64 // start of the frame being filled, ns
	frame    *bin
	integral int64  // of the in-flight gauge over the frame so far
	gauge    int64  // in flight at the last drain
	spare    []*bin // one for each shard
	encoder  encoder
	queue    []Frame // cut, not yet written
	done     bool    // Run is over: cuts write for themselves
	seen     struct{ opened, closed uint64 }
	trial    *sums // the current trial, warm-up left out
	warmup   *sums // its warm-up, for the screen
	second   tickSum
	totals   totals
	history  []Tick

	hooks    []func(*Snapshot)
	wake     chan struct{}
	writing  sync.Mutex // one writer of frames at a time, so that they stay in order
	snapshot atomic.Pointer[Snapshot]
}

// frameLength is how often Run cuts a frame.
const frameLength = time.Second

// NewRecorder makes one; Run starts it.
func NewRecorder(c RecorderConfig) *Recorder {
	if c.Clock.start.IsZero() {
		c.Clock = NewClock()
	}
	if c.Shards <= 0 {
		c.Shards = 4 * runtime.GOMAXPROCS(0)
	}
	n := len(c.Steps)
	r := &Recorder{
		clock: c.Clock, folder: c.Folder, steps: append([]string(nil), c.Steps...),
		mark: Mark{Trial: -1}, frame: newBin(n), trial: newSums(n), warmup: newSums(n), second: newTickSum(),
		wake: make(chan struct{}, 1),
	}
	now := c.Clock.Now()
	r.frameAt = now
	for range c.Shards {
		r.shards = append(r.shards, &Shard{bin: newBin(n), base: now})
		r.spare = append(r.spare, newBin(n))
	}
	r.snapshot.Store(&Snapshot{Trial: -1})
	return r
}

// Shard number i modulo the number of shards; workers spread over them.
func (r *Recorder) Shard(i int) *Shard {
	return r.shards[uint(i)%uint(len(r.shards))]
}

// Opened says that a connection of the client was opened. Safe for any goroutine.
func (r *Recorder) Opened() {
	r.opened.Add(1)
	now := r.open.Add(1)
	for {
		peak := r.peak.Load()
		if now <= peak || r.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// Closed says that a connection of the client was closed. Safe for any goroutine.
func (r *Recorder) Closed() {
	r.closed.Add(1)
	r.open.Add(-1)
}

// Decorate registers f to fill in a snapshot before it is published, on the goroutine of Run. Call it before Run.
func (r *Recorder) Decorate(f func(*Snapshot)) {
	r.mu.Lock()
	r.hooks = append(r.hooks, f)
	r.mu.Unlock()
}

// Snapshot is the latest one, never nil. It must not be changed.
func (r *Recorder) Snapshot() *Snapshot { return r.snapshot.Load() }

// Run cuts a frame every second, publishes a snapshot and writes to the folder, until ctx is done; then it does so once
// more. A slow disk delays only this goroutine: frames become longer, workers notice nothing.
func (r *Recorder) Run(ctx context.Context) {
	ticker := time.NewTicker(frameLength)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.tick(false)
		case <-r.wake:
			r.publish(false)
		case <-ctx.Done():
			r.tick(true)
			return
		}
		r.write()
	}
}

// tick ends a second, and at last the run.
func (r *Recorder) tick(last bool) {
	r.mu.Lock()
	r.cut(r.clock.Now())
	r.endSecond()
	r.mu.Unlock()
	r.publish(last)
	if last {
		r.write()
		r.mu.Lock()
		r.done = true
		r.mu.Unlock()
		r.write() // what a cut queued in between
	}
}

// Enter puts everything from now on under a new mark. When it returns the previous frame is cut: what was recorded before
// the call counts under the old mark, what is recorded after it under the new one.
func (r *Recorder) Enter(m Mark) {
	r.mu.Lock()
	r.cut(r.clock.Now())
	if m.Trial != r.mark.Trial {
		r.trial.reset()
		r.warmup.reset()
	}
	r.mark = m
	done := r.done
	r.mu.Unlock()
	if done {
		r.write()
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Cut returns the sums of the current trial up to now: every sample since the Enter that changed Mark.Trial, warm-up left
// out. It does not end the frame, so it may be called as often as a decision needs.
func (r *Recorder) Cut() TrialSums {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	r.drain(now)
	s := r.trial
	if !r.mark.Warmup {
		s = newSums(len(r.steps))
		s.merge(r.trial)
		s.add(r.frame, now-r.frameAt, r.integral)
	}
	out := s.trialSums(r.steps)
	out.InFlight = r.gauge
	return out
}

// drain moves what the shards have counted into the current frame. First all shards are swapped, which is what workers
// could notice; then the full bins are added up.
func (r *Recorder) drain(now int64) {
	r.gauge = 0
	for i, s := range r.shards {
		full, integral, gauge := s.swap(r.spare[i], now)
		r.spare[i] = full
		r.integral += integral
		r.gauge += gauge
	}
	for _, b := range r.spare {
		r.frame.merge(b)
		b.reset()
	}
}

// cut ends the current frame at now and starts the next. A frame of no length that holds nothing leaves no trace.
func (r *Recorder) cut(now int64) {
	r.drain(now)
	length := now - r.frameAt
	if length <= 0 && r.frame.empty() {
		return
	}
	f := r.buildFrame(now)
	if r.folder != nil {
		r.queue = append(r.queue, f)
	}
	into := r.trial
	if r.mark.Warmup {
		into = r.warmup
	}
	into.add(r.frame, length, r.integral)
	r.second.add(r.frame, length, r.integral)
	r.totals.add(r.frame)
	r.frame.reset()
	r.frameAt, r.integral = now, 0
}

// write appends the frames that were cut to the run folder.
func (r *Recorder) write() {
	if r.folder == nil {
		return
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	frames := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, f := range frames {
		r.folder.Frame(f)
	}
}
