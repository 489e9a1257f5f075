package drive

import (
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
)

// benchConnections is how many keep-alive connections the comparison uses, as the peers are measured with.
const benchConnections = 50

// registration is the request of the comparison: a field of its own in each, the status checked.
const registration = `
name: bench
steps:
  - name: register
    request: {method: POST, path: /auth/register, headers: {Content-Type: application/json}, body: '{"email":"u-{{unique}}@example.test","name":"Load Test User","password":"correct-horse-battery-staple","plan":"standard","locale":"en-GB","tags":["alpha","beta"],"consent":true,"source":"landing-page","n":1}'}
    expect: {status: 201}
`

// BenchmarkNative is one request of the native engine, everything recorded. Compare with BenchmarkBareLoop of the same run: the
// same system calls and nothing else.
func BenchmarkNative(b *testing.B) {
	benchmarkEngine(b, func(c Config) (Engine, error) { c.Loops = 1; return NewNative(c) })
}

// BenchmarkNativeTwoLoops is the same with two threads that send.
func BenchmarkNativeTwoLoops(b *testing.B) {
	benchmarkEngine(b, func(c Config) (Engine, error) { c.Loops = 2; return NewNative(c) })
}

// BenchmarkHTTP is the same with the engine on net/http.
func BenchmarkHTTP(b *testing.B) {
	benchmarkEngine(b, func(c Config) (Engine, error) { return NewHTTP(c) })
}

func benchmarkEngine(b *testing.B, make func(Config) (Engine, error)) {
	b.Helper()
	e, err := make(Config{Scenario: scenario(b, registration), Target: target(otherProcess(b, fastStub)), Identity: NewIdentity(1, "bench", nil)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	rec := record.NewRecorder(record.RecorderConfig{Clock: record.NewClock(), Steps: []string{"register"}})
	drive(b, b.Context(), e, Load{Users: benchConnections, Total: 1000}, rec)
	b.ReportAllocs()
	b.ResetTimer()
	user, system := cpuTimes(b)
	tally, err := e.Drive(b.Context(), Load{Users: benchConnections, Total: uint64(b.N)}, rec)
	if err != nil || tally.Failed > 0 {
		b.Fatalf("%+v, error %v", tally, err)
	}
	reportCPU(b, user, system)
}

// BenchmarkBareLoop sends the same bytes over as many connections and reads what comes, without looking at it: what the kernel
// asks for the exchange, and so the least that any generator can cost.
func BenchmarkBareLoop(b *testing.B) {
	u, err := url.Parse(otherProcess(b, fastStub))
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
	user, system := cpuTimes(b)
	ready := make([]int, 0, eventsAtOnce)
	for sent, done := 0, 0; done < b.N; {
		n, e := poll(ep, events, int64(5*time.Second))
		if e != 0 && e != syscall.EINTR || n == 0 {
			b.Fatal("poll: ", n, e)
		}
		ready = ready[:0]
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if events[i].Events&unix.EPOLLIN != 0 {
				if k, _ := readSocket(fd, in); k > 0 {
					done++
				}
			} else if sent >= benchConnections {
				continue
			}
			ready = append(ready, fd)
		}
		for _, fd := range ready {
			if sent < b.N {
				sent++
				_, _ = writeSocket(fd, out)
			}
		}
	}
	reportCPU(b, user, system)
}

// idleLooks is after how many looks at its sockets without anything there the stub falls asleep.
const idleLooks = 100_000

// serveFast is the stub of the comparison: a loop that answers whatever comes and looks at nothing, on the machine's last core
// where there are several, so that the generator is what limits. There it does not sleep while requests come: to wake a sleeper is
// charged to whoever sends, and the slower that is, the more often the stub would sleep.
func serveFast(announce func(url string)) error {
	last, alone := unix.CPUSet{}, true
	last.Set(runtime.NumCPU() - 1)
	if n, err := os.ReadFile("/sys/devices/system/cpu/present"); err == nil {
		if _, high, ok := strings.Cut(strings.TrimSpace(string(n)), "-"); ok {
			if k, err := strconv.Atoi(high); err == nil {
				last.Zero()
				last.Set(k)
				alone = k == 0
			}
		}
	}
	runtime.LockOSThread()
	_ = unix.SchedSetaffinity(0, &last)
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(listener, 1024); err != nil {
		return err
	}
	at, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	announce("http://127.0.0.1:" + strconv.Itoa(at.(*unix.SockaddrInet4).Port))
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	watch := func(fd int) error {
		return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := watch(listener); err != nil {
		return err
	}
	_ = watch(0) // whoever started it is gone
	const body = `{"success":true,"customer":{"id":"5f7e8c1d-3c2b-4a55-9a1e-0d6f2f1b7c11","email":"u@load.example","plan":"standard"}}`
	answer := []byte("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	events, in := make([]unix.EpollEvent, eventsAtOnce), make([]byte, readAtOnce)
	empty := 0
	for {
		wait := int64(0)
		if empty >= idleLooks || alone {
			wait = int64(time.Second)
		}
		n, e := poll(ep, events, wait)
		if e != 0 && e != syscall.EINTR {
			return e
		}
		if empty++; n > 0 {
			empty = 0
		}
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); fd {
			case 0:
				return nil
			case listener:
				if c, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
					_ = unix.SetsockoptInt(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
					_ = watch(c)
				}
			default:
				if k, _ := readSocket(fd, in); k > 0 {
					_, _ = writeSocket(fd, answer)
				} else if k == 0 {
					_ = unix.Close(fd)
				}
			}
		}
	}
}
