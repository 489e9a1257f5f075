package scenarios

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Looking values up in the text of a JSON document. The text is known to be valid (RFC 8259), so that nothing here can run
// over its end, and nothing is decoded or allocated but a text with escapes in it. lookup_test.go holds the results against
// encoding/json's.

// member gives what follows a key of the object that text begins with, from the value's first byte on. Of equal keys the
// last one counts, as for encoding/json.
func member(text []byte, key string) (value []byte, ok bool) {
	if text[0] != '{' {
		return nil, false
	}
	i := skipSpace(text, 1)
	for text[i] != '}' {
		end := skipString(text, i)
		name := text[i:end]
		i = skipSpace(text, skipSpace(text, end)+1) // over the colon
		if isText(name, key) {
			value, ok = text[i:], true
		}
		if i = skipSpace(text, skipValue(text, i)); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return value, ok
}

// element gives what begins at an index of the list that text begins with.
func element(text []byte, index int) (value []byte, ok bool) {
	if text[0] != '[' {
		return nil, false
	}
	i := skipSpace(text, 1)
	for ; text[i] != ']'; index-- {
		if index == 0 {
			return text[i:], true
		}
		if i = skipSpace(text, skipValue(text, i)); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return nil, false
}

// skipValue gives the end of the value that begins at i.
func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		for depth := 0; ; {
			switch text[i] {
			case '"':
				i = skipString(text, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(text) && text[i] != ',' && text[i] != '}' && text[i] != ']' && !isSpace(text[i]) {
		i++ // a number or a word
	}
	return i
}

// skipString gives the end of the string that begins at i.
func skipString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isText says whether a string in quotes means a text.
func isText(quoted []byte, text string) bool {
	if inner := quoted[1 : len(quoted)-1]; literal(inner) {
		return string(inner) == text
	}
	return unquote(quoted) == text
}

// appendText adds what a string in quotes means.
func appendText(dst, quoted []byte) []byte {
	if inner := quoted[1 : len(quoted)-1]; literal(inner) {
		return append(dst, inner...)
	}
	return append(dst, unquote(quoted)...)
}

// literal says that the inside of a string means itself.
func literal(inner []byte) bool { return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) }

func unquote(quoted []byte) (text string) {
	_ = json.Unmarshal(quoted, &text) // valid, as all of the document
	return text
}
