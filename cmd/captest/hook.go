package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/captest/captest/targets"
)

// hookTimeout bounds a command of a target file: a service that takes longer to restart was not restarted by it.
const hookTimeout = time.Minute

// restartHook runs the commands that a target file gives for its services; nil when it gives none. They are the user's own
// words, run by a shell as the user. said gets what a command that fails has written.
func restartHook(t *targets.Target, said io.Writer) func(context.Context, string) error {
	any := false
	for _, s := range t.Services {
		any = any || s.Restart != ""
	}
	if !any {
		return nil
	}
	return func(ctx context.Context, service string) error {
		s, ok := t.Find(service)
		if !ok || s.Restart == "" {
			return fmt.Errorf("target %s: service %q has no restart command; add restart: to it in the target file", t.Name, service)
		}
		return runHook(ctx, service+" restart", s.Restart, hookTimeout, said)
	}
}

// runHook runs a shell command to its end. What it leaves running (the service, if it starts it in the background) keeps
// running; when the time is over the command and all its children are ended.
//
// Errors go into the run folder and from there to whoever reads a report. A command may hold a token, and its output may repeat it:
// an error has neither, but the command's name and how it ended.
func runHook(ctx context.Context, name, command string, timeout time.Duration, said io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out tail
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second // a service it started holds on to its output
	err := c.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%s: its command did not end within %s; does it start the service in the foreground?", name, timeout)
	case err != nil && !isWaitDelay(err):
		err = fmt.Errorf("%s: its command failed (%w)", name, err)
	default:
		return nil
	}
	if text := out.said(); text != "" {
		fmt.Fprintf(said, "%v; it said: %s\n", err, text)
	}
	return err
}

func isWaitDelay(err error) bool { return err == exec.ErrWaitDelay } //nolint:errorlint // Run returns it bare

// tail keeps the end of what a command says.
type tail struct{ b bytes.Buffer }

const tailMax = 400

func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if extra := t.b.Len() - tailMax; extra > 0 {
		t.b.Next(extra)
	}
	return len(p), nil
}

func (t *tail) said() string {
	return strings.TrimSpace(strings.ToValidUTF8(t.b.String(), ""))
}

// held keeps what is written while the screen is up.
type held struct {
	mu sync.Mutex
	b  bytes.Buffer // a run has a handful of commands, of which each leaves its tail
}

func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

// release writes it, once.
func (h *held) release(to io.Writer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.b.WriteTo(to) // stderr: nobody is left to tell
}
