// Package tui shows a running experiment: a screen with charts and keys, or plain progress lines where there is no terminal.
//
// It stands beside the line from schedule to report and looks at it through one immutable record.Snapshot, four times a second.
//
// It never measures, decides or writes files, and it cannot slow the load: nobody waits for the terminal but this package's own goroutines.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/captest/captest/internal/record"
)

// How often the snapshot is looked at, and how long a terminal that takes no more bytes is waited for at the end.
const (
	every    = 250 * time.Millisecond
	patience = 500 * time.Millisecond
	frames   = 15 // per second at most, so that keys are answered at once
)

// ErrLeave is Run's answer to a second ctrl-c: the person will not wait for the experiment to finish.
var ErrLeave = errors.New("left at once on request")

// Options of Run.
type Options struct {
	Snapshot func() *record.Snapshot // must not block; an atomic load
	Out      io.Writer               // the terminal, normally stderr
	In       io.Reader               // the keyboard, normally stdin; a file that is no terminal: the controlling terminal is opened instead; nil: no keys
	Keys     func(Action)            // called on a goroutine of its own, in the order of the keys; nil: keys only change the view
	Done     <-chan struct{}         // closed when the experiment is over: the screen goes away
	Color    bool                    // false: not one colour or style
	Environ  []string                // KEY=value, for TERM and the like; nil: the process's own

	Width, Height int // used when Out is not a terminal; 0: 80×24
}

// Run shows the screen until Done is closed, ctx ends, or ctrl-c was pressed twice (ErrLeave). It returns within
// about a second of that even when the terminal takes no more bytes; the terminal is then restored as far as it lets us.
func Run(ctx context.Context, o Options) error {
	if o.Snapshot == nil || o.Out == nil {
		return errors.New("tui: Snapshot and Out are needed")
	}
	if o.Width <= 0 || o.Height <= 0 {
		o.Width, o.Height = 80, 24
	}
	in, closeIn := keyboard(o.In)
	defer closeIn()
	restore := remember(in)

	out := newGate(o.Out)
	defer out.close()
	send := newCourier(o.Keys)
	defer send.close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out.writer()), tea.WithFPS(frames),
		tea.WithWindowSize(o.Width, o.Height), tea.WithoutSignalHandler(), // signals are the whole program's business
	}
	if o.Environ != nil {
		options = append(options, tea.WithEnvironment(o.Environ))
	}
	m := model{poll: o.Snapshot, ask: send.ask, theme: newTheme(o.Color), snap: o.Snapshot(), w: o.Width, h: o.Height}
	program := tea.NewProgram(m, options...)

	type end struct {
		model tea.Model
		err   error
	}
	ended := make(chan end, 1)
	go func() {
		last, err := program.Run()
		ended <- end{last, err}
	}()

	select {
	case e := <-ended:
		if last, ok := e.model.(model); ok && last.leave {
			return ErrLeave
		}
		if e.err != nil && ctx.Err() == nil {
			return fmt.Errorf("screen: %w", e.err)
		}
		return nil
	case <-ctx.Done():
	case <-o.Done:
	}
	cancel()
	select {
	case <-ended:
		return nil
	case <-time.After(patience):
	}
	out.abandon() // the terminal is stuck; every write returns from here on
	select {
	case <-ended:
	case <-time.After(patience):
	}
	restore()
	return nil
}

// keyboard finds where keys come from: standard input may be a file (`captest run < users.csv`) while a person still sits there.
func keyboard(in io.Reader) (r io.Reader, closeIn func()) {
	nothing := func() {}
	f, isFile := in.(*os.File)
	if in == nil || isFile && f == nil {
		return nil, nothing
	}
	if !isFile || term.IsTerminal(int(f.Fd())) {
		return in, nothing
	}
	tty, ttyOut, err := tea.OpenTTY()
	if err != nil {
		return nil, nothing
	}
	return tty, func() {
		_ = tty.Close()
		if ttyOut != tty {
			_ = ttyOut.Close()
		}
	}
}

// remember notes the terminal's mode and gives the way back to it.
func remember(in io.Reader) (restore func()) {
	f, ok := in.(*os.File)
	if !ok {
		return func() {}
	}
	mode, err := term.GetState(int(f.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(int(f.Fd()), mode) }
}
