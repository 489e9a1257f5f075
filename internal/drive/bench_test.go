package drive

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
)

// BenchmarkRequest is one registration over a kept loopback connection. "cpu-µs/req" is the CPU time of this process, user and
// system; the stub runs in a process of its own, so that it is the generator's share alone.
func BenchmarkRequest(b *testing.B) {
	url := otherProcess(b, slowStub)
	s := scenario(b, `
name: bench
data: {email: "u{{unique}}@load.example"}
steps:
  - name: register
    request: {method: POST, path: /auth/register, json: {email: "{{email}}", password: "Correct-Horse-{{n}}", accept_terms: true}}
    expect: {status: 201, json: {success: true}}
    capture: {customer_id: json.customer.id}
`)
	e := engine(b, Config{Scenario: s, Target: target(url)})
	rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"register"}})
	users := 8
	drive(b, b.Context(), e, Load{Users: users, Total: uint64(users)}, rec)
	b.ReportAllocs()
	b.ResetTimer()
	user, system := cpuTimes(b)
	tally, err := e.Drive(b.Context(), Load{Users: users, Total: uint64(b.N)}, rec)
	if err != nil || tally.Failed > 0 {
		b.Fatalf("%+v, error %v", tally, err)
	}
	reportCPU(b, user, system)
}

// BenchmarkLag is the schedule lag of an open load on an otherwise idle process: the timer's error.
func BenchmarkLag(b *testing.B) {
	s := get("/")
	e := engine(b, Config{Scenario: s, Target: target(otherProcess(b, slowStub))})
	rec := recorder(s)
	before := cpu(b)
	_, sums := drive(b, b.Context(), e, Load{Plan: fixed(b, 200, 2*time.Second)}, rec)
	b.ReportMetric(*sums.LagP99Ms, "lag-p99-ms")
	b.ReportMetric(*sums.Latency.P50Ms, "p50-ms")
	b.ReportMetric(float64(cpu(b)-before)/float64(2*time.Second)*100, "cpu-%")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	user, system := cpuTimes(b)
	return user + system
}

// cpuTimes are those of this process so far.
func cpuTimes(b *testing.B) (user, system time.Duration) {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// reportCPU gives what the requests of a benchmark have cost since user and system, and how much of it was captest's own code.
func reportCPU(b *testing.B, user, system time.Duration) {
	b.Helper()
	u, s := cpuTimes(b)
	per := float64(time.Microsecond) * float64(b.N)
	b.ReportMetric(float64(u-user+s-system)/per, "cpu-µs/req")
	b.ReportMetric(float64(u-user)/per, "user-µs/req")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// Stubs of the benchmarks.
const (
	slowStub = "net/http" // answers as a service in Go would
	fastStub = "loop"     // costs less than any generator (serveFast)
)

// otherProcess runs this test binary again as the stub and gives its URL.
func otherProcess(b *testing.B, kind string) string {
	b.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestStubProcess$")
	c.Env = append(os.Environ(), "DRIVE_STUB="+kind)
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // the stub ends with its standard input
		_ = c.Wait()
	})
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}

// TestStubProcess is no test: it is the stub of the benchmarks.
func TestStubProcess(t *testing.T) {
	if os.Getenv("DRIVE_STUB") == "" {
		t.Skip("only runs as the benchmarks' stub")
	}
	if os.Getenv("DRIVE_STUB") == fastStub {
		if err := serveFast(func(url string) { _, _ = os.Stdout.WriteString(url + "\n") }); err != nil {
			t.Fatal(err)
		}
		return
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = io.WriteString(w, `{"success":true,"customer":{"id":"c-1","email":"u@load.example"}}`)
	}))
	defer s.Close()
	_, _ = os.Stdout.WriteString(s.URL + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
