//go:build unix && !linux

package targets

import (
	"io"
	"os/exec"
	"syscall"
)

// prepare puts the child into a process group of its own, so that Ctrl-C in a terminal reaches captest only. There is no
// parent-death signal here: the lifeline pipe alone makes the child exit when captest dies.
func prepare(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return nil
}

type nothingHeld struct{}

func (nothingHeld) Close() error { return nil }

// reserve cannot hold a port without listening on it here (SO_REUSEADDR does not let two sockets share an exact address):
// the service takes a free port itself, and asks for the same one after a restart.
func reserve(port int) (io.Closer, int, error) { return nothingHeld{}, port, nil }
