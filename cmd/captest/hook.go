package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/captest/captest/targets"
)

// hookTimeout bounds a command of a target file: a service that takes longer to restart was not restarted by it.
const hookTimeout = time.Minute

// restartHook runs the commands that a target file gives for its services; nil when it gives none. They are the user's own
// words, run by a shell as the user.
func restartHook(t *targets.Target) func(context.Context, string) error {
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
		if err := runHook(ctx, s.Restart, hookTimeout); err != nil {
			return fmt.Errorf("restart %w", err)
		}
		return nil
	}
}

// runHook runs a shell command to its end. What it leaves running (the service, if it starts it in the background) keeps
// running; when the time is over the command and all its children are ended.
func runHook(ctx context.Context, command string, timeout time.Duration) error {
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
		return fmt.Errorf("command %q did not end within %s; does it start the service in the foreground?", command, timeout)
	case err != nil && !isWaitDelay(err):
		return fmt.Errorf("command %q: %w%s", command, err, out.said())
	}
	return nil
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
	if s := strings.TrimSpace(strings.ToValidUTF8(t.b.String(), "")); s != "" {
		return ": " + s
	}
	return ""
}
