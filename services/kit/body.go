package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// bodyLimit bounds a request body, in bytes; bodyPatience is how long a client may take to send it.
const (
	bodyLimit    = 64 << 10
	bodyPatience = 10 * time.Second
)

// readBody reads a whole request body, giving up the event loop meanwhile.
func readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer Await(ctx)()
	// A deadline on the connection for the body only: left in force, it would look like the client going away later.
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(bodyPatience)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &Problem{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("body longer than %d bytes", large.Limit)}
	case err != nil:
		return nil, &Problem{Status: http.StatusBadRequest, Message: "body cut short", Cause: err}
	}
	return body, nil
}

// Decode reads the JSON object of a request into v, strictly: one object, no field that v does not have.
func (r *Request) Decode(v any) error {
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return &Problem{Status: http.StatusUnsupportedMediaType, Message: "want application/json"}
		}
	}
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return Invalid(map[string]string{mistyped.Field: "is a " + mistyped.Value + ", want a " + jsonWord(mistyped.Type.Kind())})
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		field := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return Invalid(map[string]string{field: "unknown field"})
	case err != nil:
		return &Problem{Status: http.StatusBadRequest, Message: "body is not a JSON object", Cause: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &Problem{Status: http.StatusBadRequest, Message: "something follows the JSON object"}
	}
	return nil
}

// jsonWord is what JSON calls the kind of a Go value.
func jsonWord(k reflect.Kind) string {
	switch k {
	case reflect.Bool, reflect.String:
		return k.String()
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		return "list"
	default:
		return "number"
	}
}

// Invalid is a 422 that names what is wrong, field by field.
func Invalid(fields map[string]string) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Message: "invalid request", Fields: fields}
}

// Fields collects what is wrong with a request.
type Fields map[string]string

// Text checks that a text has from least to most characters, all of them printable.
func (f Fields) Text(field, value string, least, most int) {
	n := utf8.RuneCountInString(value)
	switch {
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		f[field] = "has characters that cannot be printed"
	case n < least && n == 0:
		f[field] = "is missing"
	case n < least:
		f[field] = fmt.Sprintf("is too short: %d characters, want at least %d", n, least)
	case n > most:
		f[field] = fmt.Sprintf("is too long: %d characters, want at most %d", n, most)
	}
}

// Err is nil when nothing is wrong, else a 422.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	return Invalid(f)
}
