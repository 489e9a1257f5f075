package tui

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/exp/golden"

	"github.com/captest/captest/internal/record"
)

// A whole run in virtual time: which lines are written, and when.
func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[record.Snapshot]
		now.Store(start())
		out, over, finished := &sink{}, make(chan struct{}), make(chan struct{})
		go func() { defer close(finished); Plain(t.Context(), out, now.Load, over) }()

		time.Sleep(7*time.Second + 100*time.Millisecond) // nothing to say yet; never at the instant of a tick
		for _, part := range []struct {
			s    *record.Snapshot
			from int
			for_ int
		}{{ramp(), 35, 12}, {overload(), 74, 6}, {recovery(), 96, 11}} {
			for i := range part.for_ {
				s := *part.s
				s.Elapsed = time.Duration(part.from+i) * time.Second
				if i == 0 {
					s.TrialLatency = record.Quantiles{}
				}
				now.Store(&s)
				time.Sleep(time.Second)
			}
		}
		now.Store(done())
		close(over)
		<-finished
		golden.RequireEqual(t, out.text())
	})
}

func TestPlainReturnsAlthoughTheWriterIsStuck(t *testing.T) {
	for _, by := range []string{"done", "context"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, over := newStuck(), make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				finished := make(chan struct{})
				go func() { defer close(finished); Plain(ctx, out, ramp, over) }()
				time.Sleep(10 * time.Minute) // far more lines than are kept
				ended := time.Now()
				if by == "done" {
					close(over)
				} else {
					cancel()
				}
				<-finished
				if took := time.Since(ended); took > time.Second {
					t.Errorf("Plain took %v to return", took)
				}
				close(out.free)
				synctest.Wait()
				if n := strings.Count(out.text(), "\n"); n == 0 || n > 70 {
					t.Errorf("%d lines kept for the stuck writer, want a bounded number", n)
				}
			})
		})
	}
}

func TestPlainLinesAreSafeAndAligned(t *testing.T) {
	s := overload()
	s.Phase, s.PhaseNote = "over\x1b[31mload", "a\nb"
	s.Warnings = []string{"bad\x1b]0;title\x07"}
	var p progressLines
	p.look(s, time.Now(), func(l string) {
		if strings.ContainsAny(l, "\x1b\n\x07") {
			t.Errorf("control character in %q", l)
		}
	})
	if a, b := strings.Index(progressLine(ramp()), "p50"), strings.Index(progressLine(overload()), "p50"); a != b {
		t.Errorf("p50 stands in column %d and %d", a, b)
	}
}
