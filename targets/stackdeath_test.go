//go:build unix

package targets

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServicesEndWithCaptest ends a captest in every way there is, with several services running, and looks by pid.
func TestServicesEndWithCaptest(t *testing.T) {
	for name, x := range map[string]struct {
		way       string         // it ends
		signal    syscall.Signal // sent to it, or
		goOn      bool           // it is told to go on
		behaviour string
		linux     bool
		clean     bool   // its exit
		says      string // its standard error
	}{
		// The lifeline alone: no parent-death signal. Were one end inherited by another service, they would keep each other alive.
		"killed, lifeline":             {way: "waits", signal: syscall.SIGKILL, behaviour: "*:clear-death-signal"},
		"killed, real services":        {way: "waits", signal: syscall.SIGKILL, behaviour: "*:clear-death-signal real"},
		"killed, parent-death signal":  {way: "waits", signal: syscall.SIGKILL, behaviour: "*:ignore-lifeline", linux: true},
		"killed, services hang":        {way: "waits", signal: syscall.SIGKILL, behaviour: "*:ignore-term"},
		"interrupted":                  {way: "waits", signal: syscall.SIGINT, goOn: true, clean: true},
		"terminated":                   {way: "waits", signal: syscall.SIGTERM, goOn: true, clean: true},
		"panic":                        {way: "panics", goOn: true, says: "on purpose"},
		"panic in another goroutine":   {way: "panics-elsewhere", goOn: true, says: "where no deferred Stop runs"},
		"exit that forgets to stop it": {way: "forgets", goOn: true, clean: true, behaviour: "*:clear-death-signal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x.linux && runtime.GOOS != "linux" {
				t.Skip("only Linux has a parent-death signal")
			}
			captest := exec.Command(os.Args[0], append([]string{"fake-captest", x.way, t.TempDir()}, strings.Fields(x.behaviour)...)...)
			captest.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			captest.WaitDelay = patience
			var said bytes.Buffer
			captest.Stderr = &said
			stdin, err := captest.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := captest.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := captest.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = captest.Process.Kill() }()
			pids := map[string]int{}
			if err := json.NewDecoder(stdout).Decode(&pids); err != nil {
				_ = captest.Process.Kill()
				_ = captest.Wait()
				t.Fatalf("no pids: %v; %s", err, &said)
			}
			if len(pids) != 3 {
				t.Errorf("pids are %v, want those of kill-bill, billing and user", pids)
			}
			for service, pid := range pids {
				if !running(pid) {
					t.Errorf("%s: pid %d does not run yet", service, pid)
				}
			}
			if x.signal != 0 {
				// To the whole group, as a terminal does with Ctrl-C.
				if err := syscall.Kill(-captest.Process.Pid, x.signal); err != nil {
					t.Error(err)
				}
			}
			if x.goOn {
				_, _ = stdin.Write([]byte("\n"))
			}
			err = captest.Wait()
			if (err == nil) != x.clean || !strings.Contains(said.String(), x.says) {
				t.Errorf("captest ended with %v: %s", err, &said)
			}
			end := time.Now().Add(patience)
			for service, pid := range pids {
				if x.clean && x.way == "waits" && running(pid) {
					t.Errorf("%s: pid %d outlives a captest that was stopped in order", service, pid)
				}
				for running(pid) && time.Now().Before(end) {
					time.Sleep(10 * time.Millisecond)
				}
				if running(pid) {
					t.Errorf("%s: pid %d outlives captest", service, pid)
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		})
	}
}
