package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/captest/captest/services"
)

const (
	addressFD  = 3 // cmd.ExtraFiles start at 3
	lifelineFD = 4
	// killWait bounds the wait for a process after SIGKILL, which only one stuck in the kernel outlives.
	killWait = 5 * time.Second
	// drainWait bounds the wait for the rest of the log after a service has ended: a process that it left behind may hold
	// the pipe open for ever.
	drainWait = time.Second
)

// process is one run of a service, from fork to reaping.
type process struct {
	service string
	cmd     *exec.Cmd
	address *os.File // the child writes its URL here
	// lifeline is never written to. The child reads from the other end, and exits at its EOF, which the kernel delivers when
	// this end is closed or captest is gone, whatever ended it.
	lifeline *os.File
	asked    atomic.Bool   // to stop
	ignored  atomic.Bool   // being asked
	done     chan struct{} // closed when it is reaped, its log is written, and the event about it is out
	how      string        // it ended: "exit status 1", "signal: killed"; set before done is closed
}

// start forks the service. The caller must call watch next: nothing else reaps it.
func start(from *spawner, exe string, args []string, o services.Options, log *serviceLog) (_ *process, err error) {
	o.AddressFD, o.LifelineFD = addressFD, lifelineFD
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	// Both ends are close-on-exec in captest (os.Pipe), so the other services, and whatever captest executes beside them,
	// never hold this service's lifeline open.
	address, childAddress, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	childLifeline, lifeline, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, address.Close(), childAddress.Close())
	}
	defer func() {
		childAddress.Close()
		childLifeline.Close()
		if err != nil {
			address.Close()
			lifeline.Close()
		}
	}()

	cmd := exec.Command(exe, args...)
	cmd.Dir = o.Dir
	cmd.Env = append(inherited(o, os.LookupEnv), services.Env+"="+string(text))
	cmd.Stdout, cmd.Stderr = log, log // the same: one pipe. Stdin stays nil: /dev/null.
	cmd.ExtraFiles = []*os.File{addressFD - 3: childAddress, lifelineFD - 3: childLifeline}
	cmd.WaitDelay = drainWait
	if err := prepare(cmd); err != nil {
		return nil, err
	}
	log.Fresh()
	if err := from.Start(cmd); err != nil {
		return nil, err
	}
	log.Note("%s started, pid %d", o.Service, cmd.Process.Pid)
	return &process{service: o.Service, cmd: cmd, address: address, lifeline: lifeline, done: make(chan struct{})}, nil
}

// inherited is the environment of a service: what steers the Go runtime, where temporary files go, and Kill Bill's
// credentials for the two that need them, and where PostgreSQL's password is when that is the store. Nothing else is passed on: captest's own environment may hold the secrets of a
// scenario, and the services are what is being tested.
func inherited(o services.Options, lookup func(string) (string, bool)) []string {
	names := []string{"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK", "GORACE", "GOCOVERDIR", "TZ", "TMPDIR"}
	if o.Postgres() {
		names = append(names, "PGPASSWORD", "PGPASSFILE", "HOME") // HOME: for ~/.pgpass
	}
	if o.Service == "kill-bill" || o.Service == "billing" {
		names = append(names, "KILLBILL_USER", "KILLBILL_PASSWORD", "KILLBILL_API_KEY", "KILLBILL_API_SECRET")
	}
	var env []string
	for _, name := range names {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// watch reaps the process when it ends and then calls ended with how.
func (p *process) watch(ended func(how string, asked bool)) {
	go func() {
		defer close(p.done)
		// The error adds nothing to the state but that a left-over process held the log open (exec.ErrWaitDelay).
		_ = p.cmd.Wait()
		p.how = p.cmd.ProcessState.String()
		if p.ignored.Load() {
			p.how += " (it did not stop when asked)"
		}
		p.address.Close()
		p.lifeline.Close()
		ended(p.how, p.asked.Load())
	}()
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop ends the process: SIGTERM, and SIGKILL after grace or when ctx is done. It returns when the process is reaped; the
// error is that even SIGKILL did not end it in time.
func (p *process) stop(ctx context.Context, grace time.Duration) error {
	p.asked.Store(true)
	if grace > 0 && ctx.Err() == nil {
		// Fails only when the process is gone already, and then done is closed soon.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
			return nil
		case <-timer.C:
			p.ignored.Store(true)
		case <-ctx.Done():
		}
	}
	_ = p.cmd.Process.Kill()
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("bundled service %s: pid %d is still there %s after SIGKILL", p.service, p.pid(), killWait)
	}
}
