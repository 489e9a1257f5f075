package targets

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/captest/captest/services"
)

const (
	defaultReadyTimeout = 30 * time.Second
	defaultStopTimeout  = 15 * time.Second
	defaultLogLimit     = 64 << 20
)

// StackConfig says which bundled services to start, and how.
type StackConfig struct {
	// Profile and Set choose the knobs of the services (services.CheckKnobs).
	Profile string
	Set     map[string]string
	// Store is the URL of a PostgreSQL database the services keep their rows in, each in a schema of its own, instead of
	// SQLite files in Dir (services.CheckStore). Its password may be in PGPASSWORD or ~/.pgpass.
	Store string
	// Dir is the scratch folder of this stack: stores and one <service>.log each. It is made when missing (0700) and must
	// not be shared by two stacks that run at once.
	Dir string
	// LogDir takes the <service>.log files when they shall outlive Dir. Empty means Dir.
	LogDir string
	// Only names the services to start; what they call is started too, unless Downstream has it. Empty means user and
	// instance, and so all.
	Only []string
	// Downstream gives the base URLs of services that run elsewhere: they are called, not started.
	Downstream map[string]string
	// Ports fixes ports on 127.0.0.1 by service; a missing one or 0 takes a free port. Those of services that are not started
	// do not matter.
	Ports map[string]int
	// ReadyTimeout bounds the start of each service, from the fork to a 200 from /ready. 0 means 30 s.
	ReadyTimeout time.Duration
	// StopTimeout is how long each service has between SIGTERM and SIGKILL. 0 means 15 s: the profiles give requests in
	// flight 10 s (the knob shutdown_timeout), and that is to be seen rather than cut off.
	StopTimeout time.Duration
	// LogLimit bounds each log file, in bytes; what follows is dropped, with a line that says so. 0 means 64 MiB.
	LogLimit int64
	// Exe is executed with Args for each service; by default captest itself with "serve-one".
	Exe  string
	Args []string
	// OnEvent is told what happens to the services, one event at a time, none after Stop has returned nil. It must not call
	// the stack and should return soon.
	OnEvent func(StackEvent)
}

// StackEvent is something that happened to one service.
type StackEvent struct {
	Service string
	// State is started (forked), ready, exited (by itself, which nobody asked for), restarted (ready again), or stopped
	// (asked to).
	State  string
	PID    int
	Detail string // the URL (ready, restarted) or how it ended (exited, stopped: "signal: killed", "exit status 2")
}

// calls gives the services that a service calls.
func calls(service string) []string {
	switch service {
	case "user", "instance":
		return []string{"billing"}
	case "billing":
		return []string{"kill-bill"}
	}
	return nil
}

// complete fills in the defaults and makes paths absolute, since the services run in their own working directory.
func (c StackConfig) complete() (StackConfig, error) {
	if c.Dir == "" {
		return c, errors.New("bundled services: no folder for their stores and logs")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("bundled services: folder %s: %w", c.Dir, err)
	}
	c.Dir = dir
	if c.LogDir == "" {
		c.LogDir = dir
	}
	if c.Exe == "" {
		if c.Exe, err = os.Executable(); err != nil {
			return c, fmt.Errorf("bundled services: find the captest program: %w", err)
		}
	}
	if c.Exe, err = filepath.Abs(c.Exe); err != nil {
		return c, fmt.Errorf("bundled services: program %s: %w", c.Exe, err)
	}
	if c.Args == nil {
		c.Args = []string{"serve-one"}
	}
	if err := services.CheckStore(c.Store); err != nil {
		return c, fmt.Errorf("bundled services: store: %w", err)
	}
	if c.ReadyTimeout < 0 || c.StopTimeout < 0 || c.LogLimit < 0 {
		return c, errors.New("bundled services: time-outs and the log limit must not be negative")
	}
	if c.ReadyTimeout == 0 {
		c.ReadyTimeout = defaultReadyTimeout
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = defaultStopTimeout
	}
	if c.LogLimit == 0 {
		c.LogLimit = defaultLogLimit
	}
	return c, nil
}

// order checks the choice of services and gives those to start, each after the ones it calls.
func (c StackConfig) order() ([]string, error) {
	if err := services.CheckKnobs(c.Profile, c.Set); err != nil {
		return nil, err
	}
	names := services.Names()
	for _, given := range []struct {
		what  string
		names []string
	}{
		{"services to start", c.Only},
		{"ports", slices.Sorted(maps.Keys(c.Ports))},
		{"downstream URLs", slices.Sorted(maps.Keys(c.Downstream))},
	} {
		for _, name := range given.names {
			if !slices.Contains(names, name) {
				return nil, fmt.Errorf("bundled services: %s: %q is not one of %s", given.what, name, strings.Join(names, ", "))
			}
		}
	}

	wanted, called := map[string]bool{}, map[string]bool{}
	var want func(name string)
	want = func(name string) {
		if wanted[name] {
			return
		}
		wanted[name] = true
		for _, downstream := range calls(name) {
			called[downstream] = true
			if c.Downstream[downstream] == "" {
				want(downstream)
			}
		}
	}
	for _, name := range names {
		called := slices.ContainsFunc(names, func(caller string) bool { return slices.Contains(calls(caller), name) })
		if slices.Contains(c.Only, name) || len(c.Only) == 0 && !called {
			want(name)
		}
	}

	for name, at := range c.Downstream {
		switch u, err := url.Parse(at); {
		case err != nil:
			return nil, fmt.Errorf("bundled services: downstream %s: %w", name, err)
		case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
			return nil, fmt.Errorf("bundled services: downstream %s: %q is not an http URL", name, at)
		case wanted[name]:
			return nil, fmt.Errorf("bundled services: %s is both to be started and given as running at %s", name, at)
		case !called[name]:
			return nil, fmt.Errorf("bundled services: nothing to be started calls %s, given as running at %s", name, at)
		}
	}
	for name, port := range c.Ports {
		if port < 0 || port > 65535 {
			return nil, fmt.Errorf("bundled services: port of %s: %d is not within 0 to 65535", name, port)
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !wanted[name] }), nil
}
