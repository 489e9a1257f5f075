package drive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// HTTP is the engine on net/http: unless Config.HTTP says otherwise it speaks HTTP/1.1 to http targets and HTTP/2 to https
// targets that offer it.
//
// A request costs it about 30 µs of CPU (BenchmarkRequest: one registration over a kept loopback connection, answer checked), so
// that one core could send some thirty thousand a second if it did nothing else.
//
// net/http repeats a request by itself in one case: a kept connection turns out to have been closed, and nothing of the request
// was sent or its method is safe to repeat (GET, HEAD, OPTIONS, TRACE). The sample is then that of the second try, with the time
// of both.
type HTTP struct {
	*sender

	busy  sync.Mutex // held by Drive
	fine  bool       // naps may be taken; not in the tests' virtual time, which they would stop
	users []*user    // by number; they outlive a load, with what their setup gave them
}

// NewHTTP makes the engine, after checking that the scenario fits the target and finds the environment it needs.
func NewHTTP(c Config) (*HTTP, error) {
	s, err := newSender(&c)
	if err != nil {
		return nil, err
	}
	s.examples = newExamples()
	s.env = s.examples.watch(s.env)
	return &HTTP{sender: s, fine: c.dial == nil}, nil
}

// newSender checks the parts of a Config that engine and probes need.
func newSender(c *Config) (*sender, error) {
	switch {
	case c.Scenario == nil:
		return nil, errors.New("drive: no scenario")
	case c.Target == nil:
		return nil, errors.New("drive: no target")
	case c.Identity == nil:
		return nil, errors.New("drive: no identity to make the journeys' data from")
	}
	if c.Env == nil {
		c.Env = func(string) string { return "" }
	}
	if c.Guard == nil {
		c.Guard = &targets.Guard{} // loopback only
	}
	if err := CheckVersion(c.HTTP, c.Target); err != nil {
		return nil, err
	}
	if err := c.Scenario.Check(c.Env); err != nil {
		return nil, err
	}
	s, err := compile(c)
	if err != nil {
		return nil, err
	}
	return &sender{script: s, connector: newConnector(c, s.longest), identity: c.Identity, env: c.Env, clock: c.Clock}, nil
}

// Examples gives the first few distinct failures of all loads so far, most frequent first; at most 16.
func (e *HTTP) Examples() []Example { return e.examples.all() }

// Close ends every dial and connection and forgets the users. The engine cannot be used any more.
func (e *HTTP) Close() {
	e.connector.close()
	e.busy.Lock()
	defer e.busy.Unlock()
	for _, u := range e.users {
		u.rest()
	}
	e.users = nil
}

// run is one Drive.
type run struct {
	*HTTP
	load     Load
	rec      *record.Recorder
	began    int64 // ns since the run began
	throttle *Throttle
	changed  chan struct{} // has something when the throttle was turned
	// ctx is what requests live in; done when the run is cancelled, the grace is over or a fatal error came.
	ctx    context.Context //nolint:containedctx // the run's lifetime is what the struct is about
	cancel context.CancelFunc
	// ending is done when no new journey may start.
	ending context.Context //nolint:containedctx // as above
	end    context.CancelFunc

	wg                         sync.WaitGroup
	journeys, failed, canceled atomic.Uint64
	dropped, late              uint64 // by the pacing goroutine only
	graceAt                    int64  // when the grace is over, where it began before the last arrival was sent; 0: it has not

	mu    sync.Mutex
	fatal error
}

// Drive implements Engine.
func (e *HTTP) Drive(ctx context.Context, load Load, rec *record.Recorder) (Tally, error) {
	return e.drive(ctx, load, rec, func(r *run) {
		if r.load.Users > 0 {
			r.closed()
		} else {
			r.open()
		}
	})
}

// drive is a Drive whose journeys send starts. It returns when no more are to start; what they do goes on in r.wg.
func (e *HTTP) drive(ctx context.Context, load Load, rec *record.Recorder, send func(*run)) (Tally, error) {
	if err := load.check(); err != nil {
		return Tally{}, err
	}
	if !e.busy.TryLock() {
		return Tally{}, errors.New("drive: a load is running already")
	}
	defer e.busy.Unlock()
	if e.connector.life.Err() != nil {
		return Tally{}, errors.New("drive: the engine is closed")
	}
	e.clock = rec.Clock()
	e.connector.count.Store(rec)
	e.connector.resting.Store(false)
	r := &run{HTTP: e, load: load.settled(), rec: rec, throttle: load.throttle(), changed: make(chan struct{}, 1), began: rec.Clock().Now()}
	if err := r.throttle.bind(r.load, r.clock, r.began, func() { tell(r.changed) }); err != nil {
		return Tally{}, err
	}
	defer r.throttle.release()
	r.ctx, r.cancel = context.WithCancel(ctx)
	defer r.cancel()
	r.ending, r.end = context.WithCancel(r.ctx)
	defer r.end()

	send(r)
	r.finish()

	tally := Tally{
		Journeys: r.journeys.Load(), Failed: r.failed.Load(), Dropped: r.dropped, Late: r.late, Stragglers: int(r.canceled.Load()),
	}
	e.connector.resting.Store(true)
	for _, u := range e.users {
		u.rest()
		if u.sent >= r.began {
			tally.LastSent = max(tally.LastSent, time.Duration(u.sent))
		}
	}
	return tally, r.fatal
}

// check refuses loads that say nothing or two things.
func (l *Load) check() error {
	switch {
	case l.Users < 0 || l.For < 0 || l.InFlightCap < 0 || l.Connections < 0 || l.Grace < 0 || l.Patience < 0:
		return fmt.Errorf("load: a negative number in %+v", *l)
	case (l.Users > 0 || l.Ramp != nil) && l.Plan != nil:
		return errors.New("load: both users (closed) and a plan of arrivals (open)")
	case l.Users > 0 && l.Ramp != nil:
		return errors.New("load: both a number of users and a ramp of them")
	case l.Connections > 0 && l.Plan == nil:
		return errors.New("load: a bound on connections is for a plan of arrivals; users have one each")
	case l.Ramp != nil:
		if err := l.Ramp.Check(); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		return nil
	case l.Users > 0 && l.Total == 0 && l.For == 0:
		return errors.New("load: users without a total or a duration would never end")
	case l.Users > 0:
		return nil
	case l.Plan == nil:
		return errors.New("load: neither users nor a plan of arrivals")
	case l.Total > 0:
		return errors.New("load: a total of journeys is for users; a plan of arrivals has its own count")
	}
	if err := l.Plan.Check(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// finish lets what is in flight end, for as long as the load's grace.
func (r *run) finish() {
	r.end()
	done := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(done)
	}()
	grace := r.grace()
	if r.graceAt > 0 {
		grace = time.Duration(max(r.graceAt-r.clock.Now(), 0))
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
	case <-r.ctx.Done():
	case <-t.C:
	}
	r.cancel()
	<-done
}

// grace is how long what is in flight at the end may take.
func (r *run) grace() time.Duration {
	if r.load.Grace > 0 {
		return r.load.Grace
	}
	return r.script.longest
}

// tell leaves word in a channel of one place.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fail ends the load with an error that is not the target's; the first one counts.
func (r *run) fail(err error) {
	r.mu.Lock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.mu.Unlock()
	r.cancel()
}

// reserve makes sure that there are at least n users.
func (r *run) reserve(n int) {
	for len(r.users) < n {
		r.users = append(r.users, r.user(len(r.users)))
	}
}
