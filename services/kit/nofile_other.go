//go:build !linux && !darwin

package kit

import "errors"

// LimitFiles is not available on this system.
func LimitFiles(int) error { return errors.New("limit descriptors: not available on this system") }
