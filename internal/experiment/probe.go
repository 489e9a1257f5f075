package experiment

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
)

// Prober asks the target single questions; drive.Prober does.
type Prober interface {
	// Walk sends every step of the scenario once and gives a probe for each that was sent.
	Walk(ctx context.Context, onFresh bool, timeout time.Duration) []record.Probe
	// Get asks for a path of a service.
	Get(ctx context.Context, service, path string, onFresh bool, timeout time.Duration) record.Probe
}

// Asker sends what tests that tell causes apart are made of, as drive.Prober does.
type Asker interface {
	Burst(ctx context.Context, n int, path string, timeout time.Duration) ([]drive.Asked, error)
	Empty(ctx context.Context, timeout time.Duration) (answer drive.Asked, ok bool, err error)
	Crowd(ctx context.Context, users int, how drive.Sharing, length time.Duration, most uint64) (drive.CrowdSums, error)
	Multiplexes() bool
}

// healthTimeout is what a kubelet's default probe would allow, rounded up: a health answer later than this is no answer.
const healthTimeout = 2 * time.Second

// walk sends one functional probe: the scenario's steps, with data of their own.
func (x *experiment) walk(ctx context.Context, conn string, timeout time.Duration) []record.Probe {
	return x.keep(ctx, x.Prober.Walk(ctx, conn == "fresh", timeout))
}

// health asks the entry's health check; nothing when it has none.
func (x *experiment) health(ctx context.Context, conn string, timeout time.Duration) []record.Probe {
	s, ok := x.Target.Find("")
	if !ok || s.Health == "" {
		return nil
	}
	return x.keep(ctx, []record.Probe{x.Prober.Get(ctx, s.Name, s.Health, conn == "fresh", timeout)})
}

func (x *experiment) keep(ctx context.Context, probes []record.Probe) []record.Probe {
	if ctx.Err() != nil {
		return probes // a probe cut off by the end of the run says nothing about the target
	}
	for _, p := range probes {
		x.Folder.Probe(p)
		x.progress.probed(p)
	}
	return probes
}

// watch probes at fixed intervals until it is stopped: health from the start, functional only from release on, so that
// probes do not add to the load whose effect they watch.
type watch struct {
	x        *experiment
	interval time.Duration // between two functional probes of one kind

	mu     sync.Mutex
	probes []record.Probe
	open   map[float64]int // functional probes without an answer, by when they were sent

	wg   sync.WaitGroup
	stop context.CancelFunc
	ctx  context.Context //nolint:containedctx // a watch is a background activity with one lifetime
}

// probeInterval keeps the functional probes of a healthy target below 0.3 of one connection's time each. Below one second, so
// that a recovery is known to ±1 s.
func probeInterval(medianMs float64) time.Duration {
	return clamp(time.Duration(3.6*medianMs)*time.Millisecond, 900*time.Millisecond, 10*time.Second)
}

func (x *experiment) watch(ctx context.Context) *watch {
	w := &watch{x: x, interval: probeInterval(x.walkMs()), open: map[float64]int{}}
	w.ctx, w.stop = context.WithCancel(ctx)
	if s, ok := x.Target.Find(""); ok && s.Health != "" {
		ask := func(conn string) func() []record.Probe {
			return func() []record.Probe { return x.health(w.ctx, conn, healthTimeout) }
		}
		w.every(500*time.Millisecond, 0, 1, ask("fresh"))
		w.every(500*time.Millisecond, 250*time.Millisecond, 1, ask("kept"))
	}
	return w
}

// functional starts the functional probes, fresh and kept half an interval apart. A fresh one does not wait for those before
// it: a target that hangs would otherwise be asked once a timeout, and when it came back would be known no better than that.
func (w *watch) functional(timeout time.Duration) {
	ask := func(conn string) func() []record.Probe {
		return func() []record.Probe {
			sent := w.x.now().Seconds()
			w.mu.Lock()
			w.open[sent]++
			w.mu.Unlock()
			probes := w.x.walk(w.ctx, conn, timeout)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.probes = append(w.probes, probes...) // bounded by the longest watch: 600 s · 6 probes a second
			if w.open[sent]--; w.open[sent] == 0 {
				delete(w.open, sent)
			}
			return nil
		}
	}
	w.every(w.interval, 0, max(1, int(timeout/w.interval)+1), ask("fresh"))
	w.every(w.interval, w.interval/2, 1, ask("kept"))
}

// every asks each interval, offset from now on, with at most so many questions open: one more is left out.
func (w *watch) every(interval, offset time.Duration, open int, ask func() []record.Probe) {
	turn := make(chan struct{}, open)
	w.wg.Go(func() {
		if sleep(w.ctx, offset) != nil {
			return
		}
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case turn <- struct{}{}:
				w.wg.Go(func() {
					probes := ask()
					if w.ctx.Err() == nil {
						w.mu.Lock()
						w.probes = append(w.probes, probes...)
						w.mu.Unlock()
					}
					<-turn
				})
			default:
			}
			select {
			case <-tick.C:
			case <-w.ctx.Done():
				return
			}
		}
	})
}

// seen gives the answers so far, and when the functional probes were sent that have none.
func (w *watch) seen() (probes []record.Probe, open []float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.probes), slices.Collect(maps.Keys(w.open))
}

func (w *watch) close() {
	w.stop()
	w.wg.Wait()
}
