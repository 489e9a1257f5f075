package drive

import (
	"runtime"
	"syscall"
	"time"
)

// grain is how late Go's own timers may be: on Linux the runtime waits for them in whole milliseconds (runtime/netpoll_epoll.go).
const grain = 1200 * time.Microsecond

// nap waits for less than grain, to some 60 µs, without using the processor. It may end early, when a signal comes.
func nap(d time.Duration) {
	runtime.Gosched() // the journey just begun goes first: nap holds on to this goroutine's processor for a while
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}
