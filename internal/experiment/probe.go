package experiment

import (
	"context"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// healthTimeout is what a kubelet's default probe would allow, rounded up: a health answer later than this is no answer.
const healthTimeout = 2 * time.Second

// probe sends one probe and records it. kind is functional (the scenario's first step, unique data) or health (GET of the entry's health path).
func (x *experiment) probe(ctx context.Context, kind, conn string, timeout time.Duration) record.Probe {
	var p record.Probe
	if kind == "health" {
		s, ok := x.Target.Find("")
		if !ok || s.Health == "" {
			return record.Probe{}
		}
		p = x.Prober.Get(ctx, s.Name, s.Health, conn == "fresh", timeout)
	} else {
		p = x.Prober.Journey(ctx, conn == "fresh", timeout)
	}
	if ctx.Err() == nil {
		x.Folder.Probe(p)
		x.progress.probed(p)
	}
	return p
}

// watch probes at fixed intervals until it is stopped: health from the start, functional only from release on, so that
// probes do not add to the load whose effect they watch.
type watch struct {
	x        *experiment
	interval time.Duration // between two functional probes of one kind

	mu     sync.Mutex
	probes []record.Probe

	wg   sync.WaitGroup
	stop context.CancelFunc
	ctx  context.Context //nolint:containedctx // a watch is a background activity with one lifetime
}

// probeInterval keeps the functional probes of a healthy target below a quarter of one connection's time each.
func probeInterval(base Quiet) time.Duration {
	return clamp(time.Duration(4*base.MedianMs)*time.Millisecond, time.Second, 10*time.Second)
}

func (x *experiment) watch(ctx context.Context) *watch {
	w := &watch{x: x, interval: probeInterval(x.base)}
	w.ctx, w.stop = context.WithCancel(ctx)
	if s, ok := x.Target.Find(""); ok && s.Health != "" {
		w.every("health", "fresh", 500*time.Millisecond, 0, healthTimeout)
		w.every("health", "kept", 500*time.Millisecond, 250*time.Millisecond, healthTimeout)
	}
	return w
}

// functional starts the functional probes, fresh and kept half an interval apart.
func (w *watch) functional(timeout time.Duration) {
	w.every("functional", "fresh", w.interval, 0, timeout)
	w.every("functional", "kept", w.interval, w.interval/2, timeout)
}

// every probes each interval; a probe that takes longer than the interval delays the next one of its own kind only.
func (w *watch) every(kind, conn string, interval, offset, timeout time.Duration) {
	w.wg.Go(func() {
		if sleep(w.ctx, offset) != nil {
			return
		}
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			p := w.x.probe(w.ctx, kind, conn, timeout)
			if w.ctx.Err() != nil {
				return
			}
			w.mu.Lock()
			w.probes = append(w.probes, p) // bounded by the longest watch: 300 s · 6 probes a second
			w.mu.Unlock()
			select {
			case <-tick.C:
			case <-w.ctx.Done():
				return
			}
		}
	})
}

func (w *watch) seen() []record.Probe {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]record.Probe(nil), w.probes...)
}

func (w *watch) close() {
	w.stop()
	w.wg.Wait()
}
