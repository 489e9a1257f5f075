package killbill

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// What a call costs, as a share of one account creation's service time.
//
// 27 slots / 200 ms serve 135 creations a second; with the tag that follows each of them 27 / (200 ms × 1.01) = 133.7,
// the rate the baseline claims at about 200 ms. What the store refuses (a duplicate, an absent account) costs a lookup;
// a bad body takes its turn in the line but no time.
const (
	costCreate = 1.0  // POST accounts, POST subscriptions: rows, history, audit and bus entries in one transaction
	costLookup = 0.01 // GETs, tags, tenants, and every operation that fails
)

// serviceTime draws log-normal service times.
//
// For a mean m and a coefficient of variation c the underlying normal has σ² = ln(1+c²) and µ = ln m − σ²/2.
type serviceTime struct {
	mu        sync.Mutex
	rng       *rand.Rand
	mean, dev float64 // µ and σ of the logarithm of seconds
}

func newServiceTime(mean time.Duration, cv float64, seed uint64) *serviceTime {
	variance := math.Log1p(cv * cv)
	return &serviceTime{
		rng:  rand.New(rand.NewPCG(seed, 0x6b69_6c6c)),
		mean: math.Log(mean.Seconds()) - variance/2,
		dev:  math.Sqrt(variance),
	}
}

// draw returns the time a call of the given cost holds its slot.
func (s *serviceTime) draw(cost float64) time.Duration {
	s.mu.Lock()
	z := s.rng.NormFloat64()
	s.mu.Unlock()
	return time.Duration(cost * math.Exp(s.mean+s.dev*z) * float64(time.Second))
}
