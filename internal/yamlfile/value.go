package yamlfile

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Value is one node of a file with its place. Its getters record a mistake and return false when the node is not of
// the kind asked for.
type Value struct {
	file *File
	node *yaml.Node
}

// Kind of a value.
type Kind uint8

// Kinds.
const (
	Null Kind = iota
	Text
	Number
	Bool
	List
	Fields
)

// Kind tells what the value is. Dates are text: nothing here has a use for them.
func (v Value) Kind() Kind {
	n := v.resolved()
	switch n.Kind {
	case yaml.SequenceNode:
		return List
	case yaml.MappingNode:
		return Fields
	}
	switch n.Tag {
	case "!!null":
		return Null
	case "!!int", "!!float":
		return Number
	case "!!bool":
		return Bool
	}
	return Text
}

// resolved follows an alias.
func (v Value) resolved() *yaml.Node {
	n := v.node
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// kindName names the value's kind for messages.
func (v Value) kindName() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "fields"}[v.Kind()]
}

// Raw is a scalar's text whatever its type: `1e3`, `true`, `hello`.
func (v Value) Raw() string { return v.resolved().Value }

// Errorf records a mistake at the value.
func (v Value) Errorf(format string, args ...any) {
	if !v.file.broken[v.resolved()] {
		v.file.addOnce(v.node.Line, v.node.Column, fmt.Sprintf(format, args...))
	}
}

// ErrorfAt records a mistake inside a text, offset bytes from its beginning.
func (v Value) ErrorfAt(offset int, format string, args ...any) {
	line, column := v.place(offset)
	v.file.addOnce(line, column, fmt.Sprintf(format, args...))
}

// place finds where in the file a byte of a scalar's text stands. Where quoting or folding makes that uncertain it is the
// scalar's beginning.
func (v Value) place(offset int) (line, column int) {
	n := v.resolved()
	line, column = n.Line, n.Column
	if n.Kind != yaml.ScalarNode || offset < 0 || offset > len(n.Value) {
		return line, column
	}
	text := n.Value[:offset]
	lineNo, within, whole := n.Line, text, n.Value
	if n.Style&yaml.LiteralStyle != 0 {
		before := strings.Count(text, "\n")
		lineNo += 1 + before
		within = text[strings.LastIndexByte(text, '\n')+1:]
		whole = strings.Split(n.Value, "\n")[before]
	} else if strings.Contains(whole, "\n") {
		return line, column
	}
	if lineNo < 1 || lineNo > len(v.file.lines) {
		return line, column
	}
	source := v.file.lines[lineNo-1]
	from := 0
	if lineNo == n.Line {
		from = byteOffset(source, n.Column-1)
	}
	if at := strings.Index(source[from:], whole); at >= 0 {
		return lineNo, utf8.RuneCountInString(source[:from+at]) + utf8.RuneCountInString(within) + 1
	}
	return line, column
}

// byteOffset gives the byte at which the character numbered n (from 0) begins.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// Str wants text.
func (v Value) Str() (string, bool) {
	switch v.Kind() {
	case Text:
		return v.resolved().Value, true
	case Number, Bool:
		v.Errorf("must be text; quote it: %q", v.Raw())
	default:
		v.Errorf("must be text, not %s", v.kindName())
	}
	return "", false
}

// Scalar wants text, a number, or true or false, and gives it as it is written.
func (v Value) Scalar() (string, bool) {
	switch v.Kind() {
	case Text, Number, Bool:
		return v.resolved().Value, true
	}
	v.Errorf("must be text, not %s", v.kindName())
	return "", false
}

// Int wants a whole number within the bounds.
func (v Value) Int(low, high int64) (int64, bool) {
	raw := v.Raw()
	n, err := strconv.ParseInt(raw, 10, 64)
	if v.Kind() != Number || err != nil || len(raw) > 1 && raw[0] == '0' {
		v.Errorf("must be a whole number, not %s", v.quoted())
		return 0, false
	}
	if n < low || n > high {
		v.Errorf("must be from %d to %d, not %d", low, high, n)
		return 0, false
	}
	return n, true
}

