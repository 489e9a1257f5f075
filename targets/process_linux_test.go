package targets

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestReserveHoldsAPortForItsServiceOnly(t *testing.T) {
	held, port, err := reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	// Nobody listens: refused, as at a service that is down.
	if c, err := net.DialTimeout("tcp", address, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial gives %v, %v", c, err)
	}
	// Not for the near end of an outgoing connection.
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Timeout: patience}
	if c, err := dialer.Dial("tcp", far.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("dial from the port gives %v, %v", c, err)
	}
	// For the service, again and again, also right after connections to it were cut.
	for range 3 {
		service, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := reserve(port); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("reserved twice: %v, %v", again, err)
		}
		client, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := service.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close() // first: its end is the one that stays in TIME_WAIT
		_ = client.SetDeadline(time.Now().Add(patience))
		_, _ = client.Read(make([]byte, 1))
		client.Close()
		service.Close()
	}
}

func TestReserveTakesDifferentPorts(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		held, port, err := reserve(0)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		if seen[port] {
			t.Fatalf("port %d twice", port)
		}
		seen[port] = true
	}
}
