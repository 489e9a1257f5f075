package kit

import (
	"errors"
	"net"
	"testing"
	"time"
)

func listenFor(t *testing.T, k Knobs) (net.Listener, *net.TCPListener, *Metrics) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	m := NewMetrics()
	ln, err := Accepting(inner, k, m)
	if err != nil {
		t.Skip(err) // a backlog can be set on Linux only
	}
	return ln, inner.(*net.TCPListener), m
}

func TestTheKernelQueuesAsManyConnectionsAsTheBacklogSays(t *testing.T) {
	ln, socket, m := listenFor(t, Knobs{Backlog: 2})
	for range 3 { // the kernel takes one more than it was told
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	waitFor(t, "three connections in the queue", func() bool {
		length, limit, err := acceptQueue(socket)
		if err != nil || limit != 2 {
			t.Fatalf("limit %d, %v", limit, err)
		}
		return length == 3
	})
	if c, err := net.DialTimeout("tcp", ln.Addr().String(), 300*time.Millisecond); err == nil {
		_ = c.Close()
		t.Error("a fourth connection was made although the queue is full")
	}
	for range 3 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if got := value(t, m.accepted); got != 3 {
		t.Errorf("%v connections counted, want 3", got)
	}
}

func TestASlowAcceptLoopStopsAtOnce(t *testing.T) {
	ln, _, m := listenFor(t, Knobs{AcceptDelay: time.Hour})
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ended := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		ended <- err
	}()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("something was read of a connection nobody serves")
	}
	_ = ln.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the accept loop did not stop")
	}
	if got := value(t, m.accepted); got != 0 {
		t.Errorf("%v connections counted as accepted", got)
	}
}

func TestASlowAcceptLoopTakesItsTimeForEachConnection(t *testing.T) {
	const delay = 60 * time.Millisecond
	ln, _, _ := listenFor(t, Knobs{AcceptDelay: delay})
	began := time.Now()
	for range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	for range 3 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if took := time.Since(began); took < 3*delay {
		t.Errorf("three connections in %s, want at least %s", took, 3*delay)
	}
}
