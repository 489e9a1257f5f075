package targets

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one operating-system thread that lives as long as it does.
//
// On Linux the children carry a parent-death signal, and the "parent" it watches is the *thread* that forked, not the
// process. Go moves goroutines between threads and ends a thread when a goroutine that is locked to it ends, so a child that
// was forked from any goroutine may be killed in the middle of a run because some unrelated thread went away
// (golang/go#27505). Forking from one locked goroutine that outlives all children rules that out.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		// Unlocked at the end, so that the thread is handed back instead of ended: should a child be left that even SIGKILL
		// could not end (stuck in the kernel), nothing changes for it.
		defer runtime.UnlockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Start is cmd.Start on the spawner's thread. It must not be called after Close.
func (s *spawner) Start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	s.work <- func() { result <- cmd.Start() }
	return <-result
}

// Close ends the goroutine. All children must be gone.
func (s *spawner) Close() {
	close(s.work)
	<-s.done
}
