package services

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// tellAddress writes the address line to the pipe the parent reads, and closes it.
func tellAddress(fd int, a Address) error {
	f := os.NewFile(uintptr(fd), "address")
	if f == nil {
		return fmt.Errorf("%s: address descriptor %d is not open", a.Service, fd)
	}
	err := json.NewEncoder(f).Encode(a)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("%s: tell address: %w", a.Service, err)
	}
	return nil
}

// watchLifeline calls gone when the other end of the pipe is closed, which the kernel does even for a parent that was
// killed. stop ends the watch.
func watchLifeline(fd int, gone func()) (stop func()) {
	f := os.NewFile(uintptr(fd), "lifeline")
	if f == nil {
		gone() // a parent that promised a lifeline and gave none is gone already
		return func() {}
	}
	go func() {
		_, _ = io.Copy(io.Discard, f)
		gone()
	}()
	return func() { _ = f.Close() }
}
