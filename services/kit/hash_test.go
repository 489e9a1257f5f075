package kit

import (
	"context"
	"errors"
	"testing"
)

func TestHashAndVerify(t *testing.T) {
	for _, where := range []string{OnLoop, InPool} {
		h, err := NewHasher(Knobs{Hash: where, HashCost: 4, HashPool: 2}, NewMetrics())
		if err != nil {
			t.Fatal(err)
		}
		hash, err := h.Hash(t.Context(), "right")
		if err != nil {
			t.Fatal(err)
		}
		for password, want := range map[string]bool{"right": true, "wrong": false} {
			if got, err := h.Verify(t.Context(), hash, password); got != want || err != nil {
				t.Errorf("%s: %s: %v %v", where, password, got, err)
			}
		}
		if _, err := h.Verify(t.Context(), "no hash", "right"); err == nil {
			t.Errorf("%s: a broken hash is no error", where)
		}
		if n := value(t, h.m.hashCount); n != 4 {
			t.Errorf("%s: hashes_total = %v, want 4", where, n)
		}
	}
}

func TestHashPoolBoundsItsQueue(t *testing.T) {
	m := NewMetrics()
	h, err := NewHasher(Knobs{Hash: InPool, HashCost: 4, HashPool: 1, HashQueue: 2}, m)
	if err != nil {
		t.Fatal(err)
	}
	h.slots <- struct{}{} // one hash that does not end
	ctx, giveUp := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := h.Hash(ctx, "x")
			waiting <- err
		}()
	}
	waitFor(t, "two in the queue", func() bool { return value(t, m.hashQueue) == 2 })
	if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, ErrHashQueueFull) {
		t.Errorf("one too many: %v", err)
	}
	giveUp()
	for range 2 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("given up while waiting: %v", err)
		}
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if n := value(t, m.hashCount); n != 1 {
		t.Errorf("hashes_total = %v: work nobody waits for was done", n)
	}
}
