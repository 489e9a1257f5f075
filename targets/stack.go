package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/captest/captest/services"
)

// failGrace is how long a service that did not become ready has between SIGTERM and SIGKILL.
const failGrace = time.Second

// Stack is the bundled services, running: each its own process, on loopback.
//
// Stop takes it down; call it on every way out (defer it). When captest ends without, by a panic in some goroutine or by
// SIGKILL, the services end too: each holds the other end of a lifeline pipe and exits at its EOF, and on Linux the kernel
// kills it when its parent is gone.
type Stack struct {
	config  StackConfig
	order   []string // of the start
	spawner *spawner

	life context.Context // done when Stop begins: a Restart under way gives up
	end  context.CancelFunc
	turn chan struct{} // holds one token; Restart and Stop take it

	mu      sync.Mutex // guards the members' process and url
	members map[string]*member

	telling sync.Mutex // one event at a time

	once    sync.Once
	stopped chan struct{} // closed when Stop is through
	left    error         // result of Stop, set before stopped is closed
}

// member is one service over all its restarts.
type member struct {
	name    string
	listen  string
	held    io.Closer // its port
	log     *serviceLog
	url     string
	process *process
	set     map[string]string // knobs of this service alone, on top of the stack's; nil: none
}

// StartStack starts the services one after the other, each when those it calls are ready. When one does not come up, or ctx
// is done before all are, everything is taken down again; the error is a *StackError that names the service. Once started,
// the stack runs until Stop, whatever becomes of ctx.
func StartStack(ctx context.Context, c StackConfig) (_ *Stack, err error) {
	c, err = c.complete()
	if err != nil {
		return nil, err
	}
	order, err := c.order()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(c.Dir, 0o700), os.MkdirAll(c.LogDir, 0o700)); err != nil {
		return nil, fmt.Errorf("bundled services: %w", err)
	}
	s := &Stack{
		config: c, order: order, spawner: newSpawner(),
		turn: make(chan struct{}, 1), members: map[string]*member{}, stopped: make(chan struct{}),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.turn <- struct{}{}
	up := false
	defer func() {
		if up {
			return
		}
		// Also when OnEvent panics.
		if left := s.Stop(context.WithoutCancel(ctx)); left != nil {
			err = errors.Join(err, left)
		}
	}()
	for _, name := range order {
		if err := s.add(ctx, name); err != nil {
			return nil, err
		}
	}
	up = true
	return s, nil
}

// add starts a service for the first time.
func (s *Stack) add(ctx context.Context, name string) error {
	port := s.config.Ports[name]
	held, port, err := reserve(port)
	if err != nil {
		failed := &StackError{Service: name, How: "cannot take a port", Err: err}
		if errors.Is(err, syscall.EADDRINUSE) {
			failed.How = fmt.Sprintf("cannot listen on port %d", s.config.Ports[name])
			failed.Next = "stop what listens there, or choose another port (0 takes a free one)"
		}
		return failed
	}
	log, err := openServiceLog(filepath.Join(s.config.LogDir, name+".log"), s.config.LogLimit)
	if err != nil {
		return &StackError{Service: name, How: "cannot open its log", Err: errors.Join(err, held.Close())}
	}
	m := &member{name: name, listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), held: held, log: log}
	s.mu.Lock()
	s.members[name] = m
	s.mu.Unlock()
	return s.launch(ctx, m, "started", "ready")
}

