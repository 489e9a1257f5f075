//go:build !linux

package drive

import (
	"errors"
	"testing"
)

func newNative(Config) (tested, error) { return nil, errNoNative }

func nativeEngine(t testing.TB, _ Config) Engine {
	t.Skip(errNoNative)
	return nil
}

func serveFast(func(url string)) error {
	return errors.New("the fast stub is an epoll loop, which is Linux's")
}
