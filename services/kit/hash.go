package kit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// PasswordLimit is how many bytes of a password bcrypt looks at; longer ones are refused rather than cut.
const PasswordLimit = 72

// ErrHashQueueFull says that the hash pool has as many waiting as it may have.
var ErrHashQueueFull = errors.New("hash pool: queue full")

// Hasher computes bcrypt hashes: on the event loop, where everything else on that loop waits for it, or in a pool.
type Hasher struct {
	cost    int
	slots   chan struct{} // one for each hash at a time; nil: on the loop
	queue   int64         // most that may wait; 0: no bound
	waiting atomic.Int64
	m       *Metrics
}

// NewHasher makes a hasher from the hash knobs.
func NewHasher(k Knobs, m *Metrics) (*Hasher, error) {
	if k.HashCost < bcrypt.MinCost || k.HashCost > bcrypt.MaxCost {
		return nil, fmt.Errorf("hash cost %d: bcrypt takes %d to %d", k.HashCost, bcrypt.MinCost, bcrypt.MaxCost)
	}
	h := &Hasher{cost: k.HashCost, queue: int64(k.HashQueue), m: m}
	if k.Hash == InPool {
		size := k.HashPool
		if size == 0 {
			size = runtime.GOMAXPROCS(0)
		}
		h.slots = make(chan struct{}, size)
		m.hashSize.Set(float64(size))
		m.shed.WithLabelValues("hash_queue")
	}
	return h, nil
}

// Hash gives the bcrypt hash of a password of at most PasswordLimit bytes.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	var hash []byte
	err := h.run(ctx, func() (err error) {
		hash, err = bcrypt.GenerateFromPassword([]byte(password), h.cost)
		return err
	})
	return string(hash), err
}

// Verify says whether hash was made from password. It costs as much as Hash.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (ok bool, err error) {
	err = h.run(ctx, func() error {
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
		ok = err == nil
		if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return nil
		}
		return err
	})
	return ok, err
}

func (h *Hasher) run(ctx context.Context, work func() error) error {
	if h.slots == nil { // no Await: the loop is held for as long as bcrypt takes
		return h.compute(work)
	}
	defer Await(ctx)()
	if err := h.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-h.slots }()
	if err := ctx.Err(); err != nil { // given up while it waited
		return err
	}
	return h.compute(work)
}

func (h *Hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if waiting := h.waiting.Add(1); h.queue > 0 && waiting > h.queue {
		return ErrHashQueueFull
	}
	h.m.hashQueue.Inc()
	defer h.m.hashQueue.Dec()
	asked := time.Now()
	defer func() { h.m.hashWait.Add(time.Since(asked).Seconds()) }()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) compute(work func() error) error {
	h.m.hashBusy.Inc()
	began := time.Now()
	defer func() {
		h.m.hashBusy.Dec()
		h.m.hashSeconds.Add(time.Since(began).Seconds())
		h.m.hashCount.Inc()
	}()
	return work()
}
