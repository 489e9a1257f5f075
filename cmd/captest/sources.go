package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/captest/captest/internal/drive"
)

// sourcesMost bounds how many addresses connections may come from: each has its own 28 thousand ports.
const sourcesMost = 1024

// sourceError is an address of --source that cannot be used.
type sourceError struct {
	text  string
	cause error
}

func (e *sourceError) Error() string { return fmt.Sprintf("--source %s: %v", e.text, e.cause) }
func (e *sourceError) Unwrap() error { return e.cause }

// Hint is the next step.
func (e *sourceError) Hint() string {
	return "give addresses of this machine (ip addr lists them), or a prefix of loopback such as 127.0.0.0/24"
}

// parseSources reads --source: addresses and prefixes. Of an IPv4 prefix the first and last address, which are the network's and
// everybody's, are left out. Every address is tried: one that this machine does not have is refused now, not under load.
func parseSources(list []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range list {
		found, err := expandSource(strings.TrimSpace(text))
		if err == nil && len(all)+len(found) > sourcesMost {
			err = fmt.Errorf("more than %d addresses in all", sourcesMost)
		}
		if err != nil {
			return nil, &sourceError{text, err}
		}
		for _, a := range found {
			if slices.Contains(all, a) {
				continue
			}
			if err := drive.CheckSource(a); err != nil {
				return nil, &sourceError{text, fmt.Errorf("this machine cannot send from %s (%w)", a, err)}
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// expandSource gives the addresses of one address or prefix.
func expandSource(text string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a = a.Unmap(); a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return nil, errors.New("not an address that a connection can come from")
		}
		return []netip.Addr{a}, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, errors.New("neither an address like 127.0.0.2 nor a prefix like 127.0.0.0/24")
	}
	p = p.Masked()
	bits := p.Addr().BitLen() - p.Bits()
	if bits > 10 {
		return nil, fmt.Errorf("the prefix has more than %d addresses", sourcesMost)
	}
	var all []netip.Addr
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		all = append(all, a)
	}
	if p.Addr().Is4() && bits > 1 {
		all = all[1 : len(all)-1]
	}
	return all, nil
}
