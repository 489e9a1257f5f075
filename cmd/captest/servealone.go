package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// aloneOptions are the flags for one service that is this process itself, as a container wants it: a signal reaches it
// with nobody in between, and its exit code is the container's.
type aloneOptions struct {
	on         bool
	listen     string
	downstream map[string]string
}

func (o *aloneOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "alone", false, "run the one named service in this very process and start nothing beside it")
	f.StringVar(&o.listen, "listen", "", "with --alone: ADDRESS:PORT (default: loopback and the usual port)")
	f.StringToStringVar(&o.downstream, "downstream", nil, "with --alone: NAME=URL of a service it calls (repeatable)")
}

// check says what makes no sense together, and gives the service's options.
func (o *aloneOptions) check(c targets.StackConfig) (services.Options, error) {
	if !o.on {
		var wrong []error
		if o.listen != "" {
			wrong = append(wrong, errors.New("--listen: only one service with --alone has an address of its own"))
		}
		if len(o.downstream) > 0 {
			wrong = append(wrong, errors.New("--downstream: only with --alone; without it captest starts what the services call"))
		}
		return services.Options{}, errors.Join(wrong...)
	}
	c.Downstream = o.downstream
	service, downstream, err := c.Alone()
	if err != nil {
		return services.Options{}, err
	}
	listen, err := o.address(service, c.Ports)
	return services.Options{Service: service, Listen: listen, Profile: c.Profile, Set: c.Set, Dir: c.Dir, Store: c.Store, Downstream: downstream}, err
}

// address is where the service listens. A name is refused: which of its addresses is meant would be the resolver's choice.
func (o *aloneOptions) address(service string, ports map[string]int) (string, error) {
	if o.listen == "" {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[service])), nil
	}
	host, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		return "", fmt.Errorf("--listen %s: not ADDRESS:PORT, such as 127.0.0.1:8001 or [::]:8001", o.listen)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("--listen %s: %q is not an IP address; 0.0.0.0 is every address of this machine", o.listen, host)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("--listen %s: port %q is not within 0 to 65535", o.listen, port)
	}
	return net.JoinHostPort(host, port), nil
}

// runAlone serves until a signal, and returns nil when the service stopped as its knobs say.
func runAlone(ctx context.Context, e *env, o services.Options) error {
	if o.Dir == "" {
		tmp, err := os.MkdirTemp("", "captest-serve-")
		if err != nil {
			return &exitError{
				code: gate.ExitConfig, cause: fmt.Errorf("a temporary folder for the store: %w", err),
				hint: "name a folder with --store-dir, or set TMPDIR to one that can be written to",
			}
		}
		defer os.RemoveAll(tmp)
		o.Dir = tmp
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer interrupted(cancel)()
	up := false
	o.Log = e.stderr
	o.OnListen = func(a services.Address) {
		up = true
		if outside(o.Listen) {
			fmt.Fprintf(e.stderr, "WARNING: %s listens on %s and can be reached from outside this machine, without TLS\n", a.Service, a.URL)
		}
		fmt.Fprintf(e.stdout, "%-10s %s\n", a.Service, a.URL)
	}
	err := services.RunProcess(ctx, o, e.getenv)
	if err == nil || up {
		return err
	}
	if ctx.Err() != nil {
		return nil // told to stop before it was up
	}
	return &exitError{code: gate.ExitUnreachable, cause: err, hint: aloneHint(err)}
}

// outside says whether others than this machine can reach a checked address.
func outside(listen string) bool {
	at, err := netip.ParseAddrPort(listen)
	return err == nil && !at.Addr().Unmap().IsLoopback()
}

// aloneHint is the next step for a service that did not come up, "" when there is none to name.
func aloneHint(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another process listens there; choose another port with --listen, or take a free one with --free-ports"
	case errors.As(err, &op) && op.Op == "listen":
		return "--listen must name an address of this machine, and a port this user may open"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return "--store-dir must be a folder this user can write to"
	}
	return ""
}
