package kit

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hotLock is one mutex that every request of a service's own routes goes through, as around a cache, a log or a counter
// that all share. It is a real sync.Mutex, so that Go's own account of it (/sync/mutex/wait/total:seconds) shows it too.
type hotLock struct {
	mu           sync.Mutex
	hold         time.Duration // 0: there is no lock
	waited, held prometheus.Counter
}

// pass waits for the lock and holds it for its time. The event loop is given up meanwhile: held, it would make every
// request behind it wait for another reason.
func (l *hotLock) pass(ctx context.Context) {
	if l.hold <= 0 {
		return
	}
	defer Await(ctx)()
	asked := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := time.Now()
	l.waited.Add(got.Sub(asked).Seconds())
	time.Sleep(l.hold)
	l.held.Add(time.Since(got).Seconds())
}
