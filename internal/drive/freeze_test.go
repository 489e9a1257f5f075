package drive

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The truth of a freeze: of ten seconds' arrivals a tenth are due while the target stands still for one, and wait evenly from 0
// to 1 s. The slowest hundredth of all is the slowest tenth of those, whatever the rate: it waits 0.9 s and more.
const (
	frozenFor   = time.Second
	frozenP99Ms = 900
)

// frozen stands still for a second, from fifteen milliseconds before the arrival that is due after 4 s.
type frozen struct {
	mu     sync.Mutex
	began  time.Time     // of the schedule
	first  time.Duration // when the first request came, which was due at once
	thawed time.Duration // latest answer of a request that waited out the freeze, after its end
}

func (s *frozen) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began, s.first, s.thawed = time.Now(), 0, 0
}

func (s *frozen) late() (first, thawed time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.thawed
}

func (s *frozen) ServeHTTP(http.ResponseWriter, *http.Request) {
	const begin = 3985 * time.Millisecond
	s.mu.Lock()
	if s.first == 0 {
		s.first = time.Since(s.began)
	}
	end := s.began.Add(begin + frozenFor)
	s.mu.Unlock()
	if left := time.Until(end); left > 0 && left < frozenFor {
		time.Sleep(left)
		s.mu.Lock()
		s.thawed = max(s.thawed, time.Since(end))
		s.mu.Unlock()
	}
}

// TestAFreezeHasItsLengthAtAnyRate: a generator that waits for its target before it sends the next request would show a single
// slow answer of two hundred or of five thousand. Real time; an attempt in which this machine itself was late by more
// than a hundredth of the freeze proves nothing either way and is made again.
func TestAFreezeHasItsLengthAtAnyRate(t *testing.T) {
	once(t)
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	var busy atomic.Int64
	for _, e := range engines {
		var wg sync.WaitGroup
		for _, perSecond := range []float64{20, 100, 500} {
			s, sc, plan := &frozen{}, get("/"), fixed(t, perSecond, 10*time.Second)
			eng := e.make(t, Config{Scenario: sc, Target: onReal(t, s)})
			wg.Go(func() {
				for range 4 {
					s.begin()
					rec := recorder(sc)
					tally, err := eng.Drive(t.Context(), Load{Plan: plan}, rec)
					sums := rec.Cut()
					if n := uint64(10 * perSecond); err != nil || tally.Journeys != n || sums.OK != n || tally.Dropped != 0 {
						t.Errorf("%s, %g/s: %+v, %d good, %v; want %d and none dropped", e.name, perSecond, tally, sums.OK, err, n)
						return
					}
					p99, lag := *sums.Latency.P99Ms, *sums.LagP99Ms
					first, thawed := s.late()
					text := fmt.Sprintf("%s, %g/s: p99 %.0f ms, schedule lag %.1f ms, begun %v and thawed %v late", e.name, perSecond, p99, lag, first, thawed)
					if near(p99, frozenP99Ms, 0.05*frozenP99Ms) {
						t.Log(text)
						return
					}
					const late = frozenFor / 100
					if lag <= late.Seconds()*1000 && first <= late && thawed <= late {
						t.Errorf("%s; want %d ms", text, frozenP99Ms)
						return
					}
				}
				busy.Add(1)
			})
		}
		wg.Wait()
	}
	if n := busy.Load(); n > 0 && !t.Failed() {
		t.Skipf("this machine was too busy for %d of nine, four times each", n)
	}
}
