// Package yamlfile reads strict YAML: every mistake of a file at once, each with its place, the line it is on and, for a
// misspelt word, the one that was probably meant.
//
// It stands before the line, under scenarios and targets. It knows nothing of what their fields mean, and it never writes YAML.
package yamlfile

import (
	"fmt"
	"strings"
)

// Error is one mistake at one place.
type Error struct {
	File         string
	Line, Column int    // from 1, in characters; 0 when the whole file is meant
	Msg          string // lower case, without the place
	Excerpt      string // the line and a caret under the place, "" when there is none
}

// Error is "file:line:column: message".
func (e Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Errors are all mistakes of a file in the order of their places.
type Errors struct{ List []Error }

// shownMax bounds how many mistakes Error prints: past it, the first ones are what to mend.
const shownMax = 20

// Error prints one "file:line:column: message" line for each mistake, its excerpt below it.
func (e *Errors) Error() string {
	var b strings.Builder
	for i, one := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == shownMax {
			fmt.Fprintf(&b, "and %d more", len(e.List)-i)
			break
		}
		b.WriteString(one.Error())
		if one.Excerpt != "" {
			b.WriteByte('\n')
			b.WriteString(one.Excerpt)
		}
	}
	return b.String()
}

// Unwrap gives each mistake.
func (e *Errors) Unwrap() []error {
	list := make([]error, len(e.List))
	for i := range e.List {
		list[i] = e.List[i]
	}
	return list
}

// Hint names the command that checks the file again.
func (e *Errors) Hint() string {
	if len(e.List) == 0 {
		return ""
	}
	if n := len(e.List); n > 1 {
		return fmt.Sprintf("mend these %d places, then: captest check %s", n, e.List[0].File)
	}
	return "mend it, then: captest check " + e.List[0].File
}
