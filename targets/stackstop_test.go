//go:build unix

package targets

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestRestartKeepsTheAddress(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t, "*:slow")
	c.Only = []string{"billing"}
	s := mustStart(t, c)
	before, at := s.PIDs(), urlOf(t, s, "kill-bill")
	if err := s.Restart(t.Context(), "kill-bill"); err != nil {
		t.Fatal(err)
	}
	after := s.PIDs()
	if after["kill-bill"] == before["kill-bill"] || after["billing"] != before["billing"] {
		t.Errorf("pids before %v, after %v", before, after)
	}
	if me := ask(t, at); urlOf(t, s, "kill-bill") != at || me.PID != after["kill-bill"] {
		t.Errorf("pid %d answers at %s; want %d", me.PID, at, after["kill-bill"])
	}
	if running(before["kill-bill"]) {
		t.Error("the old process is left")
	}
	told := seen.all()[4:]
	want := []StackEvent{
		{Service: "kill-bill", State: "stopped", PID: before["kill-bill"], Detail: "exit status 0"},
		{Service: "kill-bill", State: "restarted", PID: after["kill-bill"], Detail: at},
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %+v, want %+v", told, want)
	}
	if log := readLog(t, s, "kill-bill"); strings.Count(log, "fake kill-bill begins") != 2 {
		t.Errorf("the log should tell of both processes: %q", log)
	}
}

func TestRestartWithHoldsUntilTheNext(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t)
	c.Only = []string{"billing"}
	s := mustStart(t, c)
	at, before := urlOf(t, s, "kill-bill"), ask(t, urlOf(t, s, "kill-bill")).Options.Set
	set := map[string]string{"slots": "3"}
	if err := s.RestartWith(t.Context(), "kill-bill", set); err != nil {
		t.Fatal(err)
	}
	set["slots"] = "4" // the caller's own again
	for _, when := range []string{"changed", "restarted"} {
		if got := ask(t, at).Options.Set; got["kill-bill.slots"] != "3" || len(got) != len(before)+1 {
			t.Errorf("%s: runs with %v, want the stack's %v and three slots", when, got, before)
		}
		if err := s.Restart(t.Context(), "kill-bill"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Restart(t.Context(), "billing"); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, urlOf(t, s, "billing")).Options.Set; len(got) != len(before) {
		t.Errorf("billing runs with %v, which is another's", got)
	}
	if err := s.RestartWith(t.Context(), "kill-bill", nil); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, at).Options.Set; len(got) != len(before) {
		t.Errorf("put back, it runs with %v, want %v", got, before)
	}
}

func TestRestartReplacesTheDead(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t)
	c.Only = []string{"kill-bill"}
	s := mustStart(t, c)
	old, at := s.PIDs()["kill-bill"], urlOf(t, s, "kill-bill")
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := seen.find(t, "kill-bill", "exited"); e.PID != old || e.Detail != "signal: killed" {
		t.Errorf("told %+v of pid %d", e, old)
	}
	eventually(t, "PIDs without the dead", func() bool { return len(s.PIDs()) == 0 })
	if err := s.Restart(t.Context(), "kill-bill"); err != nil {
		t.Fatal(err)
	}
	if me := ask(t, at); me.PID == old || me.PID != s.PIDs()["kill-bill"] {
		t.Errorf("pid %d answers", me.PID)
	}
	if e := seen.find(t, "kill-bill", "restarted"); e.PID == old {
		t.Errorf("told %+v, with the old pid", e)
	}
	if slices.Contains(seen.brief(), "kill-bill stopped") {
		t.Errorf("nobody stopped it: %q", seen.brief())
	}
}

func TestRestartKillsWhatDoesNotStop(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t, "*:ignore-term")
	c.Only, c.StopTimeout = []string{"kill-bill"}, 200*time.Millisecond
	s := mustStart(t, c)
	old := s.PIDs()["kill-bill"]
	if err := s.Restart(t.Context(), "kill-bill"); err != nil {
		t.Fatal(err)
	}
	if running(old) {
		t.Error("the old process is left")
	}
	if e := seen.find(t, "kill-bill", "stopped"); e.PID != old || e.Detail != "signal: killed (it did not stop when asked)" {
		t.Errorf("told %+v", e)
	}
}

func TestRestartThatFailsMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t, "*:exit-second-time")
	c.Only = []string{"kill-bill"}
	s := mustStart(t, c)
	at := urlOf(t, s, "kill-bill")
	err := s.Restart(t.Context(), "kill-bill")
	if failed := (*StackError)(nil); !errors.As(err, &failed) || !strings.Contains(err.Error(), "kill-bill: exited before it was listening: exit status 4") {
		t.Fatalf("error is %v", err)
	}
	if strings.Contains(err.Error(), "got terminated") {
		t.Errorf("the error quotes the log of the process before: %v", err)
	}
	if len(s.PIDs()) != 0 {
		t.Errorf("PIDs gives %v", s.PIDs())
	}
	if err := s.Restart(t.Context(), "kill-bill"); err != nil {
		t.Fatal(err)
	}
	if me := ask(t, at); me.PID != s.PIDs()["kill-bill"] {
		t.Errorf("pid %d answers", me.PID)
	}
}

func TestRestartRefusals(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t)
	c.Only = []string{"kill-bill"}
	s := mustStart(t, c)
	if err := s.RestartWith(t.Context(), "user", nil); err == nil || !strings.Contains(err.Error(), `"user": not one of those running (kill-bill)`) {
		t.Errorf("error is %v", err)
	}
	if err := s.RestartWith(t.Context(), "kill-bill", map[string]string{"slots": "none"}); err == nil || !strings.Contains(err.Error(), "kill-bill.slots=none") {
		t.Errorf("error is %v", err)
	}
	if err := s.Restart(t.Context(), "user"); err == nil || !strings.Contains(err.Error(), `"user": not one of those running (kill-bill)`) {
		t.Errorf("error is %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	pid := s.PIDs()["kill-bill"]
	if err := s.Restart(done, "kill-bill"); !errors.Is(err, context.Canceled) || s.PIDs()["kill-bill"] != pid {
		t.Errorf("error is %v, pid %v before %d", err, s.PIDs(), pid)
	}
	mustStop(t, s)
	if err := s.Restart(t.Context(), "kill-bill"); err == nil || len(s.PIDs()) != 0 {
		t.Errorf("restarted after Stop: %v", s.PIDs())
	}
}

func TestStopKillsWhatDoesNotStop(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t, "billing:ignore-term")
	c.Only, c.StopTimeout = []string{"billing"}, 200*time.Millisecond
	s := mustStart(t, c)
	pids := s.PIDs()
	mustStop(t, s)
	for service, pid := range pids {
		if running(pid) {
			t.Errorf("%s: pid %d is left", service, pid)
		}
	}
	if e := seen.find(t, "billing", "stopped"); e.Detail != "signal: killed (it did not stop when asked)" {
		t.Errorf("told %+v", e)
	}
	if log := readLog(t, s, "billing"); !strings.Contains(log, "fake billing got terminated") {
		t.Errorf("it was killed without being asked first: %q", log)
	}
}

func TestStopIsCutShortByItsContext(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t, "*:ignore-term")
	c.Only = []string{"billing"} // StopTimeout is patience: longer than this test may take
	s := mustStart(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= c.StopTimeout {
		t.Errorf("took %s", took)
	}
	for _, e := range seen.all() {
		if running(e.PID) {
			t.Errorf("%s: pid %d is left", e.Service, e.PID)
		}
	}
}

