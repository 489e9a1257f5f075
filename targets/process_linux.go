package targets

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// prepare puts the child into a process group of its own, so that Ctrl-C in a terminal reaches captest only, which then
// stops the services in order; and asks the kernel to kill it when captest dies, however that happens (see spawner).
func prepare(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return nil
}

// reserve takes a port of 127.0.0.1 (a free one for 0) for as long as the result stays open, without listening on it.
//
// Free ports come from the range that outgoing connections use too. While a service restarts, its port would be free for
// the taking, and a load generator opens thousands of connections a second: sooner or later one gets it, and the service
// cannot come back to its address. The kernel never gives a port that is explicitly bound to an outgoing connection, and with
// SO_REUSEADDR on both (net.Listen sets it) the service may still bind and listen on it.
func reserve(port int) (io.Closer, int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socket", err)
	}
	held := os.NewFile(uintptr(fd), "reserved port")
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		held.Close()
		return nil, 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		held.Close()
		return nil, 0, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		held.Close()
		return nil, 0, os.NewSyscallError("getsockname", err)
	}
	return held, bound.(*syscall.SockaddrInet4).Port, nil
}
