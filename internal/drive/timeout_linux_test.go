package drive

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/scenarios"
)

// full is an address that no connection to is ever made: it listens, and its queue of connections to accept has no room left.
func full(t *testing.T) string {
	t.Helper()
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(l) })
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 0); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // a backlog of n takes n+1
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(c) })
		_ = unix.Connect(c, at)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

func TestAConnectionThatIsNeverMadeTimesOut(t *testing.T) {
	s := within(20*time.Second, scenarios.Timeouts{Connect: 150 * time.Millisecond, FirstByte: 10 * time.Second})
	e := engine(t, Config{Scenario: s, Loops: 1, Target: target(full(t))})
	_, sums := drive(t, t.Context(), e, Load{Users: 2, Total: 4}, recorder(s))
	if sums.Errors["timeout"] != 4 || *sums.Latency.P50Ms < 148 || *sums.Latency.MaxMs > 9_000 {
		t.Errorf("errors %v, max %v ms; want 4 timeouts of 150 ms", sums.Errors, *sums.Latency.MaxMs)
	}
	only(t, e, "connect timeout")
}
