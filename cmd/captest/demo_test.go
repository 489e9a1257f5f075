package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/report"
)

// TestDemoInterrupted: one signal ends the run in progress and all that would come after it, and the table says so.
func TestDemoInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the bundled services and waits for their quiet baseline")
	}
	t.Parallel()
	p := start(t, "demo", "--profile", "phase2,phase3", "--json", "-")
	pids := p.services("baseline")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != gate.ExitInterrupted {
		t.Fatalf("exit %d\n%s", code, p.stderr.String())
	}
	gone(t, pids)
	var x report.Expected
	if err := json.Unmarshal(p.stdout.Bytes(), &x); err != nil {
		t.Fatalf("%v\n%s", err, p.stdout.String())
	}
	if !x.Interrupted || len(x.Runs) != 2 || x.Runs[0].Dir == "" || !x.Runs[0].Interrupted || x.Runs[1].Dir != "" || x.Runs[1].Why == "" {
		t.Errorf("runs %+v", x.Runs)
	}
	for _, row := range x.Rows {
		for _, c := range row.Cells {
			if c.Measured == nil && c.Why == "" {
				t.Errorf("%s, %s: neither measured nor said why not", row.Metric, c.Profile)
			}
		}
	}
	if r := p.result(); !r.Run.Interrupted {
		t.Error("the run folder does not say that it was interrupted")
	}
}

func TestDemoRefusesWhatIsNoProfile(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"demo", "--profile", "phase9"}, {"demo", "registration"}, {"demo", "--store", "mysql://x"}} {
		if code, _, stderr := inProcess(args...); code != gate.ExitConfig || !strings.Contains(stderr, args[1]) {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
}
