package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/captest/captest/internal/experiment"
	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// bundled is the stack captest starts for a run, and stops whatever happens. The zero stack (another target) does nothing.
type bundled struct {
	stderr   io.Writer
	folder   *record.Folder
	clock    record.Clock
	control  *experiment.Control
	storeDir string

	stack *targets.Stack
	dir   string // the databases
	once  sync.Once
}

// stopTimeout bounds the end of a run: after it services are killed.
const stopTimeout = 20 * time.Second

// start brings the services up and gives the target with their addresses.
func (b *bundled) start(ctx context.Context, t *targets.Target) (*targets.Target, error) {
	dir := b.storeDir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "captest-stores-")
		if err != nil {
			return nil, fmt.Errorf("a scratch folder for the services' databases: %w", err)
		}
		dir = tmp
	}
	fmt.Fprintf(b.stderr, "starting the bundled services, profile %s …\n", (&record.RunInfo{Profile: t.Profile, Set: t.Set}).SettingsText())
	stack, err := targets.StartStack(ctx, targets.StackConfig{
		Profile: t.Profile, Set: t.Set, Dir: dir, Store: t.Store, LogDir: filepath.Join(b.folder.Dir(), "services"), ReadyTimeout: 30 * time.Second, OnEvent: b.event,
	})
	if err != nil {
		b.clean(dir)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &exitError{code: gate.ExitUnreachable, cause: err}
	}
	b.stack, b.dir = stack, dir
	return stack.Place(t), nil
}

// event writes what happens to the services into the run folder, and ends the run when one dies.
func (b *bundled) event(e targets.StackEvent) {
	b.folder.Event(record.Event{
		Kind: record.EventTarget, Trial: -1, OffsetS: float64(b.clock.Now()) / 1e9, Text: e.Detail,
		Data: mustJSON(map[string]any{"service": e.Service, "state": e.State, "pid": e.PID}),
	})
	if e.State == "exited" {
		b.control.Exited(e.Service, e.Detail)
	}
}

func (b *bundled) restart() func(context.Context, string) error {
	if b.stack == nil {
		return nil
	}
	return b.stack.Restart
}

func (b *bundled) stop() {
	b.once.Do(func() {
		if b.stack == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := b.stack.Stop(ctx); err != nil {
			fmt.Fprintf(b.stderr, "warning: stopping the bundled services: %v\n", err)
		}
		b.clean(b.dir)
	})
}

// clean removes the databases unless somebody asked for them; they hold nothing but made-up customers.
func (b *bundled) clean(dir string) {
	if b.storeDir == "" {
		_ = os.RemoveAll(dir)
	}
}

// colocated says whether the target shares this machine's cores: every service is on loopback.
func colocated(t *targets.Target) bool {
	for _, s := range t.Services {
		u, err := url.Parse(s.URL)
		if err != nil {
			return false
		}
		host := u.Hostname()
		if host == "localhost" {
			continue
		}
		a, err := netip.ParseAddr(host)
		if err != nil || !net.IP(a.AsSlice()).IsLoopback() {
			return false
		}
	}
	return len(t.Services) > 0
}
