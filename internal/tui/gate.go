package tui

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"
)

// leave undoes what the screen switched on, for a terminal that was stuck while the screen went away: synchronised
// output, styles, keyboard protocols and bracketed paste off, cursor on, back to the normal screen.
const leave = "\x1b[?2026l\x1b[0m\x1b[>4m\x1b[<u\x1b[?2004l\x1b[?25h\x1b[?1049l"

// gate stands between the screen and the terminal. Writes are done by one goroutine, so that a terminal which takes
// no more bytes (a suspended pane, a slow pipe) can be abandoned: from then on every Write returns at once.
type gate struct {
	w         io.Writer
	jobs      chan job
	abandoned chan struct{}
	stop      chan struct{}
	once      sync.Once
}

type job struct {
	bytes []byte
	done  chan result // buffered: nobody may be waiting any more
}

type result struct {
	n   int
	err error
}

func newGate(w io.Writer) *gate {
	g := &gate{w: w, jobs: make(chan job), abandoned: make(chan struct{}), stop: make(chan struct{})}
	go g.pump()
	return g
}

func (g *gate) pump() {
	for {
		select {
		case j := <-g.jobs:
			n, err := g.w.Write(j.bytes)
			j.done <- result{n, err}
		case <-g.stop:
			select {
			case <-g.abandoned: // it took bytes again after all
				_, _ = io.WriteString(g.w, leave)
			default:
			}
			return
		}
	}
}

// Write waits for the terminal, or returns as if all were well once it has been abandoned.
func (g *gate) Write(p []byte) (int, error) {
	j := job{bytes.Clone(p), make(chan result, 1)}
	select {
	case <-g.abandoned:
		return len(p), nil
	default:
	}
	select {
	case g.jobs <- j:
	case <-g.abandoned:
		return len(p), nil
	}
	select {
	case r := <-j.done:
		return r.n, r.err
	case <-g.abandoned:
		return len(p), nil
	}
}

// abandon lets every writer go.
func (g *gate) abandon() { g.once.Do(func() { close(g.abandoned) }) }

// close ends the goroutine as soon as the terminal lets go of it. No Write may follow, except after abandon.
func (g *gate) close() { close(g.stop) }

// writer is the gate as bubbletea wants it: for a file also its descriptor, to ask for the window's size and changes of it.
func (g *gate) writer() io.Writer {
	if f, ok := g.w.(*os.File); ok {
		return gatedFile{f, g}
	}
	return g
}

type gatedFile struct {
	*os.File
	gate *gate
}

func (f gatedFile) Write(p []byte) (int, error)       { return f.gate.Write(p) }
func (f gatedFile) WriteString(s string) (int, error) { return f.gate.Write([]byte(s)) }

// ReadFrom hides the file's own, which would go around the gate.
func (f gatedFile) ReadFrom(r io.Reader) (int64, error) { return io.Copy(f.gate, r) }

// courier carries key actions to their receiver without ever making the keyboard wait. Quit has a place of its own,
// so that it gets through even when a receiver does not keep up and other keys are dropped.
type courier struct {
	actions chan Action
	quit    chan struct{}
	stop    chan struct{}
	gone    chan struct{}
}

func newCourier(receive func(Action)) *courier {
	c := &courier{make(chan Action, 64), make(chan struct{}, 1), make(chan struct{}), make(chan struct{})}
	if receive == nil {
		receive = func(Action) {}
	}
	go c.carry(receive)
	return c
}

func (c *courier) carry(receive func(Action)) {
	defer close(c.gone)
	for {
		select {
		case <-c.quit:
			receive(Quit)
		case a := <-c.actions:
			receive(a)
		case <-c.stop:
			select {
			case <-c.quit: // the last word must not be lost
				receive(Quit)
			default:
			}
			return
		}
	}
}

// ask never blocks.
func (c *courier) ask(a Action) {
	if a == Quit {
		select {
		case c.quit <- struct{}{}:
		default:
		}
		return
	}
	select {
	case c.actions <- a:
	default:
	}
}

// close delivers a pending quit and waits a little for a receiver that is slow.
func (c *courier) close() {
	close(c.stop)
	select {
	case <-c.gone:
	case <-time.After(patience):
	}
}
