package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Guard keeps load off every address nobody allowed. It judges the address that is dialled, after names are resolved, so
// that neither an alias nor a name that changes its mind gets past it.
type Guard struct {
	Allow []netip.Prefix // besides loopback, which is always allowed

	lookup lookupFunc // nil: the system's resolver
	dry    bool       // names are not resolved, so nothing is known of them
	unsure bool       // dry, and what a name in an allow list stands for is not known either
}

// lookupFunc resolves a host name to its addresses.
type lookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// lookupTimeout bounds the resolving of names in allow lists.
const lookupTimeout = 5 * time.Second

// NewGuard allows what the target file allows and, besides, extra names, addresses and prefixes. Names are resolved now, once.
func NewGuard(t *Target, extra []string) (*Guard, error) {
	return newGuard(t, extra, nil)
}

func newGuard(t *Target, extra []string, lookup lookupFunc) (*Guard, error) {
	g := &Guard{lookup: lookup}
	names, err := g.read(t, extra)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	for _, name := range names {
		addresses, err := g.resolve(ctx, name)
		if err != nil {
			return nil, &ResolveError{Host: name, Cause: err}
		}
		for _, a := range addresses {
			g.Allow = append(g.Allow, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return g, nil
}

// DryGuard is NewGuard without asking a resolver, for when nothing may be sent: Check then refuses only the addresses that
// NewGuard's would refuse whatever the names stand for.
func DryGuard(t *Target, extra []string) (*Guard, error) {
	g := &Guard{dry: true}
	names, err := g.read(t, extra)
	g.unsure = len(names) > 0
	return g, err
}

// read takes the addresses and prefixes of the allow lists and gives the names in them.
func (g *Guard) read(t *Target, extra []string) (names []string, err error) {
	var entries []string
	if t != nil {
		g.Allow = slices.Clone(t.Allow)
		entries = t.AllowNames
	}
	for _, entry := range append(slices.Clone(entries), extra...) {
		prefix, name, err := parseAllow(entry)
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		} else {
			g.Allow = append(g.Allow, prefix)
		}
	}
	return names, nil
}

// AllowError is an entry of an allow list that cannot be read.
type AllowError struct{ Entry, Msg string }

// Error quotes the entry.
func (e *AllowError) Error() string { return fmt.Sprintf("allow %q: %s", e.Entry, e.Msg) }

// Hint shows what an entry may be.
func (e *AllowError) Hint() string {
	return "allow an address (10.0.0.5), a prefix (10.0.0.0/24) or a name (staging.example)"
}

// parseAllow reads one entry: a prefix (an address is one of full length) or else a name.
func parseAllow(entry string) (prefix netip.Prefix, name string, err error) {
	fail := func(msg string) (netip.Prefix, string, error) {
		return netip.Prefix{}, "", &AllowError{Entry: entry, Msg: msg}
	}
	text := strings.Trim(entry, "[]")
	switch p, perr := netip.ParsePrefix(text); {
	case perr == nil:
		prefix = p
	case strings.Contains(entry, "/"):
		return fail("not an address prefix")
	default:
		a, aerr := netip.ParseAddr(text)
		if aerr != nil {
			if !validHost(entry) {
				return fail("not an address and not a host name")
			}
			return netip.Prefix{}, entry, nil
		}
		a = normal(a)
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	if a := prefix.Addr(); a.Is4In6() {
		if prefix.Bits() < 96 {
			return fail("wider than every IPv4 address")
		}
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	if prefix.Bits() == 0 {
		return fail("allows every address there is; name the ones you mean")
	}
	if prefix.IsSingleIP() && prefix.Addr().IsUnspecified() {
		return fail("is no address of its own but whatever this machine makes of it; name the real one")
	}
	return prefix.Masked(), "", nil
}

// validHost accepts what DNS does: labels of letters, digits, - and _, with dots between.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	digitsOnly := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9' || c == '.':
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_':
			digitsOnly = false
		default:
			return false
		}
	}
	// "10.0.0" and "127.1" are addresses to some resolvers and names to others: refuse the doubt.
	return !digitsOnly && s[0] != '.' && s[0] != '-' && !strings.Contains(s, "..")
}

// normal undoes the two ways of writing one address differently: IPv4 inside IPv6, and a zone.
func normal(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Allowed says whether load may reach an address. The unspecified addresses (0.0.0.0, ::) never are: where they lead is the
// system's choice.
func (g *Guard) Allowed(a netip.Addr) bool {
	a = normal(a)
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	return a.IsLoopback() || slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Dialer refuses, with a *RefusedError, to connect to any address that is not allowed. Timeout bounds one dial; 0 is none.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.control}
}

// control sees the address the kernel is about to connect to.
func (g *Guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return &RefusedError{Refusals: []Refusal{{Host: network + " " + address}}}
	}
	if !g.Allowed(to.Addr()) {
		return &RefusedError{Refusals: []Refusal{{Host: to.Addr().String(), Resolved: []netip.Addr{to.Addr()}, Refused: []netip.Addr{to.Addr()}}}}
	}
	return nil
}

// Check resolves every service's host before anything is sent. All addresses of a name must be allowed, since any of them may
// be dialled. The error is a *RefusedError with every refusal, or a *ResolveError when a name has no address.
func (g *Guard) Check(ctx context.Context, t *Target) error {
	if g.unsure {
		return nil
	}
	var refusals []Refusal
	for _, s := range t.Services {
		if s.URL == "" {
			continue // bundled and not started yet
		}
		u, err := url.Parse(s.URL)
		if err != nil || u.Hostname() == "" {
			return &URLError{Msg: "not a URL with a host"}
		}
		addresses, err := g.resolve(ctx, u.Hostname())
		if err != nil {
			return &ResolveError{Service: s.Name, Host: u.Hostname(), Cause: err}
		}
		var refused []netip.Addr
		for _, a := range addresses {
			if !g.Allowed(a) {
				refused = append(refused, a)
			}
		}
		if len(refused) > 0 {
			refusals = append(refusals, Refusal{Service: s.Name, Host: u.Hostname(), Resolved: addresses, Refused: refused})
		}
	}
	if len(refusals) > 0 {
		return &RefusedError{Refusals: refusals}
	}
	return nil
}

// resolve gives a host's addresses; an address is its own.
func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{normal(a)}, nil
	}
	if g.dry {
		return nil, nil
	}
	lookup := g.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	found, err := lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, a := range found {
		if a = normal(a); !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New("no addresses")
	}
	return addresses, nil
}
