package observe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
)

func TestALateTickIsAStall(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	synctest.Test(t, func(t *testing.T) {
		s := &stalls{clock: record.NewClock()}
		if got := s.longest(0); got != 0 {
			t.Errorf("stood still for %v before anybody looked", got)
		}
		for _, at := range []int64{1, 50, 100, 270, 2320, 2370, 2670, 2700} { // 120 ms late is the scheduler's; 2 s and 250 ms are not
			s.tick(at * ms)
		}
		time.Sleep(2750 * time.Millisecond)
		for since, want := range map[int64]int64{0: 2000, 320: 2000, 1320: 1000, 2320: 250, 2420: 250, 2570: 100, 2680: 0} {
			if got := s.longest(since * ms); got != time.Duration(want*ms) {
				t.Errorf("since %d ms stood still for %v, want %d ms", since, got, want)
			}
		}
		time.Sleep(3 * time.Second) // the ticker has not woken yet
		if got := s.longest(0); got != 3*time.Second {
			t.Errorf("stands still for %v, want 3s", got)
		}
		for range 2 * mostStalls {
			s.tick(s.last + 300*ms)
		}
		if len(s.seen) != mostStalls {
			t.Errorf("%d stalls are kept", len(s.seen))
		}
	})
}

// Captest that ticks all the time has not stood still, however long nobody asks, nor once nobody ticks any more.
func TestWatchedTimeHasNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := New(Config{Clock: record.NewClock()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); o.self.stalls.watch(ctx) }()
		time.Sleep(time.Minute)
		if got := o.StoodStill(0); got != 0 {
			t.Errorf("stood still for %v", got)
		}
		cancel()
		<-done
		time.Sleep(time.Minute)
		if got := o.StoodStill(0); got != 0 {
			t.Errorf("stands still for %v after the run", got)
		}
	})
}