func TestStopManyTimesAndAmidExits(t *testing.T) {
	t.Parallel()
	c, seen := fakes(t)
	c.Only = []string{"billing"}
	s := mustStart(t, c)
	pids := s.PIDs()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			if len(s.PIDs()) != 0 {
				t.Errorf("Stop returned before the end of %v", s.PIDs())
			}
		})
	}
	// Not yet reaped by then, or gone: never someone else's pid, for its process object still holds it or says so.
	all.Go(func() { _ = s.members["kill-bill"].process.cmd.Process.Kill() })
	all.Wait()
	ends := 0
	for _, e := range seen.all() {
		if e.State == "stopped" || e.State == "exited" {
			ends++
		}
	}
	if ends != len(pids) {
		t.Errorf("each end should be told once: %+v", seen.all())
	}
}

func TestStopBreaksOffARestart(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t, "*:exit-second-time")
	c.Only = []string{"kill-bill"}
	c.Args, c.ReadyTimeout = append(c.Args, "*:stalls-second-time"), 10*patience
	s := mustStart(t, c)
	restarted := make(chan error, 1)
	go func() { restarted <- s.Restart(context.Background(), "kill-bill") }()
	eventually(t, "the second process", func() bool {
		log, _ := os.ReadFile(s.Logs()["kill-bill"])
		return strings.Count(string(log), "fake kill-bill begins") == 2
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	select {
	case err := <-restarted:
		if err == nil {
			t.Error("the restart claims success")
		}
	case <-ctx.Done():
		t.Fatal("the restart still waits")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if len(s.PIDs()) != 0 {
		t.Errorf("left: %v", s.PIDs())
	}
}

func TestStopDoesNotWaitForWhatAServiceLeftBehind(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t, "*:grandchild")
	c.Only = []string{"kill-bill"}
	s := mustStart(t, c)
	left := ask(t, urlOf(t, s, "kill-bill")).Grandchild
	if left == 0 {
		t.Fatal("there is no process to be left behind")
	}
	defer syscall.Kill(left, syscall.SIGKILL)
	mustStop(t, s)
	if !running(left) {
		t.Error("the process that held the log open was waited for")
	}
}

func TestFixedPorts(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t)
	c.Only = []string{"kill-bill"}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := taken.Addr().(*net.TCPAddr).Port
	c.Ports = map[string]int{"kill-bill": port, "user": 1}
	_, err = StartStack(t.Context(), c)
	if failed := (*StackError)(nil); !errors.As(err, &failed) || failed.Hint() == "" {
		t.Errorf("on a port that is taken: %v", err)
	} else if runtime.GOOS == "linux" && (!errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "kill-bill: cannot listen on port "+strconv.Itoa(port))) {
		t.Errorf("on a port that is taken: %v", err)
	}
	taken.Close()
	s := mustStart(t, c)
	if want := "http://127.0.0.1:" + strconv.Itoa(port); urlOf(t, s, "kill-bill") != want {
		t.Errorf("listens at %s, want %s", urlOf(t, s, "kill-bill"), want)
	}
}

func TestLogOfASpammerIsBounded(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t, "*:spam")
	c.Only, c.LogLimit = []string{"kill-bill"}, 10_000
	s := mustStart(t, c)
	tail := func() string { return strings.Join(s.members["kill-bill"].log.Tail(), "\n") }
	// The service is not held up by what is dropped.
	eventually(t, "the end of the spam", func() bool { return strings.Contains(tail(), "spam is over") })
	mustStop(t, s)
	log := readLog(t, s, "kill-bill")
	if len(log) > 10_200 || len(log) < 8_000 {
		t.Errorf("log has %d bytes", len(log))
	}
	if lines := strings.Split(log, "\n"); !strings.Contains(lines[len(lines)-2], "this log ends here: it reached its limit of 10000 bytes") {
		t.Errorf("log ends with %q", log[len(log)-200:])
	}
}

func TestStackWithoutItsFolderOrProgram(t *testing.T) {
	t.Parallel()
	c, _ := fakes(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Dir = file
	if _, err := StartStack(t.Context(), c); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("in a file: %v", err)
	}
	c, _ = fakes(t)
	c.Exe = file
	if _, err := StartStack(t.Context(), c); err == nil || !strings.Contains(err.Error(), "kill-bill: cannot be started") {
		t.Errorf("with a program that is none: %v", err)
	}
}
