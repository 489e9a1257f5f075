package drive

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the loop asks of the kernel, without a detour. Calls that cannot block go straight through; only the wait tells the Go
// scheduler that its thread will be away.

// pollInterest is everything, edge-triggered: a connection is registered once and for all.
const pollInterest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff

// connectTo starts a connection to an address. The error is the kernel's; EINPROGRESS is none.
func connectTo(to netip.AddrPort, from netip.Addr) (fd int, err error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // it is slower without, and works
	if from.IsValid() {
		// The port is chosen at connect, when the kernel knows the other end: more than one connection may have it.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && err != unix.EINPROGRESS { //nolint:errorlint // a bare errno
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// CheckSource says why no connection can come from an address; nil where one can. It asks the kernel, by binding a socket.
func CheckSource(a netip.Addr) error {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return &localError{"socket", err}
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(a, 0))); err != nil {
		return &localError{"bind", err}
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// socketError is what a connection attempt came to: nil when it stands.
func socketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// readSocket is recv(2) on a socket that does not block; n is -1 with an error. It spares the kernel what read(2) does for files.
func readSocket(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), e
}

// writeSocket is send(2) without SIGPIPE on a socket that does not block.
func writeSocket(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// poll waits for events for at most ns (below 0: for ever). At 0 it only looks.
func poll(ep int, events []unix.EpollEvent, ns int64) (int, syscall.Errno) {
	at := uintptr(unsafe.Pointer(&events[0]))
	if ns == 0 {
		n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(ep), at, uintptr(len(events)), 0, 0, 0)
		return int(n), e
	}
	var limit *unix.Timespec
	if ns > 0 {
		ts := unix.NsecToTimespec(ns)
		limit = &ts
	}
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), at, uintptr(len(events)), uintptr(unsafe.Pointer(limit)), 0, 0)
	return int(n), e
}
