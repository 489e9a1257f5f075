package observe

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"

	"github.com/captest/captest/internal/record"
)

// self watches captest: a generator that is short of CPU, paused or out of descriptors must not blame the target.
type self struct {
	clock  record.Clock
	pauses []metrics.Sample
	base   []uint64 // GC pauses before the run, by bucket
	stalls stalls

	mu   sync.Mutex
	used []usage // cumulative, oldest first; thinned when full
}

// usage is the CPU time captest had used at an instant.
type usage struct {
	at  int64 // Clock ns
	cpu float64
}

// mostUsages bounds the memory of self; when it is reached every second one is forgotten.
const mostUsages = 4096

func newSelf(c record.Clock) *self {
	s := &self{clock: c, stalls: stalls{clock: c}, pauses: []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}}
	if h := s.gcPauses(); h != nil {
		s.base = append(s.base, h.Counts...)
	}
	s.note()
	return s
}

// note remembers the CPU time used so far.
func (s *self) note() {
	cpu, ok := cpuSeconds()
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.used) == mostUsages {
		kept := s.used[:0]
		for i := 0; i < mostUsages; i += 2 {
			kept = append(kept, s.used[i])
		}
		s.used = kept
	}
	s.used = append(s.used, usage{s.clock.Now(), cpu})
}

// noted is the instant of the last note, 0 without one.
func (s *self) noted() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.used) == 0 {
		return 0
	}
	return s.used[len(s.used)-1].at
}

// cpuSince is the mean CPU use from an instant until now, in percent of one core.
func (s *self) cpuSince(since int64) (float64, bool) {
	cpu, ok := cpuSeconds()
	if !ok {
		return 0, false
	}
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.used) == 0 || since >= now {
		return 0, false
	}
	from := s.at(since)
	if now <= from.at {
		return 0, false
	}
	return 100 * max(0, cpu-from.cpu) / (float64(now-from.at) / 1e9), true
}

// at interpolates the CPU time used at an instant; before the first note it is the first, after the last the last.
func (s *self) at(t int64) usage {
	last := s.used[len(s.used)-1]
	for i := len(s.used) - 1; i >= 0; i-- {
		u := s.used[i]
		if u.at > t {
			last = u
			continue
		}
		if last.at <= u.at {
			return u
		}
		share := float64(t-u.at) / float64(last.at-u.at)
		return usage{t, u.cpu + share*(last.cpu-u.cpu)}
	}
	return s.used[0]
}

// read fills in captest's own part of a reading.
func (s *self) read(h *record.HostReading) {
	if cpu, ok := s.cpuSince(s.noted()); ok {
		h.GeneratorCPUPercent = known(cpu)
	}
	s.note()
	h.Goroutines = known(float64(runtime.NumGoroutine()))
	h.GCPauseP99Ms = s.pauseP99()
	h.GeneratorRSSBytes, h.GeneratorFDs = residentBytes(), openDescriptors()
	h.GeneratorFDLimit = descriptorLimit()
}

func (s *self) gcPauses() *metrics.Float64Histogram {
	metrics.Read(s.pauses)
	if s.pauses[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return s.pauses[0].Value.Float64Histogram()
}

// pauseP99 is the 99th percentile of the GC pauses since the run began, in ms; nil before the first.
func (s *self) pauseP99() *float64 {
	h := s.gcPauses()
	if h == nil {
		return nil
	}
	counts := append([]uint64(nil), h.Counts...)
	var total uint64
	for i := range counts {
		if i < len(s.base) {
			counts[i] -= min(s.base[i], counts[i])
		}
		total += counts[i]
	}
	if total == 0 {
		return nil
	}
	rank, seen := uint64(math.Ceil(0.99*float64(total))), uint64(0)
	for i, n := range counts {
		if seen += n; seen >= rank {
			bound := h.Buckets[i+1] // upper bound: never better than it was
			if math.IsInf(bound, 0) {
				bound = h.Buckets[i]
			}
			return known(1000 * bound)
		}
	}
	return nil
}
