package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/captest/captest/targets"
)

// Version of HTTP an engine speaks.
type Version string

// Versions. "" is AutoHTTP.
const (
	AutoHTTP Version = "auto" // HTTP/1.1 to http targets, to https targets what they choose
	HTTP11   Version = "1.1"
	HTTP2    Version = "2"   // https targets, which must choose it
	H2C      Version = "h2c" // HTTP/2 without TLS, from the first byte: the target is known to speak it
)

// CheckVersion says why a target's services cannot be asked in a version, or nil.
func CheckVersion(v Version, t *targets.Target) error {
	if known := []Version{"", AutoHTTP, HTTP11, HTTP2, H2C}; !slices.Contains(known, v) {
		return fmt.Errorf("HTTP version %q is not one of auto, 1.1, 2, h2c", v)
	}
	for i := range t.Services {
		s := &t.Services[i]
		secure := strings.HasPrefix(s.URL, "https://")
		switch {
		case v == HTTP2 && !secure:
			return fmt.Errorf("HTTP version 2: service %s is not https; h2c is HTTP/2 without TLS", s.Name)
		case v == H2C && secure:
			return fmt.Errorf("HTTP version h2c: service %s is https, where HTTP/2 is version 2", s.Name)
		}
	}
	return nil
}

// protocols for net/http. One alone is spoken without negotiation.
func (v Version) protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(v != HTTP2 && v != H2C)
	p.SetHTTP2(v != HTTP11 && v != H2C)
	p.SetUnencryptedHTTP2(v == H2C)
	return p
}

// offered in the TLS handshake.
func (v Version) offered() []string {
	switch v {
	case HTTP11:
		return []string{"http/1.1"}
	case HTTP2:
		return []string{"h2"}
	}
	return []string{"h2", "http/1.1"}
}

// errNotHTTP2 is a server that was asked for HTTP/2 and chose nothing.
var errNotHTTP2 = errors.New("the server does not offer HTTP/2")

// agreed says whether a handshake ended in a version that may be spoken. Servers that know no ALPN choose nothing.
func (v Version) agreed(c *tls.Conn) error {
	if v == HTTP2 && c.ConnectionState().NegotiatedProtocol != "h2" {
		return errNotHTTP2
	}
	return nil
}
