package targets

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// names is a resolver that knows these names only.
func names(known map[string][]string) lookupFunc {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		list, ok := known[host]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		var addresses []netip.Addr
		for _, a := range list {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		return addresses, nil
	}
}

func TestAllowed(t *testing.T) {
	g, err := newGuard(&Target{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}, []string{"192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120", "staging"},
		names(map[string][]string{"staging": {"203.0.113.1", "203.0.113.2"}}))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false,
		"192.0.2.7": true, "192.0.2.8": false,
		"2001:db8::5": true, "2001:db9::5": false, "2001:db8::5%eth0": true,
		"198.51.100.9": true, "198.51.101.9": false,
		"203.0.113.2": true, "203.0.113.3": false,
		"0.0.0.0": false, "::": false, "::ffff:0.0.0.0": false,
		"224.0.0.1": false, "169.254.169.254": false, "8.8.8.8": false,
		"::127.0.0.1": false, "64:ff9b::7f00:1": false, // other ways of writing 127.0.0.1 into IPv6 are not loopback to the kernel
	} {
		if got := g.Allowed(netip.MustParseAddr(address)); got != want {
			t.Errorf("Allowed(%s) = %v, want %v", address, got, want)
		}
	}
	if g.Allowed(netip.Addr{}) {
		t.Error("no address is allowed")
	}
	if (&Guard{}).Allowed(netip.MustParseAddr("10.0.0.1")) || !(&Guard{}).Allowed(netip.MustParseAddr("127.0.0.1")) {
		t.Error("a guard without a list allows loopback and nothing else")
	}
}

func TestUnspecifiedIsRefusedEvenInsideAPrefix(t *testing.T) {
	g := &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8")}}
	if g.Allowed(netip.MustParseAddr("0.0.0.0")) {
		t.Error("0.0.0.0 is allowed")
	}
}

func TestNewGuardMistakes(t *testing.T) {
	for entry, want := range map[string]string{
		"":                `allow "": not an address and not a host name`,
		"10.0.0":          `allow "10.0.0": not an address and not a host name`,
		"0x7f000001":      "", // a name as far as DNS goes; it does not resolve
		"10.0.0.0/33":     `allow "10.0.0.0/33": not an address prefix`,
		"0.0.0.0/0":       `allow "0.0.0.0/0": allows every address there is; name the ones you mean`,
		"::/0":            `allow "::/0": allows every address there is; name the ones you mean`,
		"::ffff:0:0/90":   `allow "::ffff:0:0/90": wider than every IPv4 address`,
		"0.0.0.0":         `allow "0.0.0.0": is no address of its own but whatever this machine makes of it; name the real one`,
		"http://x":        `allow "http://x": not an address prefix`,
		"a b":             `allow "a b": not an address and not a host name`,
		"unknown.example": "allow unknown.example: cannot be resolved: no such host",
	} {
		_, err := newGuard(nil, []string{entry}, names(nil))
		if err == nil || want != "" && err.Error() != want {
			t.Errorf("%q: %v, want %s", entry, err, want)
			continue
		}
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || hinted.Hint() == "" {
			t.Errorf("%q: no hint in %v", entry, err)
		}
	}
}

func TestDialerJudgesTheDialledAddress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := (&Guard{}).Dialer(5 * time.Second)
	ctx := t.Context()
	for _, address := range []string{server.Listener.Addr().String(), "localhost:" + port} {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = c.Close()
	}
	// 0.0.0.0 leads to this machine on Linux: without the guard this would connect. The others are documentation addresses
	// (RFC 5737, RFC 3849) that are refused before anything leaves the machine.
	for _, address := range []string{"0.0.0.0:" + port, "[::]:" + port, "192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80"} {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: connected", address)
			continue
		}
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Hint() == "" {
			t.Errorf("%s: %v, want a *RefusedError", address, err)
		}
	}
	if err := (&Guard{}).control("udp4", "127.0.0.1:53", nil); err == nil {
		t.Error("udp is let through")
	}
	if err := (&Guard{}).control("tcp4", "nonsense", nil); err == nil {
		t.Error("an address that cannot be read is let through")
	}
}

