package drive

import (
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/captest/captest/internal/record"
)

// writeEvery: a loop times the writing of its first request and of every 17th after it, whatever becomes of them: the clock costs
// as much as all else that is done to write one. A prime number hardly beats with the steps
// of a journey.
const writeEvery = 17

// tell records what happened on a connection since it was last told of: when it is closed, and every sampleEvery requests.
func (l *loop) tell(c *conn, by record.ClosedBy) {
	x := record.Stretch{BytesIn: c.bytesIn, BytesOut: c.bytesOut, Closed: by, Requests: c.carried}
	c.bytesIn, c.bytesOut = 0, 0
	var left bool
	x.TCP, left = readTCP(c.fd, &l.tcp, &c.resent)
	if left && by == record.ByCaptest { // its end had come, and nobody had looked yet
		x.Closed = record.ByTargetIdle
		if c.r.on == c {
			x.Closed = record.ByTarget
		}
	}
	l.shard.Stretch(x)
}

// tcpCloseWait is a connection whose other side has closed and this one has not. Source: RFC 9293, section 3.3.2, "CLOSE-WAIT";
// its number is TCP_CLOSE_WAIT of Linux' include/net/tcp_states.h.
const tcpCloseWait = 8

// readTCP asks the kernel about a connection, with memory that is the caller's. resent is how many retransmits earlier readings
// of it have had; left says that the other side has closed it.
func readTCP(fd int, info *unix.TCPInfo, resent *uint32) (x record.TCPInfo, left bool) {
	size := uint32(unix.SizeofTCPInfo)
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 || uintptr(size) < unsafe.Offsetof(info.Total_retrans)+unsafe.Sizeof(info.Total_retrans) {
		return record.TCPInfo{}, false
	}
	x = record.TCPInfo{
		Known: true, RTTUs: info.Rtt, RTTVarUs: info.Rttvar, Lost: info.Lost, Retransmits: info.Total_retrans - *resent,
	}
	*resent = info.Total_retrans
	return x, info.State == tcpCloseWait
}

// tcpInfoOf is readTCP for a connection of package net; nothing is known of any but TCP's.
func tcpInfoOf(c net.Conn, resent *uint32) (x record.TCPInfo, left bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return x, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return x, false
	}
	var info unix.TCPInfo
	_ = raw.Control(func(fd uintptr) { x, left = readTCP(int(fd), &info, resent) }) // closed already: unknown
	return x, left
}

// closer says who ended a connection that broke with an error of the socket.
func closer(err error) record.ClosedBy {
	switch {
	case is(err, syscall.ECONNRESET):
		return record.ByReset
	case is(err, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF): // EPIPE: its end came before, and nobody had looked
		return record.ByTarget
	}
	return record.ByCaptest
}
