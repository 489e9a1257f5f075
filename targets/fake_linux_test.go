package targets

import (
	"os"
	"slices"
	"syscall"
	"unsafe"
)

const (
	prSetDeathSignal = 1
	prGetDeathSignal = 2
)

// init and not later, because the parent-death signal belongs to the main thread, and only init is sure to run there.
func init() {
	if len(os.Args) > 1 && (os.Args[1] == "fake-service" || os.Args[1] == "serve-one") {
		if slices.Contains(os.Args, "*:clear-death-signal") {
			syscall.RawSyscall(syscall.SYS_PRCTL, prSetDeathSignal, 0, 0)
		}
		var at int32
		syscall.RawSyscall(syscall.SYS_PRCTL, prGetDeathSignal, uintptr(unsafe.Pointer(&at)), 0)
		deathSignalAtStart = int(at)
	}
}

var deathSignalAtStart int

func deathSignal() int { return deathSignalAtStart }

func gettid() int { return syscall.Gettid() }
