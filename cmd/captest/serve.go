package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// servePorts are the incident's own.
var servePorts = map[string]int{"user": 8001, "instance": 8003, "billing": 8004, "kill-bill": 8080}

func newServe(e *env) *cobra.Command {
	var (
		profile, dir, store string
		set                 map[string]string
		free                bool
		alone               aloneOptions
	)
	c := &cobra.Command{
		Use:   "serve [SERVICE…]",
		Short: "Run the bundled services in the foreground",
		Long: `Runs all bundled services (or the named ones and what they call) on loopback until Ctrl-C: user 8001, instance 8003,
billing 8004, kill-bill 8080.

In a container, one service is the process itself; its log goes to stderr, and nothing of it is left to a launcher:

  captest serve user --alone --listen 0.0.0.0:8001 --downstream billing=http://billing:8004

` + services.KnobHelp() + exitStatus,
		ValidArgs: services.Names(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(c *cobra.Command, only []string) error {
			if err := services.CheckKnobs(profile, set); err != nil {
				return invalid(err)
			}
			store, err := chooseStore(e, store, "")
			if err != nil {
				return invalid(err)
			}
			ports := servePorts
			if free {
				ports = nil
			}
			stack := targets.StackConfig{Profile: profile, Set: set, Dir: dir, Store: store, Only: only, Ports: ports}
			one, err := alone.check(stack)
			if err == nil && alone.listen != "" && free {
				err = errors.New("--free-ports and --listen: give one of them")
			}
			switch {
			case err != nil:
				return invalid(err)
			case alone.on:
				return runAlone(c.Context(), e, one)
			}
			return runServe(c.Context(), e, stack)
		},
	}
	c.Flags().StringVar(&profile, "profile", "phase2", "one of "+strings.Join(services.Profiles(), ", "))
	c.Flags().StringToStringVar(&set, "set", nil, setUsage)
	c.Flags().StringVar(&dir, "store-dir", "", "keep databases and logs in this folder (default: a temporary one, removed at the end)")
	addStore(c.Flags(), &store)
	c.Flags().BoolVar(&free, "free-ports", false, "take free ports instead of the usual ones")
	alone.addFlags(c.Flags())
	return c
}

func runServe(ctx context.Context, e *env, c targets.StackConfig) error {
	if c.Dir == "" {
		tmp, err := os.MkdirTemp("", "captest-serve-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		c.Dir = tmp
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer interrupted(cancel)()
	var mu sync.Mutex
	died := ""
	c.ReadyTimeout = 30 * time.Second
	c.OnEvent = func(x targets.StackEvent) {
		if x.State == "exited" {
			mu.Lock()
			died = x.Service + " exited: " + x.Detail
			mu.Unlock()
			cancel()
		}
	}
	stack, err := targets.StartStack(ctx, c)
	if err != nil {
		return &exitError{code: gate.ExitUnreachable, cause: err}
	}
	t := stack.Target()
	for _, s := range t.Services {
		fmt.Fprintf(e.stdout, "%-10s %s\n", s.Name, s.URL)
	}
	names := make([]string, 0, len(t.Services))
	for _, s := range t.Services {
		names = append(names, s.Name)
	}
	fmt.Fprint(e.stderr, services.Describe(c.Profile, c.Set, names...))
	fmt.Fprintf(e.stderr, "logs and databases in %s; Ctrl-C stops everything\n", c.Dir)
	<-ctx.Done()
	stop, cancelStop := context.WithTimeout(context.Background(), stopTimeout)
	defer cancelStop()
	if err := stack.Stop(stop); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if died != "" {
		return fmt.Errorf("%s", died)
	}
	return nil
}

// newServeOne is what the launcher re-executes: one service in one process, configured by its environment.
func newServeOne(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "serve-one", Hidden: true, Args: cobra.NoArgs, Short: "one bundled service (used by captest itself)",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(c.Context())
			defer cancel()
			defer interrupted(cancel)()
			return services.RunFromEnv(ctx, e.getenv, e.stderr)
		},
	}
}
