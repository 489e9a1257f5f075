package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Body is one response body. That it is JSON is found out at most once, and only when a check or a capture asks.
type Body struct {
	Raw []byte

	checked bool
	err     error
}

// ParseBody wraps a response body for Check and Append. It keeps raw, which must not change while the Body is in use.
func ParseBody(raw []byte) *Body { return &Body{Raw: raw} }

// json says why the body is not one JSON document; nil when it is.
func (b *Body) json() error {
	if !b.checked {
		b.checked, b.err = true, notJSON(b.Raw)
	}
	return b.err
}

// What can be wrong with a body that was to be JSON. The decoder's own words could quote it.
var (
	errEmptyBody = errors.New("the body is empty, not JSON")
	errNotJSON   = errors.New("the body is not JSON")
	errMoreJSON  = errors.New("the body has more after its JSON")
)

func notJSON(raw []byte) error {
	if json.Valid(raw) {
		return nil
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return errEmptyBody
	}
	var first json.RawMessage
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&first) != nil {
		return errNotJSON
	}
	return errMoreJSON
}

// find gives the text of the value that a path leads to; ok is false where it leads nowhere. With a check or a capture in
// every answer a decoded document would be most of what a request costs, so the value is looked up in the text.
func (b *Body) find(path []pathPart) (value []byte, ok bool) {
	value = b.Raw[skipSpace(b.Raw, 0):]
	for _, p := range path {
		if p.key != "" {
			value, ok = member(value, p.key)
		} else {
			value, ok = element(value, p.index)
		}
		if !ok {
			return nil, false
		}
	}
	return value[:skipValue(value, 0)], true
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
