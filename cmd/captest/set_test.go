package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/gate"
)

// What is set on the command line goes on top of what the target's file sets, into the services, the run folder and the
// report.
func TestSetPlantsAFaultAndIsKept(t *testing.T) {
	t.Parallel()
	p := start(t, "run", "--users", "6", "--concurrent", "3", "--target", cheap(t), "--limit", "errors<100%",
		"--set", "fault=lock-contention", "--set", "user.hot_lock=120ms", "--set", "billing.semaphore=3")
	if code := p.wait(); code != gate.ExitPass {
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	r := p.result()
	want := map[string]string{"fault": "lock-contention", "user.hot_lock": "120ms", "billing.semaphore": "3", "user.hash_cost": "4"}
	if diff := cmp.Diff(want, r.Run.Set); diff != "" {
		t.Errorf("run.json (-want +got):\n%s", diff)
	}
	if s := r.Steps["register"]; s.N != 6 || r.Trials[0].Seconds < 6*.12 {
		t.Errorf("%d registrations in %.2f s: the lock of 120 ms was not held", s.N, r.Trials[0].Seconds)
	}
	page, err := os.ReadFile(filepath.Join(p.dir(), "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(p.dir(), "services", "user.log"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{
		"the summary": p.stdout.String(), "the start": p.stderr.String(), "the page": string(page),
	} {
		if !strings.Contains(text, ", fault=lock-contention, ") {
			t.Errorf("%s does not name the fault", where)
		}
	}
	if !strings.Contains(string(log), `"fault":"lock-contention"`) || !strings.Contains(string(log), `"hot_lock":"120ms"`) {
		t.Errorf("the service's log does not name the fault: %.300s", log)
	}
}

func TestSetThatCannotBe(t *testing.T) {
	for set, c := range map[string]struct{ target, says string }{
		"fault=lock-contenton": {"reference", "did you mean fault=lock-contention?"},
		"user.hash=lop":        {"reference", "did you mean user.hash=loop?"},
		"user.hash=loop":       {"http://127.0.0.1:9", "is not bundled"},
		"fault=retry-storm":    {"http://127.0.0.1:9", "leave --set out"},
	} {
		p := start(t, "run", "--target", c.target, "--set", set)
		if code := p.wait(); code != gate.ExitConfig || !strings.Contains(p.stderr.String(), c.says) {
			t.Errorf("%s against %s: exit %d, %s", set, c.target, code, p.stderr.String())
		}
	}
}
