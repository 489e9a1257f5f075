package drive

import (
	"context"
	"net"
	"net/netip"
	"net/url"
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
