package drive

import (
	"net/http"
	"sync"
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
	began time.Time // of the schedule

	mu     sync.Mutex
	first  time.Duration // when the first request came, which was due at once
	thawed time.Duration // latest answer of a request that waited out the freeze, after its end
}

func (s *frozen) ServeHTTP(http.ResponseWriter, *http.Request) {
	const begin = 3985 * time.Millisecond
	s.mu.Lock()
	if s.first == 0 {
		s.first = time.Since(s.began)
	}
	s.mu.Unlock()
	end := s.began.Add(begin + frozenFor)
	if left := time.Until(end); left > 0 && left < frozenFor {
		time.Sleep(left)
		s.mu.Lock()
		s.thawed = max(s.thawed, time.Since(end))
		s.mu.Unlock()
	}
}

// TestAFreezeHasItsLengthAtAnyRate: a generator that waits for its target before it sends the next request would show a single
// slow answer of two hundred or of five thousand. Real time; an attempt in which this machine itself was late by more than a
// hundredth of the freeze proves nothing either way and is made again.
func TestAFreezeHasItsLengthAtAnyRate(t *testing.T) {
	once(t)
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const slack = 0.05 * frozenP99Ms
	const late = 10 * time.Millisecond
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			for _, perSecond := range []float64{20, 100, 500} {
				t.Run(time.Duration(float64(time.Second)/perSecond).String(), func(t *testing.T) {
					t.Parallel()
					for attempt := 1; ; attempt++ {
						s, sc := &frozen{}, get("/")
						eng := e.make(t, Config{Scenario: sc, Target: onReal(t, s)})
						s.began = time.Now()
						tally, sums := drive(t, t.Context(), eng, Load{Plan: fixed(t, perSecond, 10*time.Second)}, recorder(sc))
						if n := uint64(10 * perSecond); tally.Journeys != n || sums.OK != n || tally.Dropped != 0 {
							t.Fatalf("%+v, %d good; want %d and none dropped", tally, sums.OK, n)
						}
						p99 := *sums.Latency.P99Ms
						if near(p99, frozenP99Ms, slack) {
							t.Logf("p99 %.0f ms, schedule lag %.1f ms, begun %v and thawed %v late", p99, *sums.LagP99Ms, s.first, s.thawed)
							return
						}
						if busy := *sums.LagP99Ms > ms(late) || s.first > late || s.thawed > late; !busy || attempt == 4 {
							t.Fatalf("p99 %.0f ms, want %d ± %.0f; schedule lag %.1f ms, begun %v and thawed %v late (attempt %d)", p99, frozenP99Ms, slack, *sums.LagP99Ms, s.first, s.thawed, attempt)
						}
					}
				})
			}
		})
	}
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
