package drive

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// Identity hands out the run's unique data: journey numbers 0, 1, 2 … and the text "<token>-<number>" made from them. Load and
// probes of one run draw from the same Identity. It is safe for any number of goroutines.
//
// Every block of numbers is reserved in the ledger before the first of them is used, so that whatever the run created on the
// target can be found again, even after a kill.
type Identity struct {
	seed     uint64
	token    string
	scenario string
	reserve  func(record.LedgerBlock) error

	mu       sync.Mutex
	grown    *sync.Cond // signalled when a reservation has ended
	next     uint64
	reserved uint64    // one past the last number that may be used
	block    uint64    // size of the block that ends there
	growing  bool      // a reservation is under way
	last     time.Time // of the last reservation
	err      error     // the first reservation that failed; no number is given out after it
}

// Sizes of reserved blocks. A reservation waits for the disk, so it is made seldom, and ahead of need: by whoever finds the
// block half used, while the others go on.
const (
	firstBlock = 100 // short runs do not leave a ledger that claims a thousand customers
	smallBlock = 1000
	largeBlock = 1 << 20 // a second's worth for the fastest loop there is
)

// NewIdentity makes the identities of one run. The same seed gives the same data. reserve writes ahead into the ledger; nil
// keeps none, for plans that are shown and not sent.
func NewIdentity(seed uint64, scenario string, reserve func(record.LedgerBlock) error) *Identity {
	id := &Identity{seed: seed, token: token(seed), scenario: scenario, reserve: reserve}
	id.grown = sync.NewCond(&id.mu)
	return id
}

// Token is the run's part of each unique text: ten characters of a–z and 2–7, safe in e-mail addresses, URLs and JSON.
func (id *Identity) Token() string { return id.token }

// Seed it was made from.
func (id *Identity) Seed() uint64 { return id.seed }

// Next gives the next journey number and its unique text. The error is the ledger's: without a ledger nothing may be created.
func (id *Identity) Next() (n uint64, unique string, err error) {
	if n, _, err = id.number(); err != nil {
		return 0, "", err
	}
	return n, string(id.appendUnique(nil, n)), nil
}

// appendUnique adds the unique text of journey n.
func (id *Identity) appendUnique(dst []byte, n uint64) []byte {
	return strconv.AppendUint(append(append(dst, id.token...), '-'), n, 10)
}

// number gives the next journey number. It waits for the disk only when none is left that the ledger has, and says so.
func (id *Identity) number() (n uint64, waited bool, err error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	for id.err == nil && id.next == id.reserved {
		waited = true
		if id.growing {
			id.grown.Wait()
		} else {
			id.grow()
		}
	}
	if id.err != nil {
		return 0, waited, id.err
	}
	n = id.next
	id.next++
	if id.reserved-id.next <= id.block/2 && !id.growing && id.reserve != nil {
		id.growing = true
		go func() { // nobody who sends waits for it
			id.mu.Lock()
			id.grow()
			id.mu.Unlock()
		}()
	}
	return n, waited, nil
}

// grow reserves one more block. It is called with the lock held and lets go of it while it waits for the disk.
func (id *Identity) grow() {
	block := record.LedgerBlock{From: id.reserved, To: id.reserved + id.nextBlock(), Seed: id.seed, Token: id.token, Scenario: id.scenario}
	if id.reserve != nil {
		id.growing = true
		id.mu.Unlock()
		err := id.reserve(block)
		id.mu.Lock()
		id.growing = false
		if err != nil && id.err == nil {
			id.err = fmt.Errorf("ledger: reserve journeys %d to %d: %w", block.From, block.To-1, err)
		}
	}
	if id.err == nil {
		id.reserved, id.block = block.To, block.To-block.From
	}
	id.grown.Broadcast()
}

// nextBlock is the size of the next block: twice the last one while a block lasts less than a second.
func (id *Identity) nextBlock() uint64 {
	now := time.Now()
	quick := now.Sub(id.last) < time.Second
	id.last = now
	switch {
	case id.reserved == 0:
		return firstBlock
	case id.block < smallBlock:
		return smallBlock
	case quick:
		return min(2*id.block, largeBlock)
	default:
		return id.block
	}
}

// token spells 50 of the seed's 64 bits, after mixing, in base 32. Runs whose seeds are drawn at random share a token, and
// with it their data, with probability about m²/2⁵¹ among m runs against one target (birthday bound): 4·10⁻¹⁰ for a
// thousand runs, 4·10⁻⁸ for ten thousand. Runs given the same seed send the same data, on purpose.
func token(seed uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], mix(seed))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))[:10]
}

// mix spreads small and neighbouring seeds over all 64 bits. It is a bijection: the output function of SplitMix64 (Steele, Lea &
// Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
