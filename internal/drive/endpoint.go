package drive

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/captest/captest/targets"
)

// endpoint is where the requests of a service go: host and port as written, and what they resolve to.
type endpoint struct {
	host  string
	port  uint16
	addrs []netip.AddrPort // in the order they are tried
	err   error            // of the lookup: every request that wanted it fails as dns
}

// newEndpoint takes host and port from a service's URL.
func newEndpoint(u *url.URL) (endpoint, error) {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{host: u.Hostname(), port: uint16(n)}, nil
}

// resolve looks the host up, once for each load. The error is a *targets.RefusedError: an address that is not allowed is not
// sent to, and neither is any other of that name.
func (e *endpoint) resolve(ctx context.Context, guard *targets.Guard) error {
	e.addrs, e.err = nil, nil
	var found []netip.Addr
	if a, err := netip.ParseAddr(e.host); err == nil {
		found = []netip.Addr{a}
	} else if found, e.err = net.DefaultResolver.LookupNetIP(ctx, "ip", e.host); e.err != nil {
		return nil
	}
	var refused []netip.Addr
	for _, a := range found {
		a = a.Unmap()
		if !guard.Allowed(a) {
			refused = append(refused, a)
			continue
		}
		e.addrs = append(e.addrs, netip.AddrPortFrom(a, e.port))
	}
	if len(refused) > 0 {
		return &targets.RefusedError{Refusals: []targets.Refusal{{Host: e.host, Resolved: found, Refused: refused}}}
	}
	return nil
}

// reach keeps the addresses that can be reached from one of the sources (none given: all). The error is for an endpoint that has
// none of these.
func (e *endpoint) reach(sources []netip.Addr) error {
	if len(sources) == 0 || len(e.addrs) == 0 {
		return nil
	}
	all := e.addrs
	e.addrs = slices.DeleteFunc(slices.Clone(all), func(to netip.AddrPort) bool {
		return !slices.ContainsFunc(sources, func(from netip.Addr) bool { return from.Is4() == to.Addr().Is4() })
	})
	if len(e.addrs) == 0 {
		return &sourceError{host: e.host, to: all[0].Addr(), from: sources[0]}
	}
	return nil
}

// sourceError is a target that none of the source addresses can reach.
type sourceError struct {
	host     string
	to, from netip.Addr
}

func (e *sourceError) Error() string {
	return fmt.Sprintf("%s is %s, which cannot be reached from source address %s: one is IPv4, the other IPv6", e.host, e.to, e.from)
}

// Hint is the next step.
func (e *sourceError) Hint() string { return "give --source an address of the same kind" }
