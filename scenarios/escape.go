package scenarios

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// escaping is how a value is made safe for the place it is put in. Literal text is never escaped: its writer chose it.
type escaping uint8

const (
	escapeNone   escaping = iota // form fields and raw bodies: the sender encodes the whole, or nothing does
	escapeJSON                   // inside a JSON string
	escapePath                   // in a path, before "?"
	escapeQuery                  // in a path, after "?"
	escapeWhole                  // a path that begins with the value, such as a captured Location
	escapeHeader                 // a header value: cannot be escaped, so line breaks are refused
)

// errLineBreak stops a captured or environment value from adding a header of its own.
var errLineBreak = errors.New("the value has a line break or another control character, which a header cannot carry")

// errNotPath stops a captured value from turning a path into part of a host name.
var errNotPath = errors.New(`the path begins with this value, and it does not begin with "/"`)

// append adds value, made safe, to dst; start is where the template's text begins.
func (e escaping) append(dst []byte, value string, start int) ([]byte, error) {
	switch e {
	case escapeJSON:
		return appendJSONText(dst, value), nil
	case escapePath:
		return appendPercent(dst, value, "-._~!$&'()*+,;=:@/"), nil
	case escapeQuery:
		return appendPercent(dst, value, "-._~"), nil
	case escapeWhole:
		if len(dst) == start {
			if value = pathOf(value); !strings.HasPrefix(value, "/") {
				return dst, errNotPath
			}
		}
		return appendPercent(dst, value, "-._~!$&'()*+,;=:@/?%[]"), nil
	case escapeHeader:
		for i := range len(value) {
			if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
				return dst, errLineBreak
			}
		}
	}
	return append(dst, value...), nil
}

// appendPercent percent-encodes every byte but letters, digits and those in keep.
func appendPercent(dst []byte, value, keep string) []byte {
	const upper = "0123456789ABCDEF"
	for i := range len(value) {
		c := value[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upper[c>>4], upper[c&15])
		}
	}
	return dst
}

// pathOf cuts scheme and host off an absolute URL: a step stays on its own service whatever a Location says.
func pathOf(value string) string {
	rest, ok := strings.CutPrefix(value, "http://")
	if !ok {
		if rest, ok = strings.CutPrefix(value, "https://"); !ok {
			return value
		}
	}
	if at := strings.IndexAny(rest, "/?#"); at >= 0 && rest[at] == '/' {
		rest, _, _ = strings.Cut(rest[at:], "#")
		return rest
	}
	return "/"
}

// appendJSONText adds value as the inside of a JSON string (RFC 8259, section 7); bytes that are not UTF-8 become U+FFFD.
func appendJSONText(dst []byte, value string) []byte {
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c == '\n':
				dst = append(dst, '\\', 'n')
			case c == '\r':
				dst = append(dst, '\\', 'r')
			case c == '\t':
				dst = append(dst, '\\', 't')
			case c < ' ':
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(value[i:])
		if r == utf8.RuneError && width == 1 {
			dst = append(dst, `\ufffd`...)
		} else {
			dst = append(dst, value[i:i+width]...)
		}
		i += width
	}
	return dst
}
