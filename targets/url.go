package targets

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// URLError is a base URL captest cannot use. It never repeats the URL, which may hold a password.
type URLError struct{ Msg string }

// Error is the message.
func (e *URLError) Error() string { return e.Msg }

// Hint shows the form.
func (e *URLError) Hint() string {
	return `write http://127.0.0.1:8001 or https://staging.example/api; credentials go into the scenario, as basic: or a header with {{env "NAME"}}`
}

// parseBase checks a service's base URL and gives it without a trailing slash.
func parseBase(text string) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", &URLError{Msg: fmt.Sprintf(format, args...)}
	}
	if text == "" {
		return fail("empty URL")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return fail("a URL has no spaces or control characters")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fail("not a URL such as http://127.0.0.1:8001") // the parser's words would repeat it
	case u.User != nil:
		return fail("a URL here cannot carry a user or password")
	case u.Scheme != "http" && u.Scheme != "https":
		return fail("a URL here begins with http:// or https://")
	case u.Opaque != "" || u.Hostname() == "":
		return fail("the URL has no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return fail("a base URL has no query and no fragment")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !validHost(u.Hostname()) {
		return fail("the URL's host is neither an address nor a name")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fail("the URL's port is not from 1 to 65535")
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return fail("the URL's port is empty")
	}
	u.Host = strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/"), nil
}
