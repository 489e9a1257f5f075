package drive

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// wire is a step as HTTP/1.1 bytes: what is fixed stands ready, what is open is filled in between.
//
//	POST /auth/register HTTP/1.1\r\nHost: …\r\nUser-Agent: …\r\n   Content-Length: 206\r\n\r\n{…}
//	└───────────────────── head ─────────────────────────────┘
//	POST   /users/{{id}}   HTTP/1.1\r\nHost: …
//	└verb┘                └──────── head ─────
type wire struct {
	*step
	endpoint int // of the engine's endpoints
	// Which of the engine's limits hold: for the whole exchange and, where the step has such (else −1), for a connection and for
	// the answer's first byte.
	within, dialWithin, answerWithin int
	verb                             []byte // of a path that is open, with the space behind it; nil: head has it all
	prefix                           string // path of the service's base URL
	head                             []byte
	headOnly                         bool // a HEAD: no body comes back
	again                            bool // may be sent twice: RFC 9110, 9.2.2
	keep                             bool // headers of the answer are looked at
}

func newWire(s *step, endpoint int) (wire, error) {
	u := s.proto.URL
	w := wire{
		step: s, endpoint: endpoint, headOnly: s.proto.Method == http.MethodHead,
		again: slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, s.proto.Method),
		keep:  s.whole || len(s.expect.Headers) > 0,
	}
	for _, c := range s.captures {
		w.keep = w.keep || strings.HasPrefix(c.From, "header.")
	}
	line := " HTTP/1.1\r\n"
	if s.path == nil {
		line = s.proto.Method + " " + u.RequestURI() + line
	} else {
		w.verb = []byte(s.proto.Method + " ")
		base, err := url.Parse(s.base)
		if err != nil {
			return w, err
		}
		w.prefix = base.EscapedPath()
	}
	w.head = []byte(line)
	host := s.proto.Host
	if host == "" {
		host = u.Host
	}
	open := func(name string) bool {
		for _, f := range s.headers {
			if strings.EqualFold(f.Name, name) {
				return true
			}
		}
		return strings.EqualFold(name, "Authorization") && s.basic != nil
	}
	if !open("Host") {
		w.head = appendHeader(w.head, "Host", host)
	}
	names := make([]string, 0, len(s.proto.Header))
	for name := range s.proto.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
			return w, nativeError("header " + name + " is its own to set")
		}
		if open(name) {
			continue
		}
		for _, value := range s.proto.Header[name] {
			if strings.ContainsAny(value, "\r\n\x00") {
				return w, fmt.Errorf("header %s: a line break cannot be sent", name)
			}
			w.head = appendHeader(w.head, name, value)
		}
	}
	return w, nil
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// append writes the request for a user. body is memory for its body; both are returned, grown.
func (w *wire) append(dst, body []byte, u *user) ([]byte, []byte, error) {
	if w.verb != nil {
		var err error
		if dst, err = w.appendPath(append(dst, w.verb...), u); err != nil {
			return dst, body, err
		}
	}
	dst = append(dst, w.head...)
	for _, f := range w.headers {
		dst = append(append(dst, f.Name...), ": "...)
		var err error
		if dst, err = f.Value.Append(dst, &u.values); err != nil {
			return dst, body, fmt.Errorf("header %s: %w", f.Name, err)
		}
		dst = append(dst, "\r\n"...)
	}
	if w.basic != nil {
		var err error
		if dst, err = w.appendBasic(dst, u); err != nil {
			return dst, body, err
		}
	}
	if u.jar != nil || u.setupJar != nil {
		dst = appendCookies(dst, u.cookies(w.proto.URL))
	}
	if w.body == nil && len(w.form) == 0 {
		if w.proto.Method == http.MethodPost || w.proto.Method == http.MethodPut || w.proto.Method == http.MethodPatch {
			dst = append(dst, "Content-Length: 0\r\n"...) // RFC 9110, 8.6: a method that has a body, and none
		}
		return append(dst, "\r\n"...), body, nil
	}
	body, err := w.appendBody(body[:0], u)
	if err != nil {
		return dst, body, err
	}
	dst = strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...), body, nil
}

// appendPath writes the request target. What a template made is sent as it is where it is made of visible ASCII; anything else
// goes through net/url, as the other engine's does.
func (w *wire) appendPath(dst []byte, u *user) ([]byte, error) {
	from := len(dst)
	dst = append(dst, w.prefix...)
	at := len(dst)
	dst, err := w.path.Append(dst, &u.values)
	if err != nil {
		return dst, fmt.Errorf("path: %w", err)
	}
	if len(dst) > at && dst[at] == '/' && plain(dst[at:]) {
		return dst, nil
	}
	target, err := w.url(u)
	if err != nil {
		return dst, err
	}
	return append(dst[:from], target.RequestURI()...), nil
}

// plain says that a request target needs no encoding.
func plain(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' || c == '{' || c == '|' || c == '}' {
			return false
		}
	}
	return true
}

func (w *wire) appendBasic(dst []byte, u *user) ([]byte, error) {
	name, err := w.basic.User.Append(nil, &u.values)
	if err != nil {
		return dst, fmt.Errorf("basic user: %w", err)
	}
	password, err := w.basic.Password.Append(nil, &u.values)
	if err != nil {
		return dst, fmt.Errorf("basic password: %w", err)
	}
	dst = append(dst, "Authorization: Basic "...)
	dst = base64.StdEncoding.AppendEncode(dst, []byte(string(name)+":"+string(password)))
	return append(dst, "\r\n"...), nil
}

func appendCookies(dst []byte, cookies []*http.Cookie) []byte {
	for i, c := range cookies {
		separator := "; "
		if i == 0 {
			separator = "Cookie: "
		}
		dst = append(append(dst, separator...), (&http.Cookie{Name: c.Name, Value: c.Value}).String()...)
	}
	if len(cookies) > 0 {
		dst = append(dst, "\r\n"...)
	}
	return dst
}
