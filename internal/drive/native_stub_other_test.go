//go:build !linux

package drive

import "testing"

func newNative(Config) (tested, error) { return nil, errNoNative }

func nativeEngine(t testing.TB, _ Config) Engine {
	t.Skip(errNoNative)
	return nil
}
