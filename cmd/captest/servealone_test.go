package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/gate"
)

// TestAlone: the service is the very process that a signal reaches, its knob nofile holds, and it ends with 0.
func TestAlone(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	p := &program{t: t}
	p.cmd = command(t, "serve", "user", "--alone", "--listen", "127.0.0.1:0", "--downstream", "billing=http://127.0.0.1:9/",
		"--store-dir", store, "--set", "user.nofile=128")
	p.cmd.Stderr = &p.stderr
	url := listening(t, p)
	if text := page(t, url+"/metrics"); !strings.Contains(text, "process_max_fds 128\n") {
		t.Error("the descriptor limit is not 128")
	}
	if _, err := os.Stat(filepath.Join(store, "user.db")); err != nil {
		t.Error(err)
	}
	probe := start(t, "probe", url+"/ready")
	if code := probe.wait(); code != gate.ExitPass {
		t.Errorf("probe: exit %d\n%s", code, probe.stderr.String())
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != gate.ExitPass || strings.Contains(p.stderr.String(), "WARNING") {
		t.Errorf("exit %d\n%s", code, p.stderr.String())
	}
	// This process wrote it, so the signal needed nobody to hand it on.
	if !strings.Contains(p.stderr.String(), `"msg":"stopped","service":"user","graceful":true`) {
		t.Errorf("no graceful stop in the log:\n%s", p.stderr.String())
	}
}

// listening starts a service and gives the URL it prints.
func listening(t *testing.T, p *program) string {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = in
	err = p.cmd.Start()
	_ = in.Close()
	t.Cleanup(func() { _ = out.Close() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // an error when it is over, as it should be
	_ = out.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) != 2 {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		t.Fatalf("%v said %q (%v)\n%s", p.cmd.Args, line, err, p.stderr.String())
	}
	return fields[1]
}

func page(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAloneRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	full := http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not \x1b[31mready"))
	})}
	t.Cleanup(func() { _ = full.Close() })
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = full.Serve(busy) }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killBill := []string{"serve", "kill-bill", "--alone"}
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no service", []string{"serve", "--alone"}, gate.ExitConfig, "0 services named"},
		{"two services", []string{"serve", "user", "billing", "--alone"}, gate.ExitConfig, "2 services named"},
		{"an address for several", []string{"serve", "--listen", "127.0.0.1:1"}, gate.ExitConfig, "--listen: only"},
		{"a downstream for several", []string{"serve", "--downstream", "billing=http://x"}, gate.ExitConfig, "--downstream: only"},
		{"no downstream", []string{"serve", "user", "--alone"}, gate.ExitConfig, "--downstream billing="},
		{"an unknown downstream", []string{"serve", "user", "--alone", "--downstream", "biling=http://x"}, gate.ExitConfig, `"biling" is not one of`},
		{"a downstream it does not call", append(killBill, "--downstream", "billing=http://x"), gate.ExitConfig, "calls billing"},
		{"a downstream without a URL", []string{"serve", "user", "--alone", "--downstream", "billing="}, gate.ExitConfig, "downstream billing: empty URL"},
		{"a downstream with a password", []string{"serve", "user", "--alone", "--downstream", "billing=http://u:hunter2@x"}, gate.ExitConfig, "cannot carry a user"},
		{"no port", append(killBill, "--listen", "127.0.0.1"), gate.ExitConfig, "not ADDRESS:PORT"},
		{"a name to listen on", append(killBill, "--listen", "kill-bill:8080"), gate.ExitConfig, "not an IP address"},
		{"no address to listen on", append(killBill, "--listen", ":8080"), gate.ExitConfig, "not an IP address"},
		{"a port that is none", append(killBill, "--listen", "127.0.0.1:99999"), gate.ExitConfig, "not within 0 to 65535"},
		{"two ports", append(killBill, "--listen", "127.0.0.1:1", "--free-ports"), gate.ExitConfig, "give one of them"},
		{"a knob that does not exist", append(killBill, "--set", "slotz=1"), gate.ExitConfig, "did you mean slots"},
		{"a port in use", append(killBill, "--listen", taken.Addr().String()), gate.ExitUnreachable, "--free-ports"},
		{"an address of another machine", append(killBill, "--listen", "192.0.2.1:8080"), gate.ExitUnreachable, "address of this machine"},
		{"a store that is a file", append(killBill, "--free-ports", "--store-dir", file), gate.ExitUnreachable, "--store-dir must be"},

		{"a database nobody serves", append(killBill, "--free-ports", "--store", "postgres://u@127.0.0.1:1/x"), gate.ExitUnreachable, "127.0.0.1"},
		{"a store of another kind", append(killBill, "--store", "mysql://u:hunter2@127.0.0.1/x"), gate.ExitConfig, "--store: "},

		{"probe nobody", []string{"probe", "http://127.0.0.1:1/ready"}, gate.ExitUnreachable, "connection refused"},
		{"probe one that is not ready", []string{"probe", "http://" + busy.Addr().String() + "/ready"}, gate.ExitUnreachable, "503 Service Unavailable not  [31mready\n"},
		{"probe one that does not answer", []string{"probe", "http://" + taken.Addr().String(), "--timeout", "100ms"}, gate.ExitUnreachable, "no answer within 100ms"},
		{"probe elsewhere", []string{"probe", "http://192.0.2.1/ready"}, gate.ExitRefused, "192.0.2.1 is not allowed"},
		{"probe no URL", []string{"probe", "127.0.0.1:8001"}, gate.ExitConfig, "not a URL such as"},
		{"probe with a password", []string{"probe", "http://u:hunter2@127.0.0.1:1"}, gate.ExitConfig, "cannot carry a user"},
		{"probe nothing", []string{"probe"}, gate.ExitConfig, "usage: captest probe URL"},
		{"probe without time", []string{"probe", "http://127.0.0.1:1", "--timeout", "0s"}, gate.ExitConfig, "more than 0"},
		{"probe, everything allowed", []string{"probe", "http://127.0.0.1:1", "--allow-host", "0.0.0.0/0"}, gate.ExitConfig, "allows every address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, tt.args...)
			if code := p.wait(); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			said := p.stderr.String()
			if !strings.Contains(said, tt.says) || strings.Contains(said, "hunter2") || strings.Contains(said, "panic") {
				t.Errorf("want %q in, and no password:\n%s", tt.says, said)
			}
		})
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8001": false, "127.9.9.9:1": false, "[::1]:8001": false, "[::ffff:127.0.0.1]:1": false,
		"0.0.0.0:8001": true, "[::]:8001": true, "10.0.0.1:1": true,
	} {
		if got := outside(address); got != want {
			t.Errorf("outside(%s) = %v", address, got)
		}
	}
}