// A name that was harmless when checked and points elsewhere when dialled is refused then: rebinding changes nothing.
func TestDialerRefusesAnAllowedNameThatMoved(t *testing.T) {
	g, err := newGuard(nil, []string{"staging"}, names(map[string][]string{"staging": {"192.0.2.1"}}))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.control("tcp4", "192.0.2.1:80", nil); err != nil {
		t.Errorf("the address it had: %v", err)
	}
	if err := g.control("tcp4", "192.0.2.2:80", nil); err == nil {
		t.Error("the address it has now is let through")
	}
}

func TestGuardCheck(t *testing.T) {
	lookup := names(map[string][]string{
		"local": {"127.0.0.1", "::1"}, "mixed": {"127.0.0.1", "192.0.2.9"}, "away": {"192.0.2.1", "192.0.2.2", "192.0.2.1"}, "mapped": {"::ffff:10.0.0.5"}, "empty": {},
	})
	tests := []struct {
		name, want, hint string
		urls             []string
		allow            []string
	}{
		{"loopback", "", "", []string{"http://127.0.0.1:1", "http://127.3.3.3:1", "http://[::1]:1/x", "https://local", ""}, nil},
		{
			"one of a name's addresses",
			"service s0: mixed (resolved to 127.0.0.1, 192.0.2.9) is refused: 192.0.2.9 is not allowed",
			"only if it is yours to load: --allow-host 192.0.2.9, or in a target file allow: [192.0.2.9] and owner:",
			[]string{"http://mixed:1"},
			nil,
		},
		{
			"every service is named",
			"service s0: away (resolved to 192.0.2.1, 192.0.2.2) is not allowed; service s1: 10.0.0.1 is not allowed",
			"only if it is yours to load: --allow-host 192.0.2.1 --allow-host 192.0.2.2 --allow-host 10.0.0.1, or in a target file allow: [192.0.2.1, 192.0.2.2, 10.0.0.1] and owner:",
			[]string{"http://away", "http://10.0.0.1:8080"},
			nil,
		},
		{
			"half allowed", "service s0: away (resolved to 192.0.2.1, 192.0.2.2) is refused: 192.0.2.2 is not allowed",
			"only if it is yours to load: --allow-host 192.0.2.2, or in a target file allow: [192.0.2.2] and owner:",
			[]string{"http://away"},
			[]string{"192.0.2.1"},
		},
		{"allowed by name", "", "", []string{"http://away"}, []string{"away"}},
		{"allowed by prefix", "", "", []string{"http://mapped", "http://10.0.0.9"}, []string{"10.0.0.0/24"}},
		{"unspecified", "service s0: 0.0.0.0 is refused: 0.0.0.0 is no address of its own", "write 127.0.0.1, or the address you mean", []string{"http://0.0.0.0:80"}, nil},
		{"unspecified, IPv6", "service s0: :: is refused: :: is no address of its own", "write 127.0.0.1, or the address you mean", []string{"http://[::]:80"}, nil},
		{"unknown name", "service s0: nope cannot be resolved: no such host", "check the spelling, or write the address instead of the name", []string{"http://nope"}, nil},
		{"name without addresses", "service s0: empty cannot be resolved: no addresses", "check the spelling, or write the address instead of the name", []string{"http://empty"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := newGuard(nil, tt.allow, lookup)
			if err != nil {
				t.Fatal(err)
			}
			target := &Target{}
			for i, u := range tt.urls {
				target.Services = append(target.Services, Service{Name: "s" + string(rune('0'+i)), URL: u})
			}
			err = g.Check(t.Context(), target)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var hinted interface {
				error
				Hint() string
			}
			if !errors.As(err, &hinted) {
				t.Fatalf("error %T %v", err, err)
			}
			if diff := cmp.Diff([]string{tt.want, tt.hint}, []string{err.Error(), hinted.Hint()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusalsDoNotPrintCredentials(t *testing.T) {
	err := (&Guard{}).Check(t.Context(), &Target{Services: []Service{{Name: "s", URL: "http://root:hunter2@192.0.2.1"}, {Name: "b", URL: "http://root:hunter2@%zz"}}})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}
