package observe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// TestServiceProcess is no test: it is the service that the tests look at. It listens, says where, and obeys a line each:
// "accept" takes one connection, "dial ADDR" opens one, "burn" uses CPU on one thread for a while, "close" ends what was
// accepted.
func TestServiceProcess(t *testing.T) {
	if os.Getenv("OBSERVE_SERVICE") == "" {
		t.Skip("only runs as the service that is looked at")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(l.Addr())
	var kept []net.Conn
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "accept":
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, c)
		case "dial":
			c, err := net.Dial("tcp", rest)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, c)
		case "burn":
			for until := time.Now().Add(700 * time.Millisecond); time.Now().Before(until); {
			}
		case "close":
			for _, c := range kept {
				_ = c.Close()
			}
		}
		fmt.Println("done")
	}
}

// service is such a process.
type service struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestServiceProcess$")}
	s.cmd.Env = append(os.Environ(), "OBSERVE_SERVICE=1")
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.in.Close()
		_ = s.cmd.Wait()
	})
	s.addr = s.line()
	return s
}

func (s *service) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (s *service) does(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.in, format+"\n", args...); err != nil {
		s.t.Fatal(err)
	}
	if got := s.line(); got != "done" {
		s.t.Fatal(got)
	}
}

// look reads until a reading is as wanted: the kernel's tables follow a moment after.
func look(t *testing.T, p *processes, as func(record.ProcessReading) bool) record.ProcessReading {
	t.Helper()
	for i := 0; ; i++ {
		p.next = time.Time{}
		all := p.read(1)
		if len(all) != 1 {
			t.Fatalf("%d readings", len(all))
		}
		if as(all[0]) || i == 100 {
			return all[0]
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func orMinus(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

func TestProcessSocketsAreCountedByPeerAndState(t *testing.T) {
	s := startService(t)
	downstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer downstream.Close()
	p := newProcesses(&targets.Target{Services: []targets.Service{{Name: "user", URL: "http://" + s.addr}}})
	if p == nil {
		t.Fatal("a service on loopback is not watched")
	}
	_, port, _ := net.SplitHostPort(downstream.Addr().String())

	idle := look(t, p, func(r record.ProcessReading) bool { return r.Error == "" })
	if idle.Error != "" || len(idle.PIDs) != 1 || idle.PIDs[0] != s.cmd.Process.Pid || len(idle.Inbound) != 0 || len(idle.Outbound) != 0 {
		t.Fatalf("idle: %+v, want process %d without sockets", idle, s.cmd.Process.Pid)
	}
	var mine []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mine = append(mine, c)
	}
	waiting := look(t, p, func(r record.ProcessReading) bool { return orMinus(r.AcceptQueue) == 3 })
	if orMinus(waiting.AcceptQueue) != 3 {
		t.Errorf("accept queue %v, want 3", orMinus(waiting.AcceptQueue))
	}
	s.does("accept")
	s.does("accept")
	s.does("dial %s", downstream.Addr())
	s.does("dial %s", downstream.Addr())
	busy := look(t, p, func(r record.ProcessReading) bool {
		return orMinus(r.AcceptQueue) == 1 && r.Outbound["port "+port]["ESTABLISHED"] == 2
	})
	if orMinus(busy.AcceptQueue) != 1 || busy.Inbound["ESTABLISHED"] != 3 || busy.Outbound["port "+port]["ESTABLISHED"] != 2 {
		t.Errorf("got %+v, want 3 inbound (one not accepted) and 2 outbound to port %s", busy, port)
	}
	if more := orMinus(busy.FDs) - orMinus(idle.FDs); more != 4 {
		t.Errorf("%v descriptors more, want 4", more)
	}
	if orMinus(busy.FDLimit) < 16 || orMinus(busy.RSSBytes) < 1<<20 || orMinus(busy.Threads) < 1 {
		t.Errorf("limit %v, memory %v, threads %v", orMinus(busy.FDLimit), orMinus(busy.RSSBytes), orMinus(busy.Threads))
	}
	// A caller that hung up on a service that does not notice: the leak of the incident, as the kernel shows it.
	_ = mine[0].Close()
	leaked := look(t, p, func(r record.ProcessReading) bool { return r.Inbound["CLOSE_WAIT"] == 1 })
	if leaked.Inbound["CLOSE_WAIT"] != 1 || leaked.Inbound["ESTABLISHED"] != 2 {
		t.Errorf("after one hung up: %+v", leaked.Inbound)
	}
	s.does("close")
	closed := look(t, p, func(r record.ProcessReading) bool { return orMinus(r.TimeWaitCallers) == 1 })
	if orMinus(closed.TimeWaitCallers) != 1 {
		t.Errorf("%v callers in TIME_WAIT, want the one that closed first", orMinus(closed.TimeWaitCallers))
	}
}

func TestProcessCPUAndItsBusiestThread(t *testing.T) {
	s := startService(t)
	p := newProcesses(&targets.Target{Services: []targets.Service{{Name: "user", URL: "http://" + s.addr}}})
	before := look(t, p, func(r record.ProcessReading) bool { return r.Error == "" })
	if before.BusiestThreadPercent != nil {
		t.Errorf("the busiest thread of no time at all: %v", *before.BusiestThreadPercent)
	}
	began := time.Now()
	s.does("burn")
	p.next = time.Time{}
	after := p.read(2)[0]
	elapsed := time.Since(began).Seconds()
	used := orMinus(after.CPUSeconds) - orMinus(before.CPUSeconds)
	if used < 0.03 || used > elapsed*2+0.2 {
		t.Errorf("%.2f s of CPU in %.2f s", used, elapsed)
	}
	// One goroutine burnt it, on one thread mostly; a tick is 10 ms.
	if share := orMinus(after.BusiestThreadPercent); share <= 0 || share > 100 {
		t.Errorf("the busiest thread used %.0f %%", share)
	}
}

func TestProcessesElsewhereAndGone(t *testing.T) {
	for _, u := range []string{"http://192.0.2.1:80", "http://example.invalid:80", "::", "", "http://127.0.0.1:99999"} {
		if p := newProcesses(&targets.Target{Services: []targets.Service{{Name: "a", URL: u}}}); p != nil {
			t.Errorf("%q is watched", u)
		}
	}
	if newProcesses(nil) != nil {
		t.Error("no target is watched")
	}
	s := startService(t)
	p := newProcesses(&targets.Target{Services: []targets.Service{{Name: "user", URL: strings.Replace("http://"+s.addr, "127.0.0.1", "localhost", 1)}}})
	if r := look(t, p, func(r record.ProcessReading) bool { return r.Error == "" }); r.Error != "" {
		t.Error(r.Error)
	}
	_ = s.in.Close()
	_ = s.cmd.Wait()
	r := look(t, p, func(r record.ProcessReading) bool { return r.Error != "" })
	if !strings.Contains(r.Error, "nothing listens on port") || len(r.PIDs) != 0 || r.CPUSeconds != nil {
		t.Errorf("gone: %+v", r)
	}
}

// Looking takes a bounded share of the time however long one look takes.
func TestLooksAreNotTooFrequent(t *testing.T) {
	s := startService(t)
	p := newProcesses(&targets.Target{Services: []targets.Service{{Name: "user", URL: "http://" + s.addr}}})
	began := time.Now()
	p.read(0)
	took := time.Since(began)
	if wait := time.Until(p.next) + time.Since(began); wait < time.Duration(float64(took)*0.5/lookShare) {
		t.Errorf("a look of %v is followed by another after %v", took, wait)
	}
	if again := p.read(0); again != nil && time.Now().Before(p.next.Add(-time.Millisecond)) {
		t.Error("a second look at once")
	}
}

func TestObserverKeepsProcessReadings(t *testing.T) {
	server := &http.Server{Handler: http.NotFoundHandler()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	folder, err := record.Create(t.TempDir(), "s", "t", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Target: &targets.Target{Services: []targets.Service{{Name: "user", URL: "http://" + l.Addr().String()}}}, Folder: folder})
	o.readProcesses()
	folder.Event(record.Event{Kind: record.EventRun, Trial: -1, Data: []byte(`{}`)})
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	r, ok := o.Process("user")
	if !ok || len(r.PIDs) != 1 || r.PIDs[0] != os.Getpid() {
		t.Fatalf("%+v, want this very process", r)
	}
	run, err := record.Read(folder.Dir())
	if err != nil || len(run.Procs) != 1 || run.Procs[0].Service != "user" || orMinus(run.Procs[0].FDs) != orMinus(r.FDs) {
		t.Errorf("%v: %+v in %s", err, run, filepath.Base(folder.Dir()))
	}
}
