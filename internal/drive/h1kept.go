package drive

import (
	"bytes"
	"net/http"
	"net/textproto"
)

// Field gives value i (from 0) of a field of the kept head, in the order they came. The name's case does not matter. Values are
// without the blanks around them, continuation lines joined by a space; they are valid until start.
func (p *response) Field(name string, i int) (value []byte, ok bool) {
	for rest := p.kept; len(rest) > 0; {
		var key []byte
		key, value, rest = cutField(rest)
		if !equalFold(key, name) {
			continue
		}
		if i == 0 {
			return value, true
		}
		i--
	}
	return nil, false
}

// httpHeader is the kept head as net/http would give it, framing fields included: what the target sent, unlike
// http.Response.Header. The map is the caller's.
func (p *response) httpHeader() http.Header {
	header := make(http.Header, bytes.Count(p.kept, []byte("\n")))
	for rest := p.kept; len(rest) > 0; {
		var key, value []byte
		key, value, rest = cutField(rest)
		name := textproto.CanonicalMIMEHeaderKey(string(key))
		header[name] = append(header[name], string(value))
	}
	return header
}

// cutField cuts the first field off a kept head, which is not empty.
func cutField(kept []byte) (name, value, rest []byte) {
	line, rest, _ := bytes.Cut(kept, []byte("\n"))
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, trim(value), rest // blank continuation lines leave blanks
}
