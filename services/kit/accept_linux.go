package kit

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// setBacklog calls listen(2) again: net has given the socket the system's maximum, and the last call counts. The kernel
// takes no more than net.core.somaxconn.
func setBacklog(ln *net.TCPListener, n int) error {
	var err error
	if e := onSocket(ln, func(fd int) { err = unix.Listen(fd, n) }); e != nil {
		return e
	}
	return err
}

// acceptQueue asks the kernel: for a listening socket TCP_INFO holds the queue's length and limit in two fields that mean
// something else on a connection.
func acceptQueue(ln *net.TCPListener) (length, limit int, err error) {
	e := onSocket(ln, func(fd int) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			length, limit = int(info.Unacked), int(info.Sacked)
		}
	})
	if e != nil {
		return 0, 0, e
	}
	return length, limit, err
}

// onSocket does something with the descriptor, which stays open meanwhile.
func onSocket(ln syscall.Conn, do func(fd int)) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}
