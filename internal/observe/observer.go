// Package observe LOOKS: it scrapes the target's own metrics and reads the machine and captest itself, once a second, into
// the run folder and for the screen.
//
// It stands beside drive and feeds record. It sends no load, explains nothing, and a target that does not answer it is data,
// not a failure.
package observe

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// Config of an Observer.
type Config struct {
	Target *targets.Target
	Guard  *targets.Guard // every dial goes through it; nil allows loopback alone
	TLS    *tls.Config    // whom https trusts and as whom it comes, as for the load; nil: the system's roots
	Folder *record.Folder // nil: readings are kept for the screen only
	Clock  record.Clock
	Every  time.Duration // between readings; 0: a second
}

// DefaultEvery is the time between readings. Scraping a blocked event loop adds work to it: not more often.
const DefaultEvery = time.Second

// Observer reads the target and the machine. Its memory does not grow with the length of the run.
type Observer struct {
	c        Config
	scrapers []*scraper // of the services that have metrics, in target order
	machine  *machine
	self     *self
	target   *processes // nil: none of the target's services run here

	mu    sync.Mutex
	host  record.HostReading
	procs map[string]record.ProcessReading // latest, by service
	past  past
}

// New makes an Observer; Run starts it.
func New(c Config) *Observer {
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	if c.Clock.Start().IsZero() {
		c.Clock = record.NewClock()
	}
	if c.Guard == nil {
		c.Guard = &targets.Guard{}
	}
	o := &Observer{c: c, machine: newMachine(), self: newSelf(c.Clock), target: newProcesses(c.Target)}
	if c.Target == nil {
		return o
	}
	for _, s := range c.Target.Services {
		if s.Metrics != "" && s.URL != "" {
			o.scrapers = append(o.scrapers, newScraper(c, s))
		}
	}
	return o
}

// Run reads until ctx is done: each service on a goroutine and a connection of its own, so that one that hangs delays no other.
func (o *Observer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range o.scrapers {
		wg.Go(func() {
			defer s.close()
			every(ctx, o.c.Every, func() { s.once(ctx) })
		})
	}
	wg.Go(func() { every(ctx, o.c.Every, o.readProcesses) })
	wg.Go(func() { o.self.stalls.watch(ctx) })
	every(ctx, o.c.Every, o.readHost)
	wg.Wait()
}

// every calls f at once and then once an interval until ctx is done.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (o *Observer) readHost() {
	h := record.HostReading{OffsetS: offset(o.c.Clock)}
	o.machine.read(&h)
	o.self.read(&h)
	o.mu.Lock()
	o.host = h
	o.past.host(h)
	o.mu.Unlock()
	if o.c.Folder != nil {
		o.c.Folder.Host(h)
	}
}

func (o *Observer) readProcesses() {
	all := o.target.read(offset(o.c.Clock))
	if len(all) == 0 {
		return
	}
	latest := make(map[string]record.ProcessReading, len(all))
	for _, p := range all {
		latest[p.Service] = p
		if o.c.Folder != nil {
			o.c.Folder.Process(p)
		}
	}
	o.mu.Lock()
	o.procs = latest
	o.past.processes(all)
	o.mu.Unlock()
}

// Process is the latest look at a service's processes; false when it does not run here, or cannot be seen.
func (o *Observer) Process(service string) (record.ProcessReading, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.procs[service]
	return p, ok && p.Error == ""
}

// Host is the latest reading of the machine and of captest itself; nil fields are unknown.
func (o *Observer) Host() record.HostReading {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.host
}

// GeneratorCPU is captest's own CPU use from since (Clock ns) until now, in percent of one core; false when it is unknown.
func (o *Observer) GeneratorCPU(since int64) (percent float64, ok bool) {
	return o.self.cpuSince(since)
}

// StoodStill is the longest time since then (Clock ns) for which captest itself did nothing at all: stopped, swapped out, or without
// a core. 0 when it did not, shortly enough for a scheduler to be the reason, or when Run is not running.
func (o *Observer) StoodStill(since int64) time.Duration { return o.self.stalls.longest(since) }

// Latest is a service's last good scrape, which must not be changed; false when there was none.
func (o *Observer) Latest(service string) (record.Scrape, bool) {
	for _, s := range o.scrapers {
		if s.service.Name == service {
			_, last, _ := s.readings()
			if last != nil {
				return *last, true
			}
		}
	}
	return record.Scrape{}, false
}

// offset is now, in seconds since the run began.
func offset(c record.Clock) float64 { return float64(c.Now()) / 1e9 }

func known(v float64) *float64 { return &v }
