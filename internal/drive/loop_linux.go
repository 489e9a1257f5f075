package drive

import (
	"math"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// loop is one thread that sends: everything its riders do happens on it, so that nothing here needs a lock. It waits in one
// place, epoll, for sockets and the clock alike.
type loop struct {
	*nativeRun
	index  int
	shard  *record.Shard
	ep     int
	wake   int // an eventfd: something outside wants the loop's attention
	riders []*rider
	all    []*rider // those of larger loads too
	byFD   []*conn

	events    []unix.EpollEvent
	in        []byte // what a read brings, one at a time
	out, body []byte // a request being made
	text      []byte
	seen      seenHead
	tcp       unix.TCPInfo // of the reading under way
	turn      int32

	now      int64
	timeouts []deadlines
	naps     naps
	ready    []*rider // whose answer has come, and who go on when all answers that are there have been read
	set      *setting // of the throttle, as far as it has been taken in
	start    int64    // of the load's clock: when it would have begun had it never been held
	target   int      // closed: users of all loops
	targetAt int64    // when that may be another one; math.MaxInt64: unless the throttle is turned
	turns    int      // riders that may still go on by the clock before sockets are looked at
	starting int      // closed: riders that were asked to play
	free     []*rider
	limit    int // open: riders there may be
	parts    int // open: loops that have a share of the plan
	cursor   *schedule.Cursor
	arrival  int64 // the next; math.MaxInt64: none
	blocked  bool  // arrivals had to wait, and are being made up for
	owed     int64 // an arrival that waits for a rider; 0: none
	endAt    int64
	graceAt  int64
	ending   bool
	active   int // riders on a journey
	lastSent int64
	written  uint64 // requests, counted to choose whose write is timed
	source   int
	journeys uint64
	failed   uint64
	canceled uint64
	dropped  uint64
	late     uint64
}

// Sizes of a loop.
const (
	readAtOnce   = 64 << 10
	eventsAtOnce = 256
	sendAtOnce   = 64 // riders that go on by the clock before sockets are looked at again: a send takes far longer than a read
)

// run drives the loop's share of the load, until its end and the end of what is in flight.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may by default wake a thread 50 µs late to spare power.
	if old, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil && unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(old), 0, 0, 0) }()
	}
	defer l.hangUp()
	l.now = l.clock.Now()
	for {
		if l.stop.Load() {
			l.cancelAll()
			return
		}
		l.steer()
		if !l.ending && l.now >= l.endAt {
			l.end()
		}
		wait := l.tend()
		if l.over() {
			return
		}
		if l.ending && l.now >= l.graceAt {
			l.cancelAll()
			return
		}
		n, e := poll(l.ep, l.events, wait)
		if e != 0 && e != syscall.EINTR {
			l.fail(&localError{"epoll_pwait2", e})
			continue
		}
		l.now = l.clock.Now()
		for i := range max(n, 0) {
			l.event(&l.events[i])
		}
		l.proceed()
	}
}

// proceed has those go on whose answers have come. They waited until all answers were read: a send takes several times as long as
// a read, and whatever is read behind it is seen too late by as much. It also spares the kernel: what it runs for one read is
// still at hand for the next, and a target that gets its requests close together does not fall asleep between them.
func (l *loop) proceed() {
	for i, r := range l.ready {
		if i > 0 {
			l.now = l.clock.Now()
		}
		l.woke(r)
	}
	l.ready = l.ready[:0]
}

// end lets no new journey start but those that were due before and wait for a rider.
func (l *loop) end() {
	l.ending = true
	l.graceAt = l.now + int64(l.grace)
}

func (l *loop) over() bool {
	if l.active > 0 {
		return false
	}
	if l.load.Users > 0 {
		return l.ending || l.spent() || len(l.riders) == 0 && !l.load.varies()
	}
	return l.ending && l.owed == 0 && l.arrival > l.now
}

