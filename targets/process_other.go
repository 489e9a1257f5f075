//go:build !unix

package targets

import (
	"errors"
	"io"
	"os/exec"
)

var errNoStack = errors.New("the bundled services need Linux, macOS or another Unix: here captest can only test services that run elsewhere (--target URL)")

// prepare refuses: a child gets its pipes as inherited descriptors, and is stopped with signals.
func prepare(*exec.Cmd) error { return errNoStack }

func reserve(int) (io.Closer, int, error) { return nil, 0, errNoStack }
