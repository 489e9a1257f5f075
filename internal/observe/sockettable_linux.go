package observe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
)

// socketTable reads the kernel's table of TCP sockets, /proc/net/tcp and tcp6 (proc_net_tcp(5)). Under load it has tens of
// thousands of lines, so that reading it again takes no memory but what the last reading took.
type socketTable struct {
	all  []socket
	from *bufio.Reader
}

// socket is a line of it.
type socket struct {
	local                 netip.Addr // of a listening socket alone
	localPort, remotePort uint16
	state                 tcpState
	queue                 uint32 // of a listening socket: connections that nobody has accepted
	inode                 uint64
}

// tcpState is a number of include/net/tcp_states.h of Linux.
type tcpState uint8

const (
	timeWait  tcpState = 6
	listening tcpState = 10
)

var tcpStates = [...]string{
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV",
}

func (s tcpState) String() string {
	if int(s) < len(tcpStates) && s > 0 {
		return tcpStates[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// read gives the sockets of this network namespace, over IPv4 and IPv6. The slice is valid until the next call.
func (t *socketTable) read() ([]socket, error) {
	t.all = t.all[:0]
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if err := t.readFile(file); err != nil && !errors.Is(err, os.ErrNotExist) { // a machine without IPv6 has no tcp6
			return nil, err
		}
	}
	return t.all, nil
}

func (t *socketTable) readFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if t.from == nil {
		t.from = bufio.NewReaderSize(nil, 64<<10)
	}
	t.from.Reset(f)
	if _, err := t.from.ReadSlice('\n'); err != nil { // the headings
		return fmt.Errorf("%s: %w", name, err)
	}
	for {
		line, err := t.from.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if s, ok := parseSocket(line); ok {
			t.all = append(t.all, s)
		}
	}
}

// parseSocket reads
//
//	sl: local_address:port rem_address:port st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
func parseSocket(line []byte) (s socket, ok bool) {
	var fields [10][]byte
	for i := range fields {
		line = bytes.TrimLeft(line, " ")
		if fields[i], line, ok = bytes.Cut(line, []byte(" ")); !ok {
			return s, false
		}
	}
	local, localPort, ok1 := bytes.Cut(fields[1], []byte(":"))
	_, remotePort, ok2 := bytes.Cut(fields[2], []byte(":"))
	_, queue, ok3 := bytes.Cut(fields[4], []byte(":"))
	if !ok1 || !ok2 || !ok3 {
		return s, false
	}
	numbers := [...]struct {
		text []byte
		base int
		bits int
	}{{localPort, 16, 16}, {remotePort, 16, 16}, {fields[3], 16, 8}, {queue, 16, 32}, {fields[9], 10, 64}}
	var got [len(numbers)]uint64
	for i, n := range numbers {
		v, err := strconv.ParseUint(string(n.text), n.base, n.bits)
		if err != nil {
			return s, false
		}
		got[i] = v
	}
	s = socket{localPort: uint16(got[0]), remotePort: uint16(got[1]), state: tcpState(got[2]), queue: uint32(got[3]), inode: got[4]}
	if s.state == listening {
		s.local, ok = parseAddr(local)
	}
	return s, ok
}

// parseAddr reads an address as the kernel writes it: hexadecimal, in 32-bit words of this machine's byte order.
func parseAddr(text []byte) (netip.Addr, bool) {
	var raw [16]byte
	n, err := hex.Decode(raw[:], text[:min(len(text), 32)])
	if err != nil || n != 4 && n != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < n; i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw[:n])
	return a.Unmap(), ok
}
