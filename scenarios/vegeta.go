package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/captest/captest/internal/yamlfile"
)

// A vegeta target file is a list of requests, in vegeta's own two formats. It is read here and not in targets: what comes of it
// is a scenario, of which only the origin of the URLs says where load goes.
//
// The reader is ours, because vegeta's own knows no line numbers, ends at the first mistake, and drops a last JSON line that has no
// newline. Tests hold the two against each other.

// Bounds of a vegeta target file: its requests stay in memory for the whole run.
const (
	vegetaMaxBytes    = 16 << 20 // of the file, and of all @files together
	vegetaMaxTargets  = rowsMaxCount
	vegetaMaxMistakes = 100 // after as many the rest is not looked at
)

// vegetaTarget is one request of the file.
type vegetaTarget struct {
	method, path string
	headers      []vegetaHeader // by canonical name
	body         string
}

type vegetaHeader struct{ name, value string }

// vegetaReader collects targets and mistakes.
type vegetaReader struct {
	file   string
	lines  []string
	open   func(name string) ([]byte, error) // @file
	bodies map[string]string                 // by name
	size   int                               // of all @files

	origin  string
	first   int // line the origin is from
	targets []vegetaTarget
	wrong   []yamlfile.Error
}

var (
	// vegetaRequest is what vegeta takes for the first line of a target.
	vegetaRequest = regexp.MustCompile(`^[A-Z]+\s`)
	// vegetaMissed is such a line with a URL on it.
	vegetaMissed = regexp.MustCompile(`^[A-Z]+\s+https?://`)
)

// isVegeta says whether a file holds vegeta targets: by its first line that is neither empty nor a comment. No scenario can begin
// with "GET http…", or with an object that has a method or a URL.
func isVegeta(data []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			continue
		case line[0] == '{':
			return (bytes.Contains(line, []byte(`"url"`)) || bytes.Contains(line, []byte(`"method"`))) && !bytes.Contains(line, []byte(`"steps"`))
		}
		return vegetaRequest.Match(line)
	}
	return false
}

// parseVegeta reads either format. open reads an @file, whose name is relative to the working directory, as vegeta has it.
// Mistakes give an *yamlfile.Errors.
func parseVegeta(file string, data []byte, open func(string) ([]byte, error)) (*Scenario, error) {
	r := &vegetaReader{file: file, open: open, bodies: map[string]string{}}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > vegetaMaxBytes:
		return nil, r.fail(0, "larger than %d MiB", vegetaMaxBytes>>20).err()
	case !utf8.Valid(data):
		return nil, r.fail(0, "not UTF-8 text").err()
	}
	r.lines = strings.Split(string(data), "\n")
	for i := range r.lines {
		r.lines[i] = strings.TrimSpace(r.lines[i])
	}
	begin := slices.IndexFunc(r.lines, func(s string) bool { return s != "" && s[0] != '#' })
	switch {
	case begin < 0:
		r.fail(0, "holds no targets")
	case r.lines[begin][0] == '{':
		r.readJSON()
	default:
		r.readHTTP()
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return r.scenario()
}

// openBody reads an @file: a regular one, since anything else could block for ever.
func openBody(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case info.Size() > vegetaMaxBytes:
		return nil, fmt.Errorf("%s is larger than %d MiB", name, vegetaMaxBytes>>20)
	}
	return os.ReadFile(name)
}

// fail notes a mistake; line counts from 1, 0 means the whole file.
func (r *vegetaReader) fail(line int, format string, args ...any) *vegetaReader {
	e := yamlfile.Error{File: r.file, Line: line, Msg: fmt.Sprintf(format, args...)}
	if line > 0 {
		e.Column = 1
	}
	r.wrong = append(r.wrong, e)
	return r
}

func (r *vegetaReader) err() error {
	if len(r.wrong) == 0 {
		return nil
	}
	return &yamlfile.Errors{List: r.wrong}
}

// full says that reading on is useless.
func (r *vegetaReader) full(line int) bool {
	if len(r.targets) == vegetaMaxTargets {
		r.fail(line, "more than %d targets", vegetaMaxTargets)
		return true
	}
	return len(r.wrong) >= vegetaMaxMistakes
}

// readHTTP reads
//
//	POST http://127.0.0.1:8001/a    the request
//	Name: value                     headers, as many as there are
//	@body.json                      the body's file, which ends the target as an empty line does
func (r *vegetaReader) readHTTP() {
	for i := 0; i < len(r.lines); {
		line, at := r.lines[i], i+1
		if i++; line == "" || line[0] == '#' {
			continue
		}
		if r.full(at) {
			return
		}
		t := vegetaTarget{}
		method, address, _ := strings.Cut(line, " ")
		if !vegetaRequest.MatchString(line) || strings.TrimSpace(address) == "" {
			r.fail(at, "%s is not a request line such as GET http://127.0.0.1:8001/", excerpt(line))
		} else {
			t.method = method
			r.address(&t, at, strings.TrimSpace(address))
		}
		if i < len(r.lines) && vegetaRequest.MatchString(r.lines[i]) { // without headers no empty line is needed
			r.targets = append(r.targets, t)
			continue
		}
		ended := false
		for i < len(r.lines) && !ended {
			line, at = r.lines[i], i+1
			i++
			switch {
			case line == "":
				ended = true
			case line[0] == '#':
			case line[0] == '@':
				t.body = r.body(at, line[1:])
				ended = true
			case vegetaMissed.MatchString(line):
				r.fail(at, "a header is expected: after headers an empty line comes before the next request")
			default:
				name, value, found := strings.Cut(line, ":")
				if !found {
					r.fail(at, "%s is not a header such as Accept: text/html", excerpt(line))
					continue
				}
				r.header(&t, at, strings.TrimSpace(name), strings.TrimSpace(value))
			}
		}
		r.targets = append(r.targets, t)
	}
}

