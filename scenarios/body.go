package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Body is one response body. Its JSON is parsed at most once, and only when a check or a capture asks for it.
type Body struct {
	Raw []byte

	parsed bool
	doc    any
	err    error
}

// ParseBody wraps a response body for Check and Take. It keeps raw, which must not change while the Body is in use.
func ParseBody(raw []byte) *Body { return &Body{Raw: raw} }

// json gives the decoded document; numbers are json.Number, so that long identifiers keep every digit.
func (b *Body) json() (any, error) {
	if b.parsed {
		return b.doc, b.err
	}
	b.parsed = true
	if len(bytes.TrimSpace(b.Raw)) == 0 {
		b.err = errors.New("the body is empty, not JSON")
		return nil, b.err
	}
	d := json.NewDecoder(bytes.NewReader(b.Raw))
	d.UseNumber()
	if err := d.Decode(&b.doc); err != nil {
		b.doc, b.err = nil, errors.New("the body is not JSON") // the decoder's words could quote the body
		return nil, b.err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		b.doc, b.err = nil, errors.New("the body has more after its JSON")
	}
	return b.doc, b.err
}

// pathPart is one step down into a JSON document: a key, or an index when key is "".
type pathPart struct {
	key   string
	index int
}

// Bounds of a JSON path.
const (
	jsonPathMax  = 256
	jsonIndexMax = 1_000_000
)

// parseJSONPath reads "customer.id", "items[0].name" or "[0]".
func parseJSONPath(path string) ([]pathPart, error) {
	if path == "" {
		return nil, errors.New("empty JSON path")
	}
	if len(path) > jsonPathMax {
		return nil, fmt.Errorf("JSON path longer than %d bytes", jsonPathMax)
	}
	var parts []pathPart
	for _, piece := range strings.Split(path, ".") {
		key, indexes, _ := strings.Cut(piece, "[")
		switch {
		case key != "":
			parts = append(parts, pathPart{key: key})
		case indexes == "" || len(parts) > 0: // "a..b", "a.[0]" and a trailing dot
			return nil, fmt.Errorf("JSON path %q has an empty part; write customer.id or items[0].id", path)
		}
		for more := len(key) < len(piece); more; {
			digits, rest, closed := strings.Cut(indexes, "]")
			n, err := strconv.Atoi(digits)
			if !closed || err != nil || n < 0 || n > jsonIndexMax || rest != "" && rest[0] != '[' {
				return nil, fmt.Errorf("JSON path %q: an index is written [0]", path)
			}
			parts = append(parts, pathPart{index: n})
			more = rest != ""
			if more {
				indexes = rest[1:]
			}
		}
	}
	return parts, nil
}

// descend walks a decoded document; ok is false where the path leads nowhere.
func descend(doc any, path []pathPart) (value any, ok bool) {
	for _, p := range path {
		if p.key != "" {
			object, isObject := doc.(map[string]any)
			if !isObject {
				return nil, false
			}
			if doc, ok = object[p.key]; !ok {
				return nil, false
			}
			continue
		}
		list, isList := doc.([]any)
		if !isList || p.index >= len(list) {
			return nil, false
		}
		doc = list[p.index]
	}
	return doc, true
}
