package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

// TestMain lets the test binary be captest: the launcher re-executes it as "serve-one", and tests run it as a process of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "serve-one" || os.Getenv("CAPTEST_TEST_MAIN") == "1") {
		main()
		return
	}
	os.Unsetenv("CAPTEST_STORE") // the tests choose their stores themselves
	os.Exit(m.Run())
}

// program is captest in a process of its own.
type program struct {
	t              *testing.T
	cmd            *exec.Cmd
	out            string // --out
	stdout, stderr bytes.Buffer
}

// start runs captest with these arguments and a folder of its own for runs. It is killed when the test is over.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, out: t.TempDir()}
	if len(args) > 0 && (args[0] == "run" || args[0] == "demo") {
		args = append(args, "--out", p.out)
	}
	p.cmd = command(t, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// command is captest with these arguments, not started yet.
func command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "CAPTEST_TEST_MAIN=1", "CI=1")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// wait gives the exit code, -1 after a signal.
func (p *program) wait() int {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("wait: %v\n%s", err, p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// dir is the run's folder.
func (p *program) dir() string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.out, "*"))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("run folders %v, want one (%v)\n%s", found, err, p.stderr.String())
	}
	return found[0]
}

// result reads the run's run.json.
func (p *program) result() *record.Result {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.dir(), "run.json"))
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.stderr.String())
	}
	var r record.Result
	if err := json.Unmarshal(raw, &r); err != nil {
		p.t.Fatal(err)
	}
	return &r
}

// services waits until the bundled services are ready and under load (phase), and gives their processes by name.
func (p *program) services(phase string) map[string]int {
	p.t.Helper()
	for range 600 {
		pids, under := map[string]int{}, false
		for _, e := range p.events() {
			var d struct {
				Service string
				State   string
				PID     int
				Phase   string
			}
			_ = json.Unmarshal(e.Data, &d)
			if e.Kind == record.EventTarget && d.State == "ready" {
				pids[d.Service] = d.PID
			}
			under = under || e.Kind == record.EventTrialStart && d.Phase == phase
		}
		if len(pids) == 4 && under {
			return pids
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Fatalf("no phase %q after a minute\n%s", phase, p.stderr.String())
	return nil
}

func (p *program) events() []record.Event {
	found, _ := filepath.Glob(filepath.Join(p.out, "*"))
	if len(found) != 1 {
		return nil
	}
	run, err := record.Read(found[0])
	if err != nil {
		return nil // not written yet
	}
	return run.Events
}

// gone waits for processes to end.
func gone(t *testing.T, pids map[string]int) {
	t.Helper()
	for name, pid := range pids {
		for i := 0; syscall.Kill(pid, 0) == nil; i++ {
			if zombie(pid) {
				break
			}
			if i == 100 {
				t.Errorf("service %s (pid %d) still runs", name, pid)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// zombie: dead, and only its parent has not looked yet.
func zombie(pid int) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(after, "Z")
}

func itoa(n int) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}
