package drive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// Native is the engine that speaks HTTP/1.1 itself: one epoll loop for each core, on a thread of its own, and virtual users
// that are state machines on it. A request costs it two system calls and under a microsecond besides (make bench). It sends to
// http targets, on Linux.
type Native struct {
	*sender
	wires, setups []wire
	endpoints     []endpoint
	limits        []limit // the timeouts that differ
	sources       []netip.Addr
	keep          bool // every answer's headers are looked at: cookies may come
	guard         *targets.Guard

	busy  sync.Mutex // held by Drive
	loops []*loop    // their riders outlive a load, with what their setup gave them
}

// NewNative makes the engine, after checking that the scenario fits the target and that it can be sent by this engine.
func NewNative(c Config) (*Native, error) {
	s, err := newSender(&c)
	if err != nil {
		return nil, err
	}
	s.examples = newExamples()
	s.env = s.examples.watch(s.env)
	e := &Native{sender: s, guard: c.Guard, sources: c.Sources}
	for _, list := range []struct {
		from []step
		to   *[]wire
	}{{s.script.setup, &e.setups}, {s.script.steps, &e.wires}} {
		for i := range list.from {
			w, err := e.wire(&list.from[i])
			if err != nil {
				return nil, stepError(&list.from[i], err)
			}
			*list.to = append(*list.to, w)
		}
	}
	// A journey's cookies go with it, so that those of its only step are of no use to anybody.
	e.keep = len(e.setups) > 0 || len(e.wires) > 1
	n := max(c.Loops, 0)
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for i := range n {
		l := &loop{index: i, ep: -1, wake: -1}
		e.loops = append(e.loops, l)
		if err := l.open(); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// CheckNative says why the native engine cannot send a scenario to a target; nil where it can. Services that captest is still to
// start have no address yet, and are http.
func CheckNative(s *scenarios.Scenario, t *targets.Target) error {
	for _, name := range s.Services() {
		service, ok := t.Find(name)
		if !ok || service.URL == "" {
			continue // CheckServices has the words for it
		}
		if u, err := url.Parse(service.URL); err == nil && u.Scheme != "http" {
			return nativeError(fmt.Sprintf("service %s is %s, and it speaks plain HTTP/1.1", service.Name, u.Scheme))
		}
	}
	return nil
}

func (e *Native) wire(s *step) (wire, error) {
	u := s.proto.URL
	if u.Scheme != "http" {
		return wire{}, nativeError("the step goes to " + u.Scheme + ", and it speaks plain HTTP/1.1")
	}
	to, err := newEndpoint(u)
	if err != nil {
		return wire{}, err
	}
	at := slices.IndexFunc(e.endpoints, func(x endpoint) bool { return x.host == to.host && x.port == to.port })
	if at < 0 {
		at = len(e.endpoints)
		e.endpoints = append(e.endpoints, to)
	}
	w, err := newWire(s, at)
	w.within = e.limit(totalTimeout, s.timeout)
	w.dialWithin = e.limit(connectTimeout, s.timeouts.Connect)
	w.answerWithin = e.limit(firstByteTimeout, s.timeouts.FirstByte)
	return w, err
}

// limit numbers a timeout; 0 is none, and has −1.
func (e *Native) limit(kind timeoutError, after time.Duration) int {
	if after == 0 {
		return -1
	}
	wanted := limit{kind, after}
	at := slices.Index(e.limits, wanted)
	if at < 0 {
		at = len(e.limits)
		e.limits = append(e.limits, wanted)
	}
	return at
}

// Examples gives the first few distinct failures of all loads so far, most frequent first; at most 16.
func (e *Native) Examples() []Example { return e.examples.all() }

// Close forgets the users. The engine cannot be used any more.
func (e *Native) Close() {
	e.connector.close()
	e.busy.Lock()
	defer e.busy.Unlock()
	for _, l := range e.loops {
		l.close()
	}
	e.loops = nil
}

// nativeRun is one Drive, as its loops share it.
type nativeRun struct {
	*Native
	load     Load
	throttle *Throttle
	rec      *record.Recorder
	clock    record.Clock
	began    int64
	length   time.Duration // 0: a closed load that ends by count
	grace    time.Duration
	claimed  atomic.Uint64
	stop     atomic.Bool

	mu    sync.Mutex
	fatal error
}

// fail ends the load with an error that is not the target's; the first one counts.
func (r *nativeRun) fail(err error) {
	r.mu.Lock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.mu.Unlock()
	r.halt()
}

// halt has every loop cancel what is in flight.
func (r *nativeRun) halt() {
	r.stop.Store(true)
	r.rouse()
}

// rouse has every loop look around.
func (r *nativeRun) rouse() {
	for _, l := range r.loops {
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Drive implements Engine.
func (e *Native) Drive(ctx context.Context, load Load, rec *record.Recorder) (Tally, error) {
	if err := load.check(); err != nil {
		return Tally{}, err
	}
	if !e.busy.TryLock() {
		return Tally{}, errors.New("drive: a load is running already")
	}
	defer e.busy.Unlock()
	if e.loops == nil {
		return Tally{}, errors.New("drive: the engine is closed")
	}
	if ctx.Err() != nil {
		return Tally{}, nil
	}
	for i := range e.endpoints {
		if err := e.endpoints[i].resolve(ctx, e.guard); err != nil {
			return Tally{}, err
		}
		if err := e.endpoints[i].reach(e.sources); err != nil {
			return Tally{}, err
		}
	}
	load = load.settled()
	r := &nativeRun{Native: e, load: load, throttle: load.throttle(), rec: rec, clock: rec.Clock(), grace: load.Grace, length: load.For}
	r.began = r.clock.Now()
	if r.grace == 0 {
		r.grace = e.script.longest
	}
	if load.Plan != nil && r.length == 0 {
		r.length = load.Plan.Length()
	}
	e.reserveDescriptors(&load)
	for _, l := range e.loops {
		l.prepare(r)
	}
	if err := r.throttle.bind(load, r.clock, r.began, r.rouse); err != nil {
		return Tally{}, err
	}
	defer r.throttle.release()
	var halting sync.WaitGroup
	halting.Add(1)
	unwatch := context.AfterFunc(ctx, func() { defer halting.Done(); r.halt() })
	var wg sync.WaitGroup
	for _, l := range e.loops {
		wg.Go(l.run)
	}
	wg.Wait()
	if !unwatch() {
		halting.Wait() // it may be writing to the loops' eventfds this very moment
	}
	e.loops[0].observe()
	var t Tally
	for _, l := range e.loops {
		t.Journeys += l.journeys
		t.Failed += l.failed
		t.Dropped += l.dropped
		t.Late += l.late
		t.Stragglers += int(l.canceled)
		t.LastSent = max(t.LastSent, time.Duration(l.lastSent))
	}
	return t, r.fatal
}

// reserveDescriptors has the kernel make room for the load's connections in this process's table of descriptors. It doubles the
// table whenever it is full, and where a process has several threads the one that asks then waits for all processors to have
// passed through the scheduler: tens of milliseconds, in the middle of a load, on a busy machine far more. Where there is no
// room the connection that finds none says so.
func (e *Native) reserveDescriptors(load *Load) {
	n := max(load.Users, load.Connections)
	if load.Ramp != nil {
		n = max(n, load.Ramp.Peak())
	}
	if load.Plan != nil && n == 0 {
		if n = load.InFlightCap; n == 0 {
			n = DefaultInFlightCap
		}
	}
	const others = 64 // descriptors that are no connection of the load
	if fd, err := unix.FcntlInt(uintptr(e.loops[0].ep), unix.F_DUPFD_CLOEXEC, n*len(e.endpoints)+others); err == nil {
		_ = unix.Close(fd)
	}
}

// open takes what a loop needs of the kernel for as long as the engine lives, so that no load can find it wanting.
func (l *loop) open() (err error) {
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return &localError{"epoll_create1", err}
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return &localError{"eventfd", err}
	}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.wake)}); err != nil {
		return &localError{"epoll_ctl", err}
	}
	l.in, l.events = make([]byte, readAtOnce), make([]unix.EpollEvent, eventsAtOnce)
	return nil
}

