// Command captest load-tests services and diagnoses their capacity.
//
// It ties the rooms together and stands at both ends of the line: flags in, exit code out. There is no logic here that a
// room could hold; run.go is the whole pipeline on one screen.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/captest/captest/internal/gate"
)

func main() {
	e := &env{
		args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), stdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
	}
	signal.Ignore(syscall.SIGPIPE) // a closed pipe on stderr must not kill a run: writes fail instead
	os.Exit(captest(e))
}

// env is the process's state, passed down so that tests can stand in for it.
type env struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	terminal       bool // stderr is a terminal
	stdoutTerminal bool
}

// color says whether a stream may be coloured. Source: no-color.org.
func (e *env) color(terminal bool) bool { return terminal && e.getenv("NO_COLOR") == "" }

// captest runs one command and gives its exit code.
func captest(e *env) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(e.stderr, "error: internal error: %v\n%s\nhint: this is a defect of captest; what was measured so far is in the run folder\n", r, debug.Stack())
			code = gate.ExitPanic
		}
	}()
	root := newRoot(e)
	root.SetArgs(e.args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(context.Background())
	return complain(e.stderr, err)
}

// complain prints an error with its hint and gives the exit code.
func complain(w io.Writer, err error) int {
	if err == nil {
		return gate.ExitPass
	}
	var done *exitError
	if errors.As(err, &done) && done.cause == nil {
		return done.code
	}
	fmt.Fprintf(w, "error: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "hint: %s\n", h.Hint())
	}
	return exitCode(err)
}

// interrupted calls quit at the first SIGINT, SIGTERM or SIGHUP; the second one is left to the system, which ends the process
// (and with it, through the lifeline, every service it started).
func interrupted(quit func()) (stop func()) {
	c := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case <-c:
			signal.Stop(c)
			quit()
		case <-done:
		}
	}()
	return func() {
		signal.Stop(c)
		close(done)
	}
}
