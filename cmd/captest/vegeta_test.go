package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/internal/gate"
)

// inProcess runs a command and gives what it printed.
func inProcess(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	e := &env{args: args, stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
	code = captest(e)
	return code, out.String(), errs.String()
}

// TestVegetaFileThereAndBack runs a vegeta target file at its own URLs and gives the run back to vegeta.
func TestVegetaFileThereAndBack(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.String()+" "+r.Header.Get("X-A")]++
		mu.Unlock()
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "shop.txt")
	text := "GET " + s.URL + "/one?q={{n}}\nX-A: 1\n\nGET " + s.URL + "/missing\nX-A: 2\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", file, "--rate", "40", "--duration", "1s", "--limit", "errors<60%")
	if code := p.wait(); code != gate.ExitPass && code != gate.ExitInconclusive { // a busy machine is honest about itself
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	mu.Lock()
	if len(asked) != 2 || asked["/one?q={{n}} 1"] != 20 || asked["/missing 2"] != 20 {
		t.Errorf("asked %v, want 20 of each in turn", asked)
	}
	mu.Unlock()
	r := p.result()
	if got := r.Steps["get"]; got.N != 40 || got.OK != 20 || r.Run.Scenario != "shop" {
		t.Fatalf("recorded %+v of scenario %s; want 40 of which 20 good", got, r.Run.Scenario)
	}

	code, out, errs := inProcess("export", p.dir(), "--format", "vegeta")
	if code != 0 || errs != "" {
		t.Fatalf("export: exit %d\n%s", code, errs)
	}
	decode := vegeta.DecoderFor(strings.NewReader(out))
	var m vegeta.Metrics
	for {
		var res vegeta.Result
		if decode(&res) != nil {
			break
		}
		m.Add(&res)
	}
	m.Close()
	if m.Requests != 40 || m.Success != 0.5 || m.StatusCodes["404"] != 20 {
		t.Errorf("vegeta reads %d requests, success %g, %v", m.Requests, m.Success, m.StatusCodes)
	}
}

func TestVegetaFilesNameTheirTarget(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "t.txt")
	if err := os.WriteFile(file, []byte("GET http://127.0.0.1:1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := filepath.Join(t.TempDir(), "r.txt")
	if err := os.WriteFile(remote, []byte("GET http://192.0.2.1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "b.txt")
	if err := os.WriteFile(bad, []byte("GET http://127.0.0.1:1/\n\nGET elsewhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := []string{"--rate", "1", "--duration", "1s", "--out", t.TempDir()}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", file}, gate.ExitUnreachable, "127.0.0.1:1"},
		{[]string{"run", file, "--target", "http://127.0.0.1:1"}, gate.ExitUnreachable, "127.0.0.1:1"},
		{[]string{"run", file, "--target", "http://127.0.0.1:2"}, gate.ExitConfig, "go to http://127.0.0.1:1, service target of --target"},
		{[]string{"run", file, "--target", "http://127.0.0.1:1/api"}, gate.ExitConfig, "go to http://127.0.0.1:1"},
		{[]string{"run", file, "--target", "reference"}, gate.ExitConfig, "leave --target out"},
		{[]string{"run", remote}, gate.ExitRefused, "192.0.2.1"},
		{[]string{"run", bad}, gate.ExitConfig, "b.txt:3:1: the URL must be absolute"},
	} {
		if code, _, errs := inProcess(append(c.args, load...)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit %d, want %d with %q\n%s", c.args, code, c.code, c.want, errs)
		}
	}
	if code, out, errs := inProcess("check", file); code != 0 || !strings.Contains(out, "t.txt: vegeta targets, ok") {
		t.Errorf("check: exit %d\n%s%s", code, out, errs)
	}
}

func TestExportMistakes(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--format is missing":      {"export", "x"},
		"--format k6: not one of":  {"export", "x", "--format", "k6"},
		"--encoding xml: not one":  {"export", "x", "--format", "vegeta", "--encoding", "xml"},
		"it does not exist":        {"export", filepath.Join(t.TempDir(), "none"), "--format", "vegeta"},
		"accepts 1 arg(s)":         {"export"},
		"flag needs an argument":   {"export", "x", "--format"},
		"invalid argument \"one\"": {"export", "x", "--format", "vegeta", "--trial", "one"},
	} {
		if code, out, errs := inProcess(args...); code != gate.ExitConfig || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%v: exit %d, %q%q; want 104 with %q", args, code, out, errs, want)
		}
	}
}