// tend does what is due by the clock and says how long nothing else will be, in ns.
func (l *loop) tend() (wait int64) {
	for i := range l.timeouts {
		for d := &l.timeouts[i]; d.head != nil && d.head.due <= l.now; {
			l.broke(d.head.r, record.ErrorTimeout, d.kind.Error())
		}
	}
	due := l.now
	l.turns = sendAtOnce
	for ; l.turns > 0 && len(l.naps) > 0 && l.naps[0].due <= due; l.turns-- {
		r := l.naps.pop().r
		l.now = l.clock.Now()
		l.woke(r)
	}
	l.startSome()
	l.arrive(due)
	if l.turns == 0 {
		return 0
	}
	next := l.endAt
	if l.ending {
		next = l.graceAt
	}
	for i := range l.timeouts {
		if d := &l.timeouts[i]; d.head != nil {
			next = min(next, d.head.due)
		}
	}
	sending := int64(math.MaxInt64)
	if !l.held() {
		sending = min(l.arrival, l.targetAt)
	}
	if len(l.naps) > 0 {
		sending = min(sending, l.naps[0].due)
	}
	switch {
	case sending < next:
		return max(sending-l.clock.Now(), 0) // what is sent is sent on time, to the microsecond
	case next == math.MaxInt64:
		return -1
	}
	return max(next-l.now, 0)
}

// arrive begins journeys that are due. Each goes to the rider who was free last, so that as few connections as possible
// are used, and those often. One that finds none free is dropped or, with Load.Connections, waits its turn; its response time
// counts from when it was due either way.
func (l *loop) arrive(due int64) {
	if l.held() {
		return
	}
	for ; l.turns > 0 && l.arrival <= due; l.turns-- {
		l.now = l.clock.Now()
		r := l.take()
		if r == nil && l.load.Connections > 0 {
			// It waits for a rider: the clock has nothing to say about it.
			l.owed, l.arrival, l.blocked = l.arrival, math.MaxInt64, true
			return
		}
		if l.blocked {
			l.late++
			l.shard.Late()
		}
		if r == nil {
			l.drop(l.arrival)
		} else {
			r.queued = l.blocked
			l.begin(r, l.arrival)
		}
		l.nextArrival()
	}
	if l.owed == 0 && l.arrival > due {
		l.blocked = false
	}
}

// drop counts an arrival that was never sent.
func (l *loop) drop(intended int64) {
	l.dropped++
	l.shard.Add(record.Sample{
		Intended: intended, Step: l.script.steps[0].index, Error: record.ErrorDropped, Flags: record.Dropped,
	})
}

func (l *loop) nextArrival() {
	l.due(l.cursor.Next())
}

// due sets the next arrival.
func (l *loop) due(offset time.Duration, ok bool) {
	if !ok || offset > l.length {
		l.arrival = math.MaxInt64
		return
	}
	l.arrival = l.start + int64(offset)
}

// take gives a free rider, a new one while there are fewer than the limit, else nil.
func (l *loop) take() *rider {
	if n := len(l.free); n > 0 {
		r := l.free[n-1]
		l.free = l.free[:n-1]
		return r
	}
	if len(l.riders) >= l.limit {
		return nil
	}
	r := l.newRider(len(l.riders)*len(l.loops) + l.index)
	l.riders = append(l.riders, r)
	if len(l.riders) > len(l.all) {
		l.all = l.riders
	}
	return r
}

// event is one socket's.
func (l *loop) event(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.wake {
		var b [8]byte
		_, _ = unix.Read(fd, b[:])
		return
	}
	if fd >= len(l.byFD) || l.byFD[fd] == nil || l.byFD[fd].turn != ev.Pad {
		return // of a socket that was closed since
	}
	c := l.byFD[fd]
	if c.state == dialling {
		if ev.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			l.dialled(c)
		}
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		l.flush(c)
	}
	if c.state == up && ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.turn == ev.Pad {
		l.readable(c, ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// hangUp leaves no connection open.
func (l *loop) hangUp() {
	for _, r := range l.riders {
		for i := range r.conns {
			l.shut(&r.conns[i], record.ByCaptest)
		}
	}
}

// localError is a call to this machine's kernel that failed.
type localError struct {
	call string
	err  error
}

func (e *localError) Error() string { return "drive: " + e.call + ": " + e.err.Error() }
func (e *localError) Unwrap() error { return e.err }
