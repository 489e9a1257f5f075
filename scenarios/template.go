package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

// Template is text with fields left open: `u{{unique}}@load.example`. It is parsed once; Append fills it in without
// reflection and without allocating beyond dst.
//
//	{{n}}                 number of the journey within the run
//	{{user}}              number of the virtual user
//	{{unique}}            never repeats across users, runs and machines
//	{{random 1000}}       a whole number from 0 to 999
//	{{random.hex 8}}      eight hexadecimal digits
//	{{env "NAME"}}        a secret from the environment, {{env "NAME" "default"}} with a fallback
//	{{row.column}}        the CSV file's row of this journey
//	{{name}}              a data field or a captured value
//	{{"text"}}            the text itself, for a literal "{{"
type Template struct {
	source string
	parts  []part
}

// Values fill a template.
type Values struct {
	N      uint64              // journey number
	User   int                 // virtual user
	Unique string              // unique identity of the journey
	Vars   map[string]string   // data fields and captured values
	Row    map[string]string   // the journey's CSV row
	Rand   *rand.Rand          // source of {{random …}}; nil uses the process's own
	Env    func(string) string // environment; nil is an empty one
}

// operation is what a part does.
type operation uint8

const (
	opText operation = iota // literal text
	opN
	opUser
	opUnique
	opRandom    // number is the bound
	opRandomHex // number is how many digits
	opEnv
	opRow
	opVar
)

// part is one piece of a template: literal text or an open field.
type part struct {
	op       operation
	escape   escaping
	text     string // literal text, or the field's name
	fallback string // of env
	hasElse  bool   // there is a fallback
	number   uint64
	at, end  int // bytes of the string it was parsed from, for messages
}

// Bounds of what a template may ask for.
const (
	templateMax  = 64 << 10 // bytes of source
	randomHexMax = 1024     // digits
)

// TemplateError is a mistake inside a template.
type TemplateError struct {
	Offset int // byte offset in the template's source
	Msg    string
}

// Error is the message; the loader adds the place.
func (e *TemplateError) Error() string { return "template: " + e.Msg }

// Hint shows what can stand between the braces.
func (e *TemplateError) Hint() string {
	return `write {{n}}, {{user}}, {{unique}}, {{random 1000}}, {{random.hex 8}}, {{env "NAME"}}, {{row.column}} or {{field}}; {{"{{"}} is a literal {{`
}

// ParseTemplate reads a template. The error is a *TemplateError.
func ParseTemplate(s string) (*Template, error) {
	parts, err := parseParts(s)
	if err != nil {
		return nil, err
	}
	return &Template{source: s, parts: parts}, nil
}

// Literal is a template with nothing to fill in: braces in s mean themselves.
func Literal(s string) *Template {
	return &Template{source: s, parts: []part{{text: s}}}
}

// String is the source text. It holds the names of environment variables, never their values.
func (t *Template) String() string { return t.source }

// UsesEnv says whether the result holds a secret from the environment and so must not be written anywhere.
func (t *Template) UsesEnv() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.op == opEnv })
}

// Append adds the filled-in text to dst. On an error dst is returned as it was.
func (t *Template) Append(dst []byte, v *Values) ([]byte, error) {
	start := len(dst)
	for i := range t.parts {
		p := &t.parts[i]
		var err error
		if dst, err = p.append(dst, v, start); err != nil {
			return dst[:start], err
		}
	}
	return dst, nil
}

// append adds one part; start is where the template's own text begins in dst.
func (p *part) append(dst []byte, v *Values, start int) ([]byte, error) {
	switch p.op {
	case opText:
		return append(dst, p.text...), nil
	case opN:
		return strconv.AppendUint(dst, v.N, 10), nil
	case opUser:
		return strconv.AppendInt(dst, int64(v.User), 10), nil
	case opRandom:
		return strconv.AppendUint(dst, draw(v.Rand, p.number), 10), nil
	case opRandomHex:
		for range p.number {
			dst = append(dst, hexDigits[draw(v.Rand, 16)])
		}
		return dst, nil
	}
	value, err := p.lookup(v)
	if err != nil {
		return dst, err
	}
	dst, err = p.escape.append(dst, value, start)
	if err != nil {
		return dst, fmt.Errorf("{{%s}}: %w", p.label(), err)
	}
	return dst, nil
}

// lookup gives the text of a named field.
func (p *part) lookup(v *Values) (string, error) {
	switch p.op {
	case opUnique:
		return v.Unique, nil
	case opEnv:
		if v.Env != nil {
			if s := v.Env(p.text); s != "" {
				return s, nil
			}
		}
		if p.hasElse {
			return p.fallback, nil
		}
		return "", &MissingEnvError{Names: []string{p.text}}
	case opRow:
		if s, ok := v.Row[p.text]; ok {
			return s, nil
		}
		return "", fmt.Errorf("{{row.%s}}: no such column in this row", p.text)
	case opVar:
		if s, ok := v.Vars[p.text]; ok {
			return s, nil
		}
		return "", fmt.Errorf("{{%s}}: no value yet: no field of that name, or not captured", p.text)
	}
	return "", errors.New("impossible template part")
}

// label is the field as its writer knows it, without any value.
func (p *part) label() string {
	switch p.op {
	case opUnique:
		return "unique"
	case opEnv:
		return fmt.Sprintf("env %q", p.text)
	case opRow:
		return "row." + p.text
	}
	return p.text
}

const hexDigits = "0123456789abcdef"

// draw gives a number from 0 to below n.
func draw(r *rand.Rand, n uint64) uint64 {
	if r == nil {
		return rand.Uint64N(n)
	}
	return r.Uint64N(n)
}
