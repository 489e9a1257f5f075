package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/report"
)

// Not parallel: it takes the place of the process's resolver.
func TestAPlanSendsNothing(t *testing.T) {
	var asked, dialled atomic.Int64
	preferGo, dial := net.DefaultResolver.PreferGo, net.DefaultResolver.Dial
	net.DefaultResolver.PreferGo = true
	net.DefaultResolver.Dial = func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("asked")
	}
	defer func() { net.DefaultResolver.PreferGo, net.DefaultResolver.Dial = preferGo, dial }()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			dialled.Add(1)
			_ = c.Close()
		}
	}()
	dir := t.TempDir()
	t.Chdir(dir)
	url := "http://" + ln.Addr().String()
	for _, args := range [][]string{
		{"plan"},
		{"plan", "signup", "--users", "100", "--concurrent", "20"},
		{"plan", "--target", url},
		{"plan", "--target", url, "--effort", "thorough", "--json", "-"},
		{"plan", "--target", url, "--rate", "50", "--duration", "1m"},
		{"plan", "--target", "http://staging.invalid", "--allow-host", "staging.invalid"},
		{"plan", "--target", "http://192.0.2.1", "--allow-host", "staging.invalid"},
	} {
		if code, _, stderr := inProcess(args...); code != gate.ExitPass {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
	_ = ln.Close()
	<-accepted
	if n := dialled.Load(); n > 0 {
		t.Errorf("%d connections were opened", n)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("a resolver was asked %d times", n)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files were left behind: %v %v", left, err)
	}
}

// Not parallel, as the next: what this process computes counts as the generator's CPU in the tests that send load from it.
func TestAPlanRefusesWhatARunRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: bad\nsteps:\n  - name: x\n    requst: {path: /}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"no-such-scenario"},
		{bad},
		{"--target", "no-such-target"},
		{"--target", "http://192.0.2.1"},
		{"--target", "ftp://127.0.0.1"},
		{"--target", "http://127.0.0.1:1", "--set", "user.hash=loop"},
		{"--set", "user.nonsense=1"},
		{"--limit", "p95<"},
		{"--limit", "nobody.p95<1s"},
		{"--effort", "heroic"},
		{"--engine", "steam"},
		{"--baseline", "nobody"},
		{"--rate", "5"},
		{"--rate", "fast", "--duration", "1s"},
		{"--users", "5", "--duration", "1s"},
		{"--concurrent", "5"},
		{"--connections", "5"},
		{"--max-duration", "0s"},
		{"--store", "mysql://x"},
		{"--allow-host", "bad host"},
		{"--nonsense"},
		{"a", "b"},
	} {
		runCode, _, run := inProcess(append([]string{"run", "--out", t.TempDir()}, args...)...)
		planCode, out, plan := inProcess(append([]string{"plan"}, args...)...)
		run = strings.ReplaceAll(run, "captest run", "captest plan")
		if runCode == gate.ExitPass || runCode != planCode || run != plan || out != "" {
			t.Errorf("%v\nrun  exit %d: %splan exit %d: %s%s", args, runCode, run, planCode, plan, out)
		}
	}
}

func TestAPlanCountsExactly(t *testing.T) {
	for _, c := range []struct {
		args []string
		want report.PlanMost
	}{
		{[]string{"--users", "100", "--concurrent", "20"}, report.PlanMost{Requests: 100, Rows: 100, PeakPerSecond: 200, PeakUsers: 20, Connections: 20}},
		// Each user registers once in setup: 20 rows. Logging in is a POST, so it may create one as well.
		{[]string{"login", "--users", "100", "--concurrent", "20"}, report.PlanMost{Requests: 120, Rows: 120, PeakPerSecond: 200, PeakUsers: 20, Connections: 20}},
		{[]string{"--concurrent", "5", "--duration", "10s"}, report.PlanMost{Requests: 500, Rows: 500, PeakPerSecond: 50, PeakUsers: 5, Connections: 5}},
		{[]string{"signup", "--rate", "50", "--duration", "1m", "--connections", "10"}, report.PlanMost{Requests: 12_000, Rows: 9_000, PeakPerSecond: 200, Connections: 10}},
	} {
		code, out, stderr := inProcess(append([]string{"plan", "--json", "-"}, c.args...)...)
		var p report.Plan
		if err := json.Unmarshal([]byte(out), &p); code != gate.ExitPass || err != nil {
			t.Fatalf("%v: exit %d, %v: %s", c.args, code, err, stderr)
		}
		if p.Most != c.want {
			t.Errorf("%v: %+v, want %+v", c.args, p.Most, c.want)
		}
	}
	if code, _, stderr := inProcess("plan", "--answer", "0s"); code != gate.ExitConfig || !strings.Contains(stderr, "--answer") {
		t.Errorf("--answer 0s: exit %d: %s", code, stderr)
	}
}

// TestLongEffortsMayEnd: the flag's default is too short for them; what the user says stands.
func TestLongEffortsMayEnd(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                     "at most 30 min 0 s",
		"--effort=standard":                    "at most 60 min 0 s",
		"--effort=thorough":                    "at most 180 min 0 s",
		"--effort=thorough --max-duration=10m": "at most 10 min 0 s",
	} {
		if code, out, errs := inProcess(append([]string{"plan"}, strings.Fields(args)...)...); code != gate.ExitPass || !strings.Contains(out, want) {
			t.Errorf("plan %s: exit %d, want %q in\n%s%s", args, code, want, out, errs)
		}
	}
}
