package experiment

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// readings collects what the services' gauges show from the quiet baseline on: the recovery verdict compares levels over minutes.
type readings struct {
	mu       sync.Mutex
	scrapes  []record.Scrape
	started  map[string]float64 // process start times, the latest of each service
	restarts []RestartSeen
}

// mostReadings bounds the memory: two hours of four services.
const mostReadings = 4 * 7200

// collect polls the latest scrape of each service until ctx is done.
func (x *experiment) collect(ctx context.Context) *readings {
	r := &readings{started: map[string]float64{}}
	go func() {
		for sleep(ctx, 250*time.Millisecond) == nil {
			for _, s := range x.Target.Services {
				scrape, ok := x.latest(s.Name)
				process, seen := x.Observer.Process(s.Name)
				if ok || seen {
					r.add(joined(watched(scrape), process))
				}
			}
		}
	}()
	return r
}

func (r *readings) add(s record.Scrape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s.Values) == 0 || len(r.scrapes) == mostReadings || slices.ContainsFunc(r.scrapes[max(0, len(r.scrapes)-64):], func(o record.Scrape) bool { return o.Service == s.Service && o.OffsetS == s.OffsetS }) {
		return
	}
	r.scrapes = append(r.scrapes, s)
	// Several worker processes behind one port answer in turn: only a later start than any before is a restart.
	if at := s.Values[processStarted]; at > 0 {
		if was := r.started[s.Service]; was > 0 && at > was+1 {
			r.restarts = append(r.restarts, RestartSeen{Service: s.Service, AtS: s.OffsetS})
		}
		r.started[s.Service] = max(r.started[s.Service], at)
	}
}

func (r *readings) all() []record.Scrape {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.scrapes)
}

// seenRestarts leaves out services of which several workers answer in turn, which is known once the first one answers again.
func (r *readings) seenRestarts() []RestartSeen {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.restarts) == 0 {
		return nil
	}
	by := map[string][]*record.Scrape{}
	for i := range r.scrapes {
		by[r.scrapes[i].Service] = append(by[r.scrapes[i].Service], &r.scrapes[i])
	}
	return slices.DeleteFunc(slices.Clone(r.restarts), func(x RestartSeen) bool {
		_, several := record.Workers(by[x.Service])
		return several
	})
}

// since counts the readings of each service from an instant on and gives the fewest of any that has been read at all.
func (r *readings) since(fromS float64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, s := range r.scrapes {
		n[s.Service] += 0
		if s.OffsetS >= fromS {
			n[s.Service]++
		}
	}
	least := restReadings
	for _, k := range n {
		least = min(least, k)
	}
	return least
}

// silent says whether a service that has metrics was never read.
func (r *readings) silent(services []targets.Service) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(services, func(s targets.Service) bool {
		return s.Metrics != "" && !slices.ContainsFunc(r.scrapes, func(x record.Scrape) bool { return x.Service == s.Name })
	})
}

// latest good scrape of a service.
func (x *experiment) latest(service string) (record.Scrape, bool) {
	if x.Latest != nil {
		return x.Latest(service)
	}
	return x.Observer.Latest(service)
}

// rest waits until every service has been read three times since an instant, so that its level without load is known, and not
// longer than five seconds from now.
func (x *experiment) rest(ctx context.Context, fromS float64) error {
	first := x.quietSpan == Span{} // services that never answer are waited for once
	until := x.now() + 5*time.Second
	for (x.readings.since(fromS) < 3 || first && x.readings.silent(x.Target.Services)) && x.now() < until {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// sent is what has been sent since the run began. The snapshot is a second old at most, so it is exact after a rest.
func (x *experiment) sent() LoadCount {
	s := x.Recorder.Snapshot()
	c := LoadCount{Requests: s.Total + x.asked.Requests, Failed: s.TotalErrors + x.asked.Failed, Aborted: x.asked.Aborted}
	for _, e := range s.Errors {
		switch e.Name {
		case record.ErrorTimeout.String():
			c.Aborted += e.N
		case record.ErrorCanceled.String(): // by captest itself, at a load's end
			c.Requests, c.Failed = c.Requests-e.N, c.Failed-e.N
		}
	}
	return c
}

// less gives what was sent after another count.
func (c LoadCount) less(before LoadCount) LoadCount {
	c.Requests, c.Failed, c.Aborted = c.Requests-before.Requests, c.Failed-before.Failed, c.Aborted-before.Aborted
	return c
}
