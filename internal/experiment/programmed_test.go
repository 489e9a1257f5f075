package experiment

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// question is one probe as a programmed target sees it.
type question struct {
	since      float64 // seconds since the load ended; below 0: under or before it
	kind, conn string
	step       string
	clients    string // of the last load: patient, aborting; "" before any
	load       float64
	restarted  bool
}

// answer: ms is how long it takes; longer than the probe waits is a timeout.
type answer struct {
	ok  bool
	ms  float64
	err string
}

var (
	fine = answer{ok: true, ms: 250}
	hung = answer{ms: math.Inf(1), err: "timeout"}
)

// programmed is a target, and the engine that loads it, in virtual time: what it answers is a function of the time since the load.
type programmed struct {
	x      *experiment
	answer func(question) answer
	gauges func(p *programmed) map[string]float64

	mu        sync.Mutex
	ended     time.Time
	clients   string
	rate      float64 // arrivals now
	failed    float64
	restarted bool
	loads     []drive.Load
}

func (p *programmed) ask(ctx context.Context, kind, step string, onFresh bool, timeout time.Duration) record.Probe {
	conn := "kept"
	if onFresh {
		conn = "fresh"
	}
	p.mu.Lock()
	q := question{since: -1, kind: kind, conn: conn, step: step, clients: p.clients, load: p.rate, restarted: p.restarted}
	if !p.ended.IsZero() {
		q.since = time.Since(p.ended).Seconds()
	}
	p.mu.Unlock()
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	a := p.answer(q)
	if a.ms > timeout.Seconds()*1000 {
		a = answer{ms: timeout.Seconds() * 1000, err: "timeout"}
	}
	out := record.Probe{OffsetS: p.x.now().Seconds(), Probe: kind, Connection: conn, Service: "main", Step: step, OK: a.ok, Ms: a.ms, Error: a.err}
	_ = sleep(ctx, time.Duration(a.ms*float64(time.Millisecond)))
	return out
}

func (p *programmed) Walk(ctx context.Context, onFresh bool, timeout time.Duration) []record.Probe {
	var out []record.Probe
	for _, s := range p.x.Scenario.Steps {
		a := p.ask(ctx, "functional", s.Name, onFresh, timeout)
		out = append(out, a)
		if !a.OK {
			break
		}
	}
	return out
}

func (p *programmed) Get(ctx context.Context, _, _ string, onFresh bool, timeout time.Duration) record.Probe {
	return p.ask(ctx, "health", "", onFresh, timeout)
}

// Drive sends ten requests a second, none of which fails but those of impatient clients, and drains in three seconds.
func (p *programmed) Drive(ctx context.Context, load drive.Load, rec *record.Recorder) (drive.Tally, error) {
	p.mu.Lock()
	p.loads = append(p.loads, load)
	p.clients = Patient
	if load.Patience > 0 {
		p.clients = Aborting
	}
	p.ended = time.Time{}
	p.mu.Unlock()
	length := load.For
	if load.Plan != nil {
		length = load.Plan.Length()
	}
	began := time.Now()
	for at := time.Duration(0); at < length && ctx.Err() == nil; at += 100 * time.Millisecond {
		p.mu.Lock()
		p.rate = 10
		if load.Plan != nil {
			if p.rate = load.Plan.Rate(time.Since(began)); len(load.Plan.Stages) > 1 && time.Since(began) > load.Plan.Stages[0].For && p.ended.IsZero() {
				p.ended = time.Now() // the trigger is over; what is kept up is not
			}
		}
		now := rec.Clock().Now()
		s := record.Sample{Intended: now, Started: now, Connected: now, Done: now + int64(250*time.Millisecond), Flags: record.Reused}
		if load.Patience > 0 {
			s.Error = record.ErrorTimeout
			p.failed++
		}
		p.mu.Unlock()
		rec.Shard(0).Begin(now)
		rec.Shard(0).Add(s)
		_ = sleep(ctx, 100*time.Millisecond)
	}
	last := p.x.now()
	p.mu.Lock()
	p.rate, p.ended = 0, time.Now()
	p.mu.Unlock()
	_ = sleep(ctx, 3*time.Second)
	return drive.Tally{LastSent: last}, nil
}

func (p *programmed) Close() {}

func (p *programmed) latest(string) (record.Scrape, bool) {
	if p.gauges == nil {
		return record.Scrape{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return record.Scrape{OffsetS: math.Floor(p.x.now().Seconds()), Service: "main", Values: p.gauges(p)}, true
}

func (p *programmed) restart(context.Context, string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restarted = true
	return nil
}

// try runs the recovery test against a programmed target and reads the verdict back from the run folder.
func try(t *testing.T, p *programmed, effort Effort, change func(*experiment)) record.Recovery {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		folder, err := record.Create(dir, "try", "stub", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		clock := record.NewClock()
		rec := record.NewRecorder(record.RecorderConfig{Clock: clock, Steps: []string{"work"}})
		service := targets.Service{Name: "main", URL: "http://127.0.0.1:1", Health: "/health", Restart: "restart"}
		if p.gauges != nil {
			service.Metrics = "/metrics"
		}
		x := &experiment{Config: Config{
			Scenario: &scenarios.Scenario{Name: "try", Steps: []scenarios.Step{{Name: "work"}}},
			Target:   &targets.Target{Name: "stub", Entry: "main", Services: []targets.Service{service}},
			Engine:   p, Prober: p, Recorder: rec, Folder: folder, Clock: clock, Control: &Control{}, Effort: effort,
			Observer: observe.New(observe.Config{Clock: clock}), Latest: p.latest,
		}, pace: paces[effort], care: recoveryOf(effort)}
		x.progress = newProgress(x.Config)
		p.x = x
		if change != nil {
			change(x)
		}
		recorded(t, x, func(ctx context.Context) {
			x.readings = x.collect(ctx)
			if err := x.quietBaseline(ctx); err != nil {
				t.Error(err)
			}
			if err := x.rest(ctx, 0); err != nil {
				t.Error(err)
			}
			x.quietSpan = Span{0, x.now().Seconds()}
			if err := x.testRecovery(ctx, reached{users: 50, best: 10, capacity: 10}); err != nil {
				t.Error(err)
			}
		})
	})
	_, res := readBack(t, p.x)
	r := res.Recovery
	if r == nil {
		t.Fatal("no verdict in the run folder")
	}
	return *r
}