// readJSON reads one object a line, with "method", "url", "header" (name to list of values) and "body" (base64).
func (r *vegetaReader) readJSON() {
	for i, line := range r.lines {
		at := i + 1
		if line == "" {
			continue
		}
		if r.full(at) {
			return
		}
		var in struct {
			Method string              `json:"method"`
			URL    string              `json:"url"`
			Body   []byte              `json:"body"`
			Header map[string][]string `json:"header"`
		}
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			r.fail(at, "%s", jsonMistake(err))
			continue
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			r.fail(at, "more than one object on the line")
			continue
		}
		t := vegetaTarget{method: in.Method, body: string(in.Body)}
		if r.size += len(in.Body); t.method == "" {
			r.fail(at, `"method" is missing`)
		}
		if in.URL == "" {
			r.fail(at, `"url" is missing`)
		} else {
			r.address(&t, at, in.URL)
		}
		names := make([]string, 0, len(in.Header))
		for name := range in.Header {
			names = append(names, name)
		}
		slices.Sort(names) // mistakes come in a fixed order
		for _, name := range names {
			for _, value := range in.Header[name] {
				r.header(&t, at, name, value)
			}
		}
		r.targets = append(r.targets, t)
	}
}

func jsonMistake(err error) string {
	var kind *json.UnmarshalTypeError
	switch text := strings.TrimPrefix(err.Error(), "json: "); {
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a %s where vegeta has a %s", kind.Field, kind.Value, kind.Type)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the object does not end on its line"
	case strings.HasPrefix(text, "illegal base64"):
		return `"body" is not base64`
	default:
		return text
	}
}

// address takes a URL apart into the origin, which all must share, and the path. What it says never repeats the URL, which may
// hold a password.
func (r *vegetaReader) address(t *vegetaTarget, at int, text string) {
	if t.method == "CONNECT" || strings.ContainsFunc(t.method, func(c rune) bool { return c < 'A' || c > 'Z' }) || len(t.method) > nameMax {
		r.fail(at, "%s is not a method that can be sent", excerpt(t.method))
	}
	u, err := url.Parse(text)
	bad := strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' })
	switch {
	case bad >= 0:
		c, _ := utf8.DecodeRuneInString(text[bad:])
		r.fail(at, "%q cannot stand in a URL; percent-encode it", c)
		return
	case err != nil || u.Opaque != "":
		r.fail(at, "what follows %s is not a URL such as http://127.0.0.1:8001/", t.method)
		return
	case u.Scheme != "http" && u.Scheme != "https":
		r.fail(at, "the URL must be absolute and begin with http:// or https://")
		return
	case u.User != nil:
		r.fail(at, "a URL here cannot carry a user or password; send an Authorization header")
		return
	case u.Hostname() == "":
		r.fail(at, "the URL names no host; write http://127.0.0.1:80/")
		return
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") {
		r.fail(at, "the URL's port is not from 1 to 65535")
		return
	}
	switch origin := OriginOf(u); {
	case r.first == 0:
		r.origin, r.first = origin, at
	case origin != r.origin:
		r.fail(at, "goes to %s, but line %d to %s; one run has one target", origin, r.first, r.origin)
	}
	_, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		t.path = rest[i:]
	}
	if !strings.HasPrefix(t.path, "/") {
		t.path = "/" + t.path
	}
}

// OriginOf is a URL's scheme, host and port as it is compared: lower case, without a scheme's own port.
func OriginOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	scheme := strings.ToLower(u.Scheme)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host
}

// header adds one. Names are made canonical, and one value is sent for each.
func (r *vegetaReader) header(t *vegetaTarget, at int, name, value string) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	i, twice := slices.BinarySearchFunc(t.headers, canonical, func(h vegetaHeader, n string) int { return strings.Compare(h.name, n) })
	switch {
	case !validHeaderName(name):
		r.fail(at, "%s is not a header such as Accept: text/html", excerpt(name))
	case value == "":
		r.fail(at, "header %s has no value", canonical)
	case canonical != "Host" && slices.Contains(ownHeaders, canonical):
		r.fail(at, "header %s is set by captest itself", canonical)
	case twice:
		r.fail(at, "header %s appears twice; captest sends one value", canonical)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		r.fail(at, "header %s: a value cannot have control characters", canonical)
	default:
		t.headers = slices.Insert(t.headers, i, vegetaHeader{canonical, value})
	}
}

// body reads an @file, each once.
func (r *vegetaReader) body(at int, name string) string {
	if text, ok := r.bodies[name]; ok {
		return text
	}
	data, err := r.open(name)
	if err != nil {
		r.fail(at, "body: %v", err)
		return ""
	}
	if r.size += len(data); r.size > vegetaMaxBytes {
		r.fail(at, "the bodies are larger than %d MiB together", vegetaMaxBytes>>20)
		return ""
	}
	r.bodies[name] = string(data)
	return r.bodies[name]
}

func excerpt(text string) string {
	if utf8.RuneCountInString(text) > nameMax {
		text = string([]rune(text)[:nameMax-1]) + "…"
	}
	return strconv.Quote(yamlfile.Mask(text))
}
