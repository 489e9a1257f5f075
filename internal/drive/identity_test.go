package drive

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/captest/captest/internal/record"
)

func TestIdentityIsReservedBeforeItIsUsed(t *testing.T) {
	once(t)
	var mu sync.Mutex
	var blocks []record.LedgerBlock
	id := NewIdentity(7, "registration", func(b record.LedgerBlock) error {
		mu.Lock()
		defer mu.Unlock()
		blocks = append(blocks, b)
		return nil
	})
	covered := func(n uint64) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(blocks, func(b record.LedgerBlock) bool { return b.From <= n && n < b.To })
	}
	const workers, each = 8, 500
	seen := make([][]uint64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				n, unique, err := id.Next()
				if err != nil || !covered(n) || !strings.HasPrefix(unique, id.Token()+"-") {
					t.Errorf("journey %d (%q): error %v, reserved %v", n, unique, err, covered(n))
					return
				}
				seen[w] = append(seen[w], n)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(seen...)
	slices.Sort(all)
	for i, n := range all {
		if n != uint64(i) {
			t.Fatalf("number %d is %d: numbers are not 0, 1, 2 … without gaps or repeats", i, n)
		}
	}
	want := uint64(0)
	for _, b := range blocks {
		if b.From != want || b.To <= b.From || b.Seed != 7 || b.Token != id.Token() || b.Scenario != "registration" {
			t.Errorf("block %+v, want one from %d", b, want)
		}
		want = b.To
	}
	if blocks[0].To != 100 || blocks[1].To != 1100 {
		t.Errorf("first blocks end at %d and %d, want 100 and 1100", blocks[0].To, blocks[1].To)
	}
	if want > 2*workers*each+2000 { // blocks double while they are used up within a second
		t.Errorf("%d numbers reserved for %d used", want, workers*each)
	}
}

func TestIdentityStopsWhenTheLedgerFails(t *testing.T) {
	once(t)
	broken := errors.New("disk full")
	calls := 0
	id := NewIdentity(1, "s", func(record.LedgerBlock) error {
		if calls++; calls == 2 {
			return broken
		}
		return nil
	})
	given := 0
	for {
		if _, _, err := id.Next(); err != nil {
			if !errors.Is(err, broken) {
				t.Fatalf("got %v, want the ledger's error", err)
			}
			break
		}
		if given++; given > 100 {
			t.Fatal("numbers beyond the reserved block were given out")
		}
	}
	if _, _, err := id.Next(); !errors.Is(err, broken) {
		t.Errorf("after the failure: got %v, want the same error", err)
	}
	if calls != 2 {
		t.Errorf("%d reservations, want 2: a failed ledger is not tried again", calls)
	}
}

func TestTokenFollowsTheSeed(t *testing.T) {
	once(t)
	if a, b := NewIdentity(5, "", nil).Token(), NewIdentity(5, "", nil).Token(); a != b {
		t.Errorf("the same seed gave %q and %q", a, b)
	}
	seen := map[string]uint64{}
	form := regexp.MustCompile(`^[a-z2-7]{10}$`)
	for seed := range uint64(20_000) {
		k := token(seed)
		if !form.MatchString(k) {
			t.Fatalf("seed %d: token %q is not ten e-mail-safe characters", seed, k)
		}
		if other, ok := seen[k]; ok {
			t.Fatalf("seeds %d and %d share token %q", other, seed, k)
		}
		seen[k] = seed
	}
}
