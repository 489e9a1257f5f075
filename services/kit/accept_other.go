//go:build !linux

package kit

import (
	"errors"
	"net"
)

// errNotHere says that only Linux can do it.
var errNotHere = errors.New("only Linux can be asked for it; leave the knob at default")

func setBacklog(*net.TCPListener, int) error { return errNotHere }

func acceptQueue(*net.TCPListener) (length, limit int, err error) { return 0, 0, errNotHere }
