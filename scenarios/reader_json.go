package scenarios

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// bodyMax bounds a JSON body before it is filled in, in bytes.
const bodyMax = 1 << 20

// jsonWriter turns YAML into JSON text with fields left open inside its strings.
type jsonWriter struct {
	reader *reader
	at     place
	parts  []part
	text   []byte // literal JSON since the last field
	source strings.Builder
	size   int
	failed bool
}

// jsonTemplate reads a request's "json". A text that is one field alone, "{{n}}", is still a JSON string: what stands in
// the file decides the type, never what is filled in.
func (r *reader) jsonTemplate(v yamlfile.Value, at place) (*Template, bool) {
	if raw := strings.TrimSpace(v.Raw()); v.Kind() == yamlfile.Text && raw != "" && (raw[0] == '{' || raw[0] == '[') && !strings.HasPrefix(raw, "{{") {
		v.Errorf("json is written as YAML fields, not as a text; use body for a text")
		return nil, false
	}
	w := jsonWriter{reader: r, at: at}
	w.value(v)
	if w.failed {
		return nil, false
	}
	w.flush()
	return &Template{source: w.source.String(), parts: w.parts}, true
}

// raw adds literal JSON.
func (w *jsonWriter) raw(text string) {
	w.text = append(w.text, text...)
	w.source.WriteString(text)
	w.size += len(text)
}

// flush ends the literal piece.
func (w *jsonWriter) flush() {
	if len(w.text) > 0 {
		w.parts = append(w.parts, part{text: string(w.text)})
		w.text = w.text[:0]
	}
}

func (w *jsonWriter) value(v yamlfile.Value) {
	if w.size > bodyMax {
		if !w.failed {
			v.Errorf("the body is larger than %d KiB", bodyMax>>10)
		}
		w.failed = true
		return
	}
	switch v.Kind() {
	case yamlfile.Null:
		w.raw("null")
	case yamlfile.Bool:
		b, ok := v.Bool()
		w.failed = w.failed || !ok
		w.raw(fmt.Sprint(b))
	case yamlfile.Number:
		// Kept as written, so that 1.10 and long identifiers do not change.
		if !json.Valid([]byte(v.Raw())) {
			v.Errorf("%s is not a number in JSON; write it in decimal, or quote it", v.Raw())
			w.failed = true
		}
		w.raw(v.Raw())
	case yamlfile.Text:
		w.string(v)
	case yamlfile.List:
		items, _ := v.List()
		w.raw("[")
		for i, item := range items {
			if i > 0 {
				w.raw(",")
			}
			w.value(item)
		}
		w.raw("]")
	case yamlfile.Fields:
		m, _ := v.Map()
		w.raw("{")
		for i, p := range m.Pairs() {
			if i > 0 {
				w.raw(",")
			}
			if strings.Contains(p.Name, "{{") {
				p.Key.Errorf("templates stand in values, not in names")
				w.failed = true
			}
			w.raw(`"` + string(appendJSONText(nil, p.Name)) + `":`)
			w.value(p.Value)
		}
		w.raw("}")
	}
}

// string adds one text, its fields left open.
func (w *jsonWriter) string(v yamlfile.Value) {
	text := v.Raw()
	parts, err := parseParts(text)
	if err != nil {
		reportTemplate(v, err)
		w.failed = true
		return
	}
	w.reader.uses = append(w.reader.uses, use{value: v, parts: parts, at: w.at})
	w.raw(`"`)
	for _, p := range parts {
		if p.op == opText {
			w.raw(string(appendJSONText(nil, p.text)))
			continue
		}
		w.flush()
		p.escape = escapeJSON
		w.parts = append(w.parts, p)
		w.source.WriteString(text[p.at:p.end])
	}
	w.raw(`"`)
}
