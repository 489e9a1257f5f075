package scenarios

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/captest/captest/internal/yamlfile"
)

// builtinFields are the names that mean something by themselves; data and captures cannot take them.
var builtinFields = []string{"n", "user", "unique", "random", "env", "row"}

// parseParts cuts a string into literal text and fields.
func parseParts(s string) ([]part, error) {
	if len(s) > templateMax {
		return nil, &TemplateError{Msg: fmt.Sprintf("longer than %d bytes", templateMax)}
	}
	var parts []part
	literal := func(text string, at int) {
		if text == "" {
			return
		}
		if last := len(parts) - 1; last >= 0 && parts[last].op == opText {
			parts[last].text += text
			return
		}
		parts = append(parts, part{text: text, at: at, end: at + len(text)})
	}
	for at := 0; at < len(s); {
		open := strings.Index(s[at:], "{{")
		if open < 0 {
			literal(s[at:], at)
			break
		}
		literal(s[at:at+open], at)
		at += open
		words, width, err := scanField(s[at:])
		if err != nil {
			err.Offset += at
			return nil, err
		}
		p, err := fieldOf(words)
		if err != nil {
			err.Offset += at
			return nil, err
		}
		p.at, p.end = at, at+width
		if p.op == opText {
			literal(p.text, at)
		} else {
			parts = append(parts, p)
		}
		at += width
	}
	return parts, nil
}

// word is one word of a field, quoted or bare.
type word struct {
	text   string
	quoted bool
	at     int // offset from the opening braces
}

// scanField reads "{{ word … }}" at the start of s and says how wide it is.
func scanField(s string) (words []word, width int, err *TemplateError) {
	i := 2
	for {
		for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
			i++
		}
		switch {
		case i >= len(s):
			return nil, 0, &TemplateError{Msg: "{{ without }}"}
		case strings.HasPrefix(s[i:], "}}"):
			return words, i + 2, nil
		case s[i] == '"':
			quoted, qerr := strconv.QuotedPrefix(s[i:])
			if qerr != nil {
				return nil, 0, &TemplateError{Offset: i, Msg: "a quoted text does not end"}
			}
			text, qerr := strconv.Unquote(quoted)
			if qerr != nil || !utf8.ValidString(text) {
				return nil, 0, &TemplateError{Offset: i, Msg: "a quoted text cannot be read"}
			}
			words = append(words, word{text: text, quoted: true, at: i})
			i += len(quoted)
		default:
			end := strings.IndexAny(s[i:], " \t\"{}")
			if end == 0 {
				return nil, 0, &TemplateError{Offset: i, Msg: fmt.Sprintf("unexpected %q between the braces", s[i:i+1])}
			}
			if end < 0 {
				return nil, 0, &TemplateError{Msg: "{{ without }}"}
			}
			words = append(words, word{text: s[i : i+end], at: i})
			i += end
		}
	}
}

// fieldOf makes sense of a field's words.
func fieldOf(words []word) (part, *TemplateError) {
	if len(words) == 0 {
		return part{}, &TemplateError{Msg: "nothing between {{ and }}"}
	}
	head, args := words[0], words[1:]
	fail := func(format string, a ...any) (part, *TemplateError) {
		return part{}, &TemplateError{Offset: head.at, Msg: fmt.Sprintf(format, a...)}
	}
	if head.quoted {
		if len(args) > 0 {
			return fail("a quoted text stands alone between the braces")
		}
		return part{op: opText, text: head.text}, nil
	}
	switch head.text {
	case "env":
		return envField(head, args)
	case "random", "random.hex":
		return randomField(head, args)
	case "row":
		return fail("row needs a column: {{row.email}}")
	}
	if len(args) > 0 {
		if nearest := yamlfile.Nearest(head.text, []string{"env", "random", "random.hex"}); nearest != "" {
			return fail("unknown function %q (did you mean %q?)", head.text, nearest)
		}
		return fail("unknown function %q; env, random and random.hex take a value", head.text)
	}
	switch head.text {
	case "n":
		return part{op: opN}, nil
	case "user":
		return part{op: opUser}, nil
	case "unique":
		return part{op: opUnique}, nil
	}
	if column, ok := strings.CutPrefix(head.text, "row."); ok {
		if column == "" {
			return fail("row needs a column: {{row.email}}")
		}
		return part{op: opRow, text: column}, nil
	}
	if !validName(head.text) {
		return fail("%q is not a field name: letters, digits, _ and -, starting with a letter", head.text)
	}
	return part{op: opVar, text: head.text}, nil
}

func envField(head word, args []word) (part, *TemplateError) {
	if len(args) == 0 || len(args) > 2 {
		return part{}, &TemplateError{Offset: head.at, Msg: `env takes a name and perhaps a default: {{env "NAME"}} or {{env "NAME" "default"}}`}
	}
	for _, a := range args {
		if !a.quoted {
			return part{}, &TemplateError{Offset: a.at, Msg: fmt.Sprintf(`quote it: "%s"`, a.text)}
		}
	}
	name := args[0].text
	if name == "" || strings.ContainsAny(name, "= \t\r\n\x00") {
		return part{}, &TemplateError{Offset: args[0].at, Msg: fmt.Sprintf("%q is not the name of an environment variable", name)}
	}
	p := part{op: opEnv, text: name}
	if len(args) == 2 {
		p.fallback, p.hasElse = args[1].text, true
	}
	return p, nil
}

func randomField(head word, args []word) (part, *TemplateError) {
	p := part{op: opRandom, text: head.text}
	low, high, example := uint64(1), uint64(1<<63), "{{random 1000}}"
	if head.text == "random.hex" {
		p.op, high, example = opRandomHex, randomHexMax, "{{random.hex 8}}"
	}
	if len(args) != 1 || args[0].quoted {
		return part{}, &TemplateError{Offset: head.at, Msg: head.text + " takes one whole number: " + example}
	}
	n, err := strconv.ParseUint(args[0].text, 10, 64)
	if err != nil || n < low || n > high {
		return part{}, &TemplateError{Offset: args[0].at, Msg: fmt.Sprintf("%s takes a whole number from %d to %d, not %q", head.text, low, high, args[0].text)}
	}
	p.number = n
	return p, nil
}

// nameMax bounds the names of steps, fields and captures: they become keys of every frame.
const nameMax = 64

// validName says whether s can name a step, a data field or a capture: a dot would clash with limits (step.metric) and rows.
func validName(s string) bool {
	if s == "" || len(s) > nameMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}
