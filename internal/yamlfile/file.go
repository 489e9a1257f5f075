package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds of a file. They are far above anything a person writes and far below what hurts.
const (
	MaxBytes = 1 << 20
	maxDepth = 64
	maxNodes = 100_000 // aliases counted each time they are used, so that a few lines cannot grow into gigabytes
)

// File is one parsed document. Reading it collects mistakes; Err gives them all at the end.
type File struct {
	name  string
	lines []string
	root  *yaml.Node
	found []Error
	// broken are nodes already reported as misread: what is said about their kind afterwards would only confuse.
	broken map[*yaml.Node]bool
}

// Read gets a file's text, at most MaxBytes of it. What is not a regular file of that size is an *Errors without a line.
func Read(name string) ([]byte, error) { return ReadUpTo(name, MaxBytes) }

// ReadUpTo is Read for files that may be of another size.
func ReadUpTo(name string, most int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &Errors{List: []Error{{File: name, Msg: "is a folder, not a file"}}}
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > most {
		return nil, tooLarge(name, most)
	}
	return data, nil
}

func tooLarge(name string, most int) *Errors {
	return &Errors{List: []Error{{File: name, Msg: fmt.Sprintf("larger than %d KiB", most>>10)}}}
}

// Parse reads one YAML document whose root is a mapping. When it cannot be read at all the error is an *Errors;
// otherwise duplicate keys and the like are already collected and reading goes on with Root.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxBytes {
		return nil, tooLarge(name, MaxBytes)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	f := &File{name: name, lines: splitLines(string(data)), broken: make(map[*yaml.Node]bool)}
	if !f.checkText() {
		return nil, f.Err()
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys(false),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var document yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		f.add(1, 1, "the file is empty")
		f.found[0].Excerpt = ""
		return nil, f.Err()
	case err != nil:
		f.addLoad(err)
		return nil, f.Err()
	}
	f.root = document.Content[0]
	if f.root.Kind != yaml.MappingNode {
		f.add(f.root.Line, f.root.Column, fmt.Sprintf("the file must be fields (name: …), not %s", Value{f, f.root}.kindName()))
		return nil, f.Err()
	}
	budget := maxNodes
	if !f.walk(f.root, 0, &budget) {
		return nil, f.Err()
	}
	var second yaml.Node
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		f.addLoad(err)
	default:
		f.add(second.Line, second.Column, "a second document (---); a file holds one")
	}
	return f, nil
}

// splitLines cuts where YAML 1.1 counts a new line: after LF, CR, CR LF, NEL, LS and PS.
func splitLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.NewReplacer("\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text), "\n")
}

// checkText refuses what is not UTF-8 text, with the place, which the YAML reader does not give.
func (f *File) checkText() bool {
	for i, line := range f.lines {
		column := 1
		for at := 0; at < len(line); column++ {
			r, width := utf8.DecodeRuneInString(line[at:])
			switch {
			case r == utf8.RuneError && width == 1:
				f.add(i+1, column, fmt.Sprintf("not UTF-8 text (byte 0x%02x)", line[at]))
				f.found[0].Excerpt = ""
				return false
			case r < ' ' && r != '\t' || r == 0x7f:
				f.add(i+1, column, fmt.Sprintf("control character U+%04X", r))
				f.found[0].Excerpt = ""
				return false
			}
			at += width
		}
	}
	return true
}

// walk reports, for the whole tree, what no reader of single fields would see: duplicate keys, keys that are not text,
// merge keys, foreign tags, and aliases that grow without end. It returns false when going on would be unsafe.
func (f *File) walk(n *yaml.Node, depth int, budget *int) bool {
	if *budget--; *budget < 0 || depth > maxDepth {
		f.add(n.Line, n.Column, "aliases (*name) make this too large or nest it in itself")
		return false
	}
	switch n.Kind {
	case yaml.AliasNode:
		return f.walk(n.Alias, depth+1, budget)
	case yaml.ScalarNode:
		f.checkTag(n)
		return true
	case yaml.SequenceNode:
		f.checkTag(n)
		for _, c := range n.Content {
			if !f.walk(c, depth+1, budget) {
				return false
			}
		}
		return true
	}
	f.checkTag(n)
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f.checkKey(n, key, seen)
		if !f.walk(value, depth+1, budget) {
			return false
		}
	}
	return true
}

