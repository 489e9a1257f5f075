package drive

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
)

// No answer that is there waits behind the sending of another user's next request.
func TestAnswersAreReadBeforeAnythingIsSent(t *testing.T) {
	once(t)
	e, err := NewNative(Config{Scenario: get("/"), Target: target("http://127.0.0.1:9"), Identity: NewIdentity(1, "order", nil), Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	load, clock := Load{Users: 2, Total: 4}, record.NewClock()
	rec := record.NewRecorder(record.RecorderConfig{Clock: clock, Steps: []string{"get"}})
	l := e.loops[0]
	l.prepare(&nativeRun{Native: e, load: load, throttle: load.throttle(), rec: rec, clock: clock})
	var peers []int
	for _, r := range l.riders {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(pair[1]) }()
		peers = append(peers, pair[1])
		l.watch(&r.conns[0], pair[0])
		r.conns[0].state = up
		rec.Opened()
		l.again(r)
	}
	defer l.hangUp()
	requests := func() (n int) {
		for _, fd := range peers {
			b := make([]byte, 4096)
			k, errno := readSocket(fd, b)
			if errno == 0 && strings.HasPrefix(string(b[:k]), "GET / HTTP/1.1\r\n") {
				n++
			} else if errno != syscall.EAGAIN {
				t.Fatalf("%q, error %v", b[:max(k, 0)], errno)
			}
		}
		return n
	}
	if n := requests(); n != 2 {
		t.Fatalf("%d first requests, want 2", n)
	}
	for _, fd := range peers {
		if _, errno := writeSocket(fd, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); errno != 0 {
			t.Fatal(errno)
		}
	}
	for _, r := range l.riders {
		l.event(&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.conns[0].fd), Pad: r.conns[0].turn})
	}
	if n, served := requests(), rec.Cut().OK; n != 0 || served != 2 {
		t.Errorf("%d requests sent before %d answers were read, want 0 before 2", n, served)
	}
	l.proceed()
	if n := requests(); n != 2 {
		t.Errorf("%d requests after the answers, want 2", n)
	}
	if a, b := l.riders[0].sample.Started, l.riders[1].sample.Started; b <= a {
		t.Errorf("the second began at %d ns, the first at %d: each is to have a time of its own", b, a)
	}
}