// Float wants a finite number above low (itself excluded) and at most high.
func (v Value) Float(low, high float64) (float64, bool) {
	n, err := strconv.ParseFloat(v.Raw(), 64)
	if v.Kind() != Number || err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		v.Errorf("must be a number, not %s", v.quoted())
		return 0, false
	}
	if n <= low || n > high {
		v.Errorf("must be more than %g and at most %g, not %g", low, high, n)
		return 0, false
	}
	return n, true
}

// Bool wants true or false.
func (v Value) Bool() (value, ok bool) {
	if v.Kind() == Bool {
		switch v.Raw() {
		case "true", "True", "TRUE":
			return true, true
		case "false", "False", "FALSE":
			return false, true
		}
	}
	v.Errorf("must be true or false, not %s", v.quoted())
	return false, false
}

// Duration wants a time with its unit, such as 500ms, 30s or 1m30s, within the bounds.
func (v Value) Duration(low, high time.Duration) (time.Duration, bool) {
	raw := v.Raw()
	d, err := time.ParseDuration(raw)
	switch kind := v.Kind(); {
	case kind == Number && raw != "0":
		v.Errorf("needs a unit: %ss or %sms", raw, raw)
		return 0, false
	case kind != Text && kind != Number || err != nil:
		v.Errorf("must be a time such as 500ms, 30s or 1m30s, not %s", v.quoted())
		return 0, false
	}
	if d < low || d > high {
		v.Errorf("must be from %v to %v, not %v", low, high, d)
		return 0, false
	}
	return d, true
}

// OneOf wants one word of a fixed set.
func (v Value) OneOf(words ...string) (string, bool) {
	s, ok := v.Str()
	if !ok {
		return "", false
	}
	for _, w := range words {
		if s == w {
			return s, true
		}
	}
	v.Errorf("%s", Unknown("value", s, words))
	return "", false
}

// Map wants fields.
func (v Value) Map() (*Map, bool) {
	if v.Kind() != Fields {
		v.Errorf("must be fields (name: …), not %s", v.kindName())
		return nil, false
	}
	return newMap(v), true
}

// List wants a list, empty or not.
func (v Value) List() ([]Value, bool) {
	if v.Kind() != List {
		v.Errorf("must be a list, not %s", v.kindName())
		return nil, false
	}
	n := v.resolved()
	list := make([]Value, len(n.Content))
	for i, c := range n.Content {
		list[i] = Value{v.file, c}
	}
	return list, true
}

// OneOrMore wants a list that is not empty, or a single value, which counts as a list of one.
func (v Value) OneOrMore() ([]Value, bool) {
	if k := v.Kind(); k != List && k != Null {
		return []Value{v}, true
	}
	list, ok := v.List()
	if ok && len(list) == 0 {
		v.Errorf("the list is empty")
		return nil, false
	}
	return list, ok
}

// quoted writes a scalar for a message; longer values by their kind.
func (v Value) quoted() string {
	switch v.Kind() {
	case Text, Number, Bool:
		if raw := Mask(v.Raw()); len(raw) <= 60 {
			return strconv.Quote(raw)
		}
	}
	return v.kindName()
}

// Unknown says that word is not one of the allowed, with the nearest or all of them.
func Unknown(what, word string, allowed []string) string {
	if len(word) > 60 {
		word = strings.ToValidUTF8(word[:60], "") + "…"
	}
	if nearest := Nearest(word, allowed); nearest != "" {
		return fmt.Sprintf("unknown %s %q (did you mean %q?)", what, word, nearest)
	}
	if len(allowed) == 0 {
		return fmt.Sprintf("unknown %s %q", what, word)
	}
	return fmt.Sprintf("unknown %s %q; there is %s", what, word, strings.Join(allowed, ", "))
}