func (l *loop) close() {
	for _, fd := range []int{l.ep, l.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// observe makes what a target in this very process did before it answered happen before what comes now (tests have such). The
// loop's own calls do not say so to the race detector; these of package syscall do.
func (l *loop) observe() {
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	_, _ = syscall.Write(l.wake, one)
	_, _ = syscall.Read(l.wake, one)
}

// prepare gives a loop its share of a load.
func (l *loop) prepare(r *nativeRun) {
	n, riders := len(r.loops), l.all
	*l = loop{
		nativeRun: r, index: l.index, shard: r.rec.Shard(l.index), ep: l.ep, wake: l.wake, turn: l.turn, byFD: l.byFD,
		in: l.in, seen: l.seen, events: l.events, out: l.out, body: l.body, text: l.text, naps: l.naps[:0], ready: l.ready[:0], free: l.free[:0],
	}
	l.timeouts = make([]deadlines, len(r.limits)+1)
	for i := range r.limits {
		l.timeouts[i].limit = r.limits[i]
	}
	l.timeouts[len(r.limits)].limit = limit{totalTimeout, r.load.Patience}
	l.arrival, l.start = math.MaxInt64, r.began
	// What has been changed since the load began is seen as a change.
	l.set = &setting{plan: r.load.Plan, heldAt: running}
	l.endAt = l.endOf()
	for _, x := range riders {
		x.playing = false
	}
	l.all = riders
	if r.load.Users > 0 {
		l.count()
		return
	}
	limit := r.load.Connections
	if limit == 0 {
		limit = r.load.InFlightCap
	}
	if limit == 0 {
		limit = DefaultInFlightCap
	}
	l.limit, l.parts = portion(limit, l.index, n), min(limit, n)
	if l.limit == 0 {
		return // fewer users than loops: the others have all arrivals
	}
	l.riders = riders[:min(len(riders), l.limit)]
	for i := len(l.riders) - 1; i >= 0; i-- {
		l.free = append(l.free, l.riders[i])
	}
	l.cursor = l.part(r.load.Plan).Cursor()
	l.nextArrival()
}

// portion of n things that loop i of k gets.
func portion(n, i, k int) int { return (n - i + k - 1) / k }

func (l *loop) newRider(number int) *rider {
	r := &rider{user: l.person(number), conns: make([]conn, len(l.endpoints))}
	for i := range r.conns {
		r.conns[i] = conn{r: r, endpoint: i, fd: -1, in: response{seen: &l.seen}}
	}
	r.whole.r, r.part.r = r, r
	return r
}
