//go:build linux || darwin

package kit

import (
	"fmt"
	"syscall"
)

// LimitFiles sets this process's descriptor limit, soft and hard: Go raises a soft limit to the hard one by itself, so
// only both together hold. It cannot be undone.
func LimitFiles(n int) error {
	limit := syscall.Rlimit{Cur: uint64(n), Max: uint64(n)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit descriptors to %d: %w", n, err)
	}
	return nil
}
