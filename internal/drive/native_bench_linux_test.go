package drive

import (
	"net/netip"
	"net/url"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
)

// benchConnections is how many keep-alive connections the comparison uses, as the peers are measured with.
const benchConnections = 50

// BenchmarkNative is one request of the native engine: a field of its own in each, the status checked, everything recorded.
// Compare with BenchmarkBareLoop of the same run: the same system calls and nothing else.
func BenchmarkNative(b *testing.B) {
	s := scenario(b, `
name: bench
steps:
  - name: register
    request: {method: POST, path: /auth/register, headers: {Content-Type: application/json}, body: '{"email":"u-{{unique}}@example.test","name":"Load Test User","password":"correct-horse-battery-staple","plan":"standard","locale":"en-GB","tags":["alpha","beta"],"consent":true,"source":"landing-page","n":1}'}
    expect: {status: 201}
`)
	e, err := NewNative(Config{Scenario: s, Target: target(otherProcess(b)), Identity: NewIdentity(1, "bench", nil), Loops: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"register"}})
	drive(b, b.Context(), e, Load{Users: benchConnections, Total: 1000}, rec)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	tally, err := e.Drive(b.Context(), Load{Users: benchConnections, Total: uint64(b.N)}, rec)
	if err != nil || tally.Failed > 0 {
		b.Fatalf("%+v, error %v, %v", tally, err, e.Examples())
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(time.Microsecond)/float64(b.N), "cpu-µs/req")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// BenchmarkBareLoop sends the same bytes over as many connections and reads what comes, without looking at it: what the kernel
// asks for the exchange, and so the least that any generator can cost.
func BenchmarkBareLoop(b *testing.B) {
	u, err := url.Parse(otherProcess(b))
	if err != nil {
		b.Fatal(err)
	}
	to := netip.MustParseAddrPort(u.Host)
	body := `{"email":"u-nzz6g4xcgo-0000000@example.test","name":"Load Test User","password":"correct-horse-battery-staple","plan":"standard","locale":"en-GB","tags":["alpha","beta"],"consent":true,"source":"landing-page","n":1}`
	out := []byte("POST /auth/register HTTP/1.1\r\nHost: " + u.Host + "\r\nContent-Type: application/json\r\nUser-Agent: captest\r\nContent-Length: 215\r\n\r\n" + body)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Close(ep) }()
	for range benchConnections {
		fd, err := connectTo(to, netip.Addr{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: pollInterest, Fd: int32(fd)}); err != nil {
			b.Fatal(err)
		}
	}
	events, in := make([]unix.EpollEvent, eventsAtOnce), make([]byte, readAtOnce)
	b.ResetTimer()
	before := cpu(b)
	for sent, done := 0, 0; done < b.N; {
		n, e := poll(ep, events, int64(5*time.Second))
		if e != 0 && e != syscall.EINTR || n == 0 {
			b.Fatal("poll: ", n, e)
		}
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if events[i].Events&unix.EPOLLIN != 0 {
				if k, _ := readSocket(fd, in); k > 0 {
					done++
				}
			} else if sent >= benchConnections {
				continue
			}
			if sent < b.N {
				sent++
				_, _ = writeSocket(fd, out)
			}
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(time.Microsecond)/float64(b.N), "cpu-µs/req")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
