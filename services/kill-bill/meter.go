package killbill

import (
	"math"
	"sync"
	"time"
)

// meterTick is how often Dropwizard's moving averages advance.
const meterTick = 5 * time.Second

// meter counts events and their rates per second: overall, and as moving averages over 1, 5 and 15 minutes.
type meter struct {
	mu     sync.Mutex
	start  time.Time
	ticked time.Time
	count  uint64
	fresh  uint64 // since the last tick
	rates  [3]float64
	begun  bool // the averages start at the first tick's rate
}

// rates is what Dropwizard prints of a meter.
type rates struct {
	M15  float64 `json:"m15_rate"`
	M1   float64 `json:"m1_rate"`
	M5   float64 `json:"m5_rate"`
	Mean float64 `json:"mean_rate"`
}

func newMeter(now time.Time) *meter { return &meter{start: now, ticked: now} }

func (m *meter) mark(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tick(time.Now())
	m.count += n
	m.fresh += n
}

// tick advances the averages by the whole ticks that have passed:
// rate ← rate + α (instant − rate), α = 1 − e^(−5 s / window).
func (m *meter) tick(now time.Time) {
	for n := min(int(now.Sub(m.ticked)/meterTick), 10_000); n > 0; n-- {
		instant := float64(m.fresh) / meterTick.Seconds()
		m.fresh = 0
		for i, minutes := range []float64{1, 5, 15} {
			if !m.begun {
				m.rates[i] = instant
				continue
			}
			m.rates[i] += (1 - math.Exp(-meterTick.Minutes()/minutes)) * (instant - m.rates[i])
		}
		m.begun = true
		m.ticked = m.ticked.Add(meterTick)
	}
	if now.Sub(m.ticked) >= meterTick { // idle for half a day: the averages are zero by now
		m.ticked = now
	}
}

func (m *meter) read(now time.Time) (count uint64, r rates) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tick(now)
	r = rates{M1: m.rates[0], M5: m.rates[1], M15: m.rates[2]}
	if age := now.Sub(m.start).Seconds(); age > 0 {
		r.Mean = float64(m.count) / age
	}
	return m.count, r
}
