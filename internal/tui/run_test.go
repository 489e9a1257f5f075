package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

// limit is how long Run and Plain may take to return on a busy test machine; they promise about a second.
const limit = 20 * time.Second

// stuck is a terminal that takes no more bytes until it is let go.
type stuck struct {
	entered chan struct{} // closed at the first write
	free    chan struct{}
	once    sync.Once
	mu      sync.Mutex
	got     bytes.Buffer
}

func newStuck() *stuck { return &stuck{entered: make(chan struct{}), free: make(chan struct{})} }

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func (s *stuck) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// sink is a terminal that works.
type sink struct {
	mu  sync.Mutex
	got bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func within(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(limit):
		t.Fatalf("%s: still not after %v", what, limit)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not after %v", what, limit)
		}
	}
}

func TestRunReturnsAlthoughTheTerminalIsStuck(t *testing.T) {
	for _, by := range []string{"done", "context"} {
		t.Run(by, func(t *testing.T) {
			out, finished := newStuck(), make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			over := make(chan struct{})
			var err error
			go func() {
				defer close(finished)
				err = Run(ctx, Options{Snapshot: ramp, Out: out, Done: over, Environ: []string{"TERM=xterm"}})
			}()
			within(t, "first write", out.entered)
			if by == "done" {
				close(over)
			} else {
				cancel()
			}
			within(t, "Run", finished)
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			close(out.free) // the terminal comes back: it is put in order all the same
			until(t, "restoring", func() bool { return strings.HasSuffix(out.text(), leave) })
		})
	}
}

func TestRunShowsTheScreenAndRestoresTheTerminal(t *testing.T) {
	out, over, finished := &sink{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		if err := Run(t.Context(), Options{Snapshot: ramp, Out: out, Done: over, Environ: []string{"TERM=xterm"}}); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	until(t, "drawing", func() bool { return strings.Contains(out.text(), "registration on reference:before") })
	close(over)
	within(t, "Run", finished)
	got := out.text()
	if in, gone := strings.Index(got, "\x1b[?1049h"), strings.LastIndex(got, "\x1b[?1049l"); in < 0 || gone < in {
		t.Errorf("alternate screen entered at %d, left at %d", in, gone)
	}
}

func TestRunPassesKeysOn(t *testing.T) {
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	out, actions, finished := &sink{}, make(chan Action, 9), make(chan struct{})
	var err error
	go func() {
		defer close(finished)
		err = Run(t.Context(), Options{Snapshot: ramp, Out: out, In: in, Keys: func(a Action) { actions <- a }, Environ: []string{"TERM=xterm"}})
	}()
	until(t, "drawing", func() bool { return strings.Contains(out.text(), "captest") })
	for _, k := range []struct {
		typed string
		want  Action
	}{{"m", Mark}, {"n", Next}, {"\x03", Quit}} {
		_, _ = io.WriteString(keyboard, k.typed)
		select {
		case got := <-actions:
			if got != k.want {
				t.Errorf("%q asked for %s, want %s", k.typed, got, k.want)
			}
		case <-time.After(limit):
			t.Fatalf("%q asked for nothing", k.typed)
		}
	}
	until(t, "the answer to ctrl-c", func() bool { return strings.Contains(out.text(), "writing") })
	_, _ = io.WriteString(keyboard, "\x03")
	within(t, "Run", finished)
	if !errors.Is(err, ErrLeave) {
		t.Errorf("Run after the second ctrl-c: %v, want ErrLeave", err)
	}
}

// A receiver that does not take actions must not make the keyboard wait; quit gets through nevertheless.
func TestCourierNeverBlocks(t *testing.T) {
	var got []Action
	entered, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := newCourier(func(a Action) {
		once.Do(func() { close(entered); <-free })
		got = append(got, a)
	})
	c.ask(Mark)
	within(t, "receiver", entered)
	for range 1000 {
		c.ask(Mark)
	}
	c.ask(Quit)
	c.ask(Quit)
	close(free)
	c.close()
	within(t, "courier", c.gone)
	quits := 0
	for _, a := range got {
		if a == Quit {
			quits++
		}
	}
	if quits != 1 {
		t.Errorf("quit arrived %d times among %d actions, want once", quits, len(got))
	}
}

func TestRunNeedsSnapshotAndOut(t *testing.T) {
	if err := Run(t.Context(), Options{Out: io.Discard}); err == nil {
		t.Error("no error without Snapshot")
	}
	if err := Run(t.Context(), Options{Snapshot: func() *record.Snapshot { return nil }}); err == nil {
		t.Error("no error without Out")
	}
}
