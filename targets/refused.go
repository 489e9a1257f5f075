package targets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Refusal is one host that load may not reach.
type Refusal struct {
	Service  string // "" when refused at the moment of dialling
	Host     string // as written, without credentials
	Resolved []netip.Addr
	Refused  []netip.Addr // those of Resolved that are not allowed
}

// RefusedError stops load to addresses nobody allowed.
type RefusedError struct{ Refusals []Refusal }

// Error says what each name resolved to and which addresses are refused.
func (e *RefusedError) Error() string {
	var said []string
	for _, r := range e.Refusals {
		what := r.Host
		if r.Service != "" {
			what = fmt.Sprintf("service %s: %s", r.Service, r.Host)
		}
		if len(r.Resolved) > 0 && !(len(r.Resolved) == 1 && r.Resolved[0].String() == r.Host) {
			what += " (resolved to " + list(r.Resolved) + ")"
		}
		switch {
		case len(r.Refused) == 0:
			what += " is not a TCP address load can go to"
		case slices.ContainsFunc(r.Refused, netip.Addr.IsUnspecified):
			what += " is refused: " + list(r.Refused) + " is no address of its own"
		case len(r.Refused) == len(r.Resolved):
			what += " is not allowed"
		default:
			what += " is refused: " + list(r.Refused) + " is not allowed"
		}
		said = append(said, what)
	}
	return strings.Join(said, "; ")
}

// Hint says how to allow it.
func (e *RefusedError) Hint() string {
	var want []string
	for _, r := range e.Refusals {
		for _, a := range r.Refused {
			if a.IsUnspecified() {
				return "write 127.0.0.1, or the address you mean"
			}
			if s := a.String(); !slices.Contains(want, s) {
				want = append(want, s)
			}
		}
	}
	if len(want) == 0 {
		return "use an http or https URL"
	}
	return fmt.Sprintf("only if it is yours to load: --allow-host %s, or in a target file allow: [%s] and owner:",
		strings.Join(want, " --allow-host "), strings.Join(want, ", "))
}

func list(addresses []netip.Addr) string {
	words := make([]string, len(addresses))
	for i, a := range addresses {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}

// ResolveError is a host name without an address.
type ResolveError struct {
	Service string // "" for a name in an allow list
	Host    string
	Cause   error
}

// Error names the host.
func (e *ResolveError) Error() string {
	cause := e.Cause.Error()
	var dns *net.DNSError
	if errors.As(e.Cause, &dns) {
		cause = dns.Err
	}
	if e.Service == "" {
		return fmt.Sprintf("allow %s: cannot be resolved: %s", e.Host, cause)
	}
	return fmt.Sprintf("service %s: %s cannot be resolved: %s", e.Service, e.Host, cause)
}

// Unwrap gives the resolver's error.
func (e *ResolveError) Unwrap() error { return e.Cause }

// Hint suggests the usual cause.
func (e *ResolveError) Hint() string {
	return "check the spelling, or write the address instead of the name"
}
