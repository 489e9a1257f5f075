package killbill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields is a JSON object read the way Kill Bill's Jackson binds one: scalars are coerced (a number is a legal name),
// null is absent, and a property the class does not know is refused. The first mistake is kept; later reads are no-ops.
type fields struct {
	class string // the Java class, for messages
	known []string
	raw   map[string]json.RawMessage
	err   *failure
}

// bind reads one object. A nil result without failure means the body was empty or null.
func bind(body []byte, class string, known ...string) (*fields, *failure) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var raw json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&raw); err != nil { // like Jackson, ignores what follows
		return nil, badJSON("core.JsonParseException", "%v", err)
	}
	if string(raw) == "null" {
		return nil, nil
	}
	f := &fields{class: class, known: known}
	if err := json.Unmarshal(raw, &f.raw); err != nil {
		return nil, badJSON("databind.exc.MismatchedInputException", "Cannot deserialize value of type `%s` from %s", class, token(raw))
	}
	for name := range f.raw {
		if !slices.Contains(known, name) {
			return nil, badJSON("databind.exc.UnrecognizedPropertyException",
				`Unrecognized field %q (class %s), not marked as ignorable (%d known properties: "%s")`,
				name, class, len(known), strings.Join(known, `", "`))
		}
	}
	return f, nil
}

// token names what a raw value begins with, in Jackson's words.
func token(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "Object value (token `JsonToken.START_OBJECT`)"
	case '[':
		return "Array value (token `JsonToken.START_ARRAY`)"
	case '"':
		return "String value (token `JsonToken.VALUE_STRING`)"
	case 't', 'f':
		return "Boolean value"
	}
	return "Number value"
}

// scalar returns the text of a scalar; ok is false when the property is absent, null, or not a scalar (a failure).
func (f *fields) scalar(name, want string) (text string, ok bool) {
	raw, given := f.raw[name]
	if !given || f.err != nil || string(raw) == "null" {
		return "", false
	}
	switch raw[0] {
	case '{', '[':
		f.err = badJSON("databind.exc.MismatchedInputException",
			"Cannot deserialize value of type `%s` from %s (through reference chain: %s[%q])", want, token(raw), f.class, name)
		return "", false
	case '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			f.err = badJSON("core.JsonParseException", "%v", err)
			return "", false
		}
		return text, true
	}
	return string(raw), true
}

// invalid records a scalar that does not convert.
func (f *fields) invalid(name, want, text string) {
	f.err = badJSON("databind.exc.InvalidFormatException",
		"Cannot deserialize value of type `%s` from String %q: not a valid representation (through reference chain: %s[%q])", want, text, f.class, name)
}

func (f *fields) text(name string) *string {
	if t, ok := f.scalar(name, "java.lang.String"); ok {
		return &t
	}
	return nil
}

func (f *fields) integer(name string) *int {
	t, ok := f.scalar(name, "java.lang.Integer")
	if !ok || t == "" {
		return nil
	}
	n, err := strconv.ParseInt(t, 10, 32)
	if err != nil {
		f.invalid(name, "java.lang.Integer", t)
		return nil
	}
	i := int(n)
	return &i
}

func (f *fields) boolean(name string) *bool {
	t, ok := f.scalar(name, "java.lang.Boolean")
	if !ok || t == "" {
		return nil
	}
	b, err := strconv.ParseBool(strings.ToLower(t))
	if err != nil {
		f.invalid(name, "java.lang.Boolean", t)
		return nil
	}
	return &b
}

func (f *fields) uuid(name string) *string {
	t, ok := f.scalar(name, "java.util.UUID")
	if !ok || t == "" {
		return nil
	}
	u, valid := parseUUID(t)
	if !valid {
		f.invalid(name, "java.util.UUID", t)
		return nil
	}
	return &u
}

// instant reads a time of day or a date and returns it as Kill Bill writes one.
func (f *fields) instant(name string) *string {
	t, ok := f.scalar(name, "org.joda.time.DateTime")
	if !ok || t == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, t); err == nil {
			return instantText(at)
		}
	}
	f.invalid(name, "org.joda.time.DateTime", t)
	return nil
}

func instantText(t time.Time) *string {
	s := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}

// uuidList reads a body that is an array of UUIDs.
func uuidList(body []byte) ([]string, *failure) {
	var given []json.RawMessage
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&given); err != nil {
		if json.Valid(body) {
			return nil, badJSON("databind.exc.MismatchedInputException", "Cannot deserialize value of type `java.util.ArrayList<java.util.UUID>` from %s", token(bytes.TrimSpace(body)))
		}
		return nil, badJSON("core.JsonParseException", "%v", err)
	}
	ids := make([]string, 0, len(given))
	for i, raw := range given {
		var text string
		if err := json.Unmarshal(raw, &text); err == nil {
			if id, ok := parseUUID(text); ok {
				ids = append(ids, id)
				continue
			}
		}
		return nil, badJSON("databind.exc.InvalidFormatException", "Cannot deserialize value of type `java.util.UUID` from %s (through reference chain: java.util.ArrayList[%d])", fmt.Sprintf("%.80s", raw), i)
	}
	return ids, nil
}
