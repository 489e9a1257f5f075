package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// captureMax bounds a captured value, in bytes: it lives as long as its journey, for every user at once.
const captureMax = 8 << 10

// captureSource is a Capture's From, compiled. Exactly one field is set.
type captureSource struct {
	path   []pathPart
	header string
	regex  *regexp.Regexp
}

// parseCapture reads "json.customer.id", "header.Location" or "regex:token=(\w+)".
func parseCapture(from string) (*captureSource, error) {
	if rest, ok := strings.CutPrefix(from, "json."); ok {
		path, err := parseJSONPath(rest)
		return &captureSource{path: path}, err
	}
	if strings.HasPrefix(from, "json[") {
		path, err := parseJSONPath(from[len("json"):])
		return &captureSource{path: path}, err
	}
	if rest, ok := strings.CutPrefix(from, "header."); ok {
		if !validHeaderName(rest) {
			return nil, fmt.Errorf("%q is not a header name", rest)
		}
		return &captureSource{header: rest}, nil
	}
	if rest, ok := strings.CutPrefix(from, "regex:"); ok {
		re, err := regexp.Compile(rest)
		if err != nil {
			var bad *syntax.Error
			if errors.As(err, &bad) {
				return nil, fmt.Errorf("regular expression: %s: %q", bad.Code, bad.Expr)
			}
			return nil, err
		}
		if re.NumSubexp() != 1 {
			return nil, fmt.Errorf("the regular expression has %d groups; the one (…) group is what is captured", re.NumSubexp())
		}
		return &captureSource{regex: re}, nil
	}
	return nil, fmt.Errorf("%q is not a place to capture from; write json.PATH, header.NAME or regex:EXPRESSION", from)
}

// Append adds the value found in an answer to dst. Errors say where nothing was found and never quote the answer; dst is then
// as it was.
func (c *Capture) Append(dst []byte, header Header, body *Body) ([]byte, error) {
	source := c.source
	if source == nil {
		var err error
		if source, err = parseCapture(c.From); err != nil {
			return dst, fmt.Errorf("capture %s: %w", c.Name, err)
		}
	}
	from := len(dst)
	dst, err := source.append(dst, header, body)
	if err == nil && len(dst)-from > captureMax {
		err = fmt.Errorf("longer than %d bytes", captureMax)
	}
	if err != nil {
		return dst[:from], fmt.Errorf("capture %s: %s: %w", c.Name, c.From, err)
	}
	return dst, nil
}

func (s *captureSource) append(dst []byte, header Header, body *Body) ([]byte, error) {
	switch {
	case s.header != "":
		if v, _ := headerField(header, s.header, 0); len(v) > 0 {
			return append(dst, v...), nil
		}
		return dst, errors.New("no such header")
	case s.regex != nil:
		m := s.regex.FindSubmatchIndex(body.Raw)
		if m == nil {
			return dst, errors.New("no match")
		}
		return append(dst, body.Raw[max(m[2], 0):max(m[3], 0)]...), nil // a group that took no part is empty
	}
	if err := body.json(); err != nil {
		return dst, err
	}
	value, ok := body.find(s.path)
	if !ok {
		return dst, errors.New("no such value")
	}
	switch value[0] {
	case '"':
		return appendText(dst, value), nil
	case 'n':
		return dst, errors.New("the value is null")
	case '[', '{':
		return dst, errors.New("the value is a list or an object, not text")
	default:
		return append(dst, value...), nil // a number keeps every digit
	}
}

// validHeaderName follows RFC 9110, section 5.1: a token.
func validHeaderName(s string) bool {
	if s == "" || len(s) > nameMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}
