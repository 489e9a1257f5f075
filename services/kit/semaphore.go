package kit

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// BusyError says that a call was not made because too many are under way already.
type BusyError struct {
	Downstream string
	What       string // semaphore, pool
	Waited     time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s: no %s free within %s", e.Downstream, e.What, e.Waited)
}

// bulkhead lets so many calls through at a time, and has others wait for so long.
type bulkhead struct {
	downstream     string
	permits        *semaphore.Weighted // nil: no bound
	patience       time.Duration       // 0: as long as the context lives
	inUse, waiting prometheus.Gauge
	waited         prometheus.Counter
}

func newBulkhead(downstream string, limit int, patience time.Duration, m *Metrics) *bulkhead {
	b := &bulkhead{
		downstream: downstream, patience: patience,
		inUse:   m.semInUse.WithLabelValues(downstream),
		waiting: m.semWaiting.WithLabelValues(downstream),
		waited:  m.semWait.WithLabelValues(downstream),
	}
	if limit > 0 {
		b.permits = semaphore.NewWeighted(int64(limit))
		m.semLimit.WithLabelValues(downstream).Set(float64(limit))
	}
	return b
}

// acquire waits for a permit; release gives it back.
func (b *bulkhead) acquire(ctx context.Context) error {
	if b.permits == nil {
		return nil
	}
	if !b.permits.TryAcquire(1) {
		if err := b.queue(ctx); err != nil {
			return err
		}
	}
	b.inUse.Inc()
	return nil
}

func (b *bulkhead) queue(ctx context.Context) error {
	b.waiting.Inc()
	asked := time.Now()
	defer func() {
		b.waiting.Dec()
		b.waited.Add(time.Since(asked).Seconds())
	}()
	wait := ctx
	if b.patience > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, b.patience)
		defer cancel()
	}
	if err := b.permits.Acquire(wait, 1); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &BusyError{Downstream: b.downstream, What: "semaphore permit", Waited: b.patience}
	}
	return nil
}

func (b *bulkhead) release() {
	if b.permits != nil {
		b.inUse.Dec()
		b.permits.Release(1)
	}
}