// launch starts a process for the service and waits until it is ready; if that fails, the process is gone again. It tells of
// the states begun ("" for silence) and ready.
func (s *Stack) launch(ctx context.Context, m *member, begun, ready string) error {
	late := fmt.Errorf("not ready within %s", s.config.ReadyTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.ReadyTimeout, late)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return &StackError{Service: m.name, How: "interrupted before it was started", Err: err}
	}
	p, err := start(s.spawner, s.config.Exe, s.config.Args, services.Options{
		Service:    m.name,
		Listen:     m.listen,
		Profile:    s.config.Profile,
		Set:        s.settings(m),
		Dir:        s.config.Dir,
		Store:      s.config.Store,
		Downstream: s.downstream(m.name),
	}, m.log)
	if err != nil {
		return &StackError{Service: m.name, How: "cannot be started", Err: err}
	}
	s.mu.Lock()
	m.process = p
	s.mu.Unlock()
	begins := make(chan struct{}) // so that a quick end is not told before the beginning
	p.watch(func(how string, asked bool) {
		m.log.Note("%s ended, pid %d: %s", m.name, p.pid(), how)
		<-begins
		if asked {
			s.tell(m.name, "stopped", p.pid(), how)
		} else {
			s.tell(m.name, "exited", p.pid(), how)
		}
	})
	func() {
		defer close(begins)
		if begun != "" {
			s.tell(m.name, begun, p.pid(), "")
		}
	}()

	at, err := p.listening(ctx)
	if err == nil && m.url != "" && at != m.url {
		err = fmt.Errorf("listens at %s instead of %s, where it was before", at, m.url)
	}
	if err == nil {
		err = p.ready(ctx, at)
	}
	if err != nil {
		failed := &StackError{Service: m.name, Log: m.log.path}
		switch cause := context.Cause(ctx); cause {
		case nil:
			failed.How = err.Error()
		case late:
			failed.How, failed.Err = late.Error(), err
		default:
			failed.How, failed.Err = "interrupted while it was starting", cause
		}
		// The log is complete once the process is gone.
		stuck := p.stop(ctx, min(failGrace, s.config.StopTimeout))
		failed.Tail = m.log.Tail()
		if stuck != nil {
			return errors.Join(failed, stuck)
		}
		return failed
	}
	s.mu.Lock()
	m.url = at
	m.listen = strings.TrimPrefix(at, "http://")
	s.mu.Unlock()
	s.tell(m.name, ready, p.pid(), at)
	return nil
}

// settings are the knobs a service is started with.
func (s *Stack) settings(m *member) map[string]string {
	if len(m.set) == 0 {
		return s.config.Set
	}
	all := map[string]string{}
	maps.Copy(all, s.config.Set)
	for knob, value := range m.set {
		all[m.name+"."+knob] = value
	}
	return all
}

func (s *Stack) downstream(service string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	urls := map[string]string{}
	for _, name := range calls(service) {
		if at := s.config.Downstream[name]; at != "" {
			urls[name] = strings.TrimRight(at, "/")
		} else if m := s.members[name]; m != nil {
			urls[name] = m.url
		}
	}
	return urls
}

func (s *Stack) tell(service, state string, pid int, detail string) {
	if s.config.OnEvent == nil {
		return
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	s.config.OnEvent(StackEvent{Service: service, State: state, PID: pid, Detail: detail})
}

// Target describes the stack as something to send load to.
func (s *Stack) Target() *Target {
	t := &Target{
		Name: "reference", Profile: s.config.Profile, Set: maps.Clone(s.config.Set), Bundled: true,
		Entry: s.order[len(s.order)-1], // user, unless it was not asked for
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Backward(s.order) { // entry first
		service := Service{Name: name, URL: s.members[name].url, Health: "/health", Metrics: "/metrics"}
		if name == "kill-bill" {
			service.Kind, service.Health, service.Metrics = "kill-bill", "/1.0/healthcheck", "/1.0/metrics"
		}
		t.Services = append(t.Services, service)
	}
	return t
}

// Place gives a loaded target with the services that run: t says everything but where they are and what they offer.
func (s *Stack) Place(t *Target) *Target {
	placed := *t
	placed.Bundled, placed.Profile, placed.Set = true, s.config.Profile, maps.Clone(s.config.Set)
	placed.Services = s.Target().Services
	return &placed
}

// PIDs gives the process of each service that is running now.
func (s *Stack) PIDs() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	pids := map[string]int{}
	for name, m := range s.members {
		if m.process != nil && m.process.alive() {
			pids[name] = m.process.pid()
		}
	}
	return pids
}

// Logs gives the log file of each service.
func (s *Stack) Logs() map[string]string {
	logs := map[string]string{}
	for _, name := range s.order {
		logs[name] = filepath.Join(s.config.LogDir, name+".log")
	}
	return logs
}