func (f *File) checkKey(n, key *yaml.Node, seen map[string]int) {
	switch {
	case key.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		f.addOnce(n.Line, n.Column, `a template must be quoted: "{{name}}"`)
		f.broken[n] = true
	case key.Kind != yaml.ScalarNode:
		f.addOnce(key.Line, key.Column, "a field name must be plain text")
	case key.Tag == "!!merge":
		f.addOnce(key.Line, key.Column, "merge keys (<<) are not supported; write the fields out")
	default:
		if first, ok := seen[key.Value]; ok {
			f.addOnce(key.Line, key.Column, fmt.Sprintf("field %q appears twice; first on line %d", key.Value, first))
			return
		}
		seen[key.Value] = key.Line
	}
}

// checkTag refuses tags that the plain YAML of these files has no use for (!!binary, !custom).
func (f *File) checkTag(n *yaml.Node) {
	switch n.Tag {
	case "!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge", "":
	default:
		f.addOnce(n.Line, n.Column, fmt.Sprintf("tag %s is not supported", n.Tag))
	}
}

// addLoad places an error of the YAML library.
func (f *File) addLoad(err error) {
	var one *yaml.LoadError
	if !errors.As(err, &one) {
		f.add(1, 1, err.Error())
		return
	}
	msg := one.Message
	if one.ContextMsg != "" {
		msg += " (" + one.ContextMsg
		if c := one.ContextMark; c.Line > 0 && c.Line != one.Mark.Line {
			msg += fmt.Sprintf(" from line %d", c.Line)
		}
		msg += ")"
	}
	switch {
	case strings.Contains(msg, "exceeded max depth"):
		msg = fmt.Sprintf("nested deeper than %d levels", maxDepth)
	case strings.Contains(msg, "cannot start any token") && f.tabAt(one.Mark.Line):
		msg = "a tab cannot indent YAML; use spaces"
	case strings.Contains(msg, "flow") && f.templateAt(one.Mark.Line):
		msg += "; inside {…} and […] a text with {{…}} must be quoted"
	}
	f.add(max(one.Mark.Line, 1), max(one.Mark.Column, 1), msg)
}

// tabAt says whether a line is indented with a tab.
func (f *File) tabAt(line int) bool {
	return line >= 1 && line <= len(f.lines) && strings.HasPrefix(strings.TrimLeft(f.lines[line-1], " "), "\t")
}

// templateAt says whether a line holds a template.
func (f *File) templateAt(line int) bool {
	return line >= 1 && line <= len(f.lines) && strings.Contains(f.lines[line-1], "{{")
}

// Root is the document's mapping.
func (f *File) Root() *Map { return newMap(Value{f, f.root}) }

// add records a mistake. Neither its words nor its excerpt repeat the credentials of a URL.
func (f *File) add(line, column int, msg string) {
	msg = Mask(msg)
	f.found = append(f.found, Error{File: f.name, Line: line, Column: column, Msg: msg, Excerpt: f.excerpt(line, column)})
}

// addOnce records a mistake unless it is there already: an anchored part is walked once for each alias.
func (f *File) addOnce(line, column int, msg string) {
	same := func(e Error) bool { return e.Line == line && e.Column == column && e.Msg == msg }
	if !slices.ContainsFunc(f.found, same) {
		f.add(line, column, msg)
	}
}

// Err gives every mistake found so far in the order of their places, as an *Errors, or nil.
func (f *File) Err() error {
	if len(f.found) == 0 {
		return nil
	}
	list := slices.Clone(f.found)
	slices.SortStableFunc(list, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &Errors{List: list}
}
