package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// Take gets the value out of an answer. Errors say where nothing was found and never quote the answer.
func (c *Capture) Take(header http.Header, body *Body) (string, error) {
	source := c.source
	if source == nil {
		var err error
		if source, err = parseCapture(c.From); err != nil {
			return "", fmt.Errorf("capture %s: %w", c.Name, err)
		}
	}
	value, err := source.take(header, body)
	if err == nil && len(value) > captureMax {
		err = fmt.Errorf("longer than %d bytes", captureMax)
	}
	if err != nil {
		return "", fmt.Errorf("capture %s: %s: %w", c.Name, c.From, err)
	}
	return value, nil
}

func (s *captureSource) take(header http.Header, body *Body) (string, error) {
	switch {
	case s.header != "":
		if v := header.Get(s.header); v != "" {
			return v, nil
		}
		return "", errors.New("no such header")
	case s.regex != nil:
		if m := s.regex.FindSubmatch(body.Raw); m != nil {
			return string(m[1]), nil
		}
		return "", errors.New("no match")
	}
	doc, err := body.json()
	if err != nil {
		return "", err
	}
	value, ok := descend(doc, s.path)
	if !ok {
		return "", errors.New("no such value")
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	case nil:
		return "", errors.New("the value is null")
	default:
		return "", errors.New("the value is a list or an object, not text")
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
