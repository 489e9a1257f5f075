package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/captest/captest/internal/gate"
)

// TestExitCodes: each way to be wrong has its own code, an error that names the place, and a hint.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ok := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(ok.Close)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\nsteps:\n  - name: a\n    request: {methd: GET, path: nope}\nlimits: [\"q.p95<1s\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := filepath.Join(dir, "get.yaml")
	if err := os.WriteFile(get, []byte("name: get\nsteps:\n  - name: a\n    request: {method: GET, path: /}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	aTarget := filepath.Join(dir, "target.yaml")
	if err := os.WriteFile(aTarget, []byte("name: x\nservices:\n  app: {url: 'http://127.0.0.1:1'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"nobody there", []string{"run", "--target", nobody}, gate.ExitUnreachable, []string{"cannot be reached", "hint: "}},
		{"not an address to load", []string{"run", "--target", "http://192.0.2.1:80"}, gate.ExitRefused, []string{"192.0.2.1", "hint: "}},
		{"a bad scenario, every mistake placed", []string{"run", bad}, gate.ExitConfig, []string{"bad.yaml:4:15", `did you mean "method"`, "bad.yaml:4:33", "bad.yaml:5:10", "hint: "}},
		{"no such scenario", []string{"run", "registratoin"}, gate.ExitConfig, []string{"registratoin", "hint: "}},
		{"a target for a scenario", []string{"plan", aTarget}, gate.ExitConfig, []string{aTarget, "has services", "hint: captest plan --target"}},
		{"a scenario for a target", []string{"plan", "--target", bad}, gate.ExitConfig, []string{bad, "has steps", "hint: "}},
		{"a number that is none", []string{"plan", "--users", "-1"}, gate.ExitConfig, []string{"--users", "want a number", "hint: "}},
		{"no such file to check", []string{"check", filepath.Join(dir, "none.yaml")}, gate.ExitConfig, []string{"none.yaml", "hint: name the files"}},
		{"no such flag", []string{"run", "--usres", "3"}, gate.ExitConfig, []string{"usres", "hint: "}},
		{"a bad limit", []string{"run", "--limit", "p95<<1"}, gate.ExitConfig, []string{"p95<<1", "hint: "}},
		{"two kinds of load", []string{"run", "--rate", "5", "--concurrent", "2"}, gate.ExitConfig, []string{"--rate"}},
		{"a load without an end", []string{"run", "--concurrent", "2"}, gate.ExitConfig, []string{"--duration"}},
		{"an unknown profile", []string{"run", "--target", "reference:phase9"}, gate.ExitConfig, []string{"phase9"}},
		{"a baseline that does not exist", []string{"run", "--baseline", "nope"}, gate.ExitBaseline, []string{"nope"}},
		{"the wrong service", []string{"run", "--target", ok.URL}, gate.ExitScenario, []string{"register", "200", "hint: "}},
		{"a limit that breaks", []string{"run", get, "--target", ok.URL, "--users", "20", "--concurrent", "2", "--limit", "n>1000"}, gate.ExitLimits, nil},
		{"limits that hold", []string{"run", get, "--target", ok.URL, "--users", "20", "--concurrent", "2", "--limit", "errors<1%"}, gate.ExitPass, nil},
		{"not a run folder", []string{"report", dir}, gate.ExitConfig, []string{dir, "hint: "}},
		{"a command that does not exist", []string{"rnu"}, gate.ExitConfig, []string{"rnu"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, tt.args...)
			if code := p.wait(); code != tt.code {
				t.Errorf("exit %d, want %d\n%s%s", code, tt.code, p.stdout.String(), p.stderr.String())
			}
			for _, s := range tt.says {
				if !strings.Contains(p.stderr.String(), s) {
					t.Errorf("stderr does not say %q:\n%s", s, p.stderr.String())
				}
			}
		})
	}
}

// TestOpenLoad sends a fixed rate and writes JSON alone on stdout.
func TestOpenLoad(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(s.Close)
	get := filepath.Join(t.TempDir(), "get.yaml")
	if err := os.WriteFile(get, []byte("name: get\nsteps:\n  - name: a\n    request: {method: GET, path: /}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", get, "--target", s.URL, "--rate", "50", "--duration", "2s", "--json", "-")
	// A busy machine may send late, which is inconclusive and not a pass.
	if code := p.wait(); code != gate.ExitPass && code != gate.ExitInconclusive {
		t.Fatalf("exit %d\n%s", code, p.stderr.String())
	}
	if !strings.HasPrefix(p.stdout.String(), "{") || !strings.Contains(p.stdout.String(), `"schema_version": 1`) {
		t.Errorf("stdout is not run.json alone:\n%.200s", p.stdout.String())
	}
	r := p.result()
	if n := r.Steps["a"].N + r.Trials[0].Dropped; n != 100 {
		t.Errorf("%d arrivals sent or counted, want 100", n)
	}
}
