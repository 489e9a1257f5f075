package scenarios

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Outcome says whether an answer was the expected one.
type Outcome uint8

// Outcomes.
const (
	Expected    Outcome = iota
	WrongStatus         // the status is not one of those wanted
	WrongAnswer         // the status is right, the body or a header is not (201 with success:false)
)

// String is the error class's name as frames carry it: "", "status" or "check".
func (o Outcome) String() string { return [...]string{"", "status", "check"}[min(o, WrongAnswer)] }

// detailMax bounds a detail, in bytes.
const detailMax = 160

// Check judges an answer. The detail says what was wrong, in at most detailMax bytes; it names what was wanted and
// never quotes text that came back, which could be a token or a password.
func (e *Expect) Check(status int, header Header, body *Body) (outcome Outcome, detail string) {
	if !e.wants(status) {
		return WrongStatus, clip(fmt.Sprintf("status %d, want %s", status, e.statuses()))
	}
	for _, name := range sortedKeys(e.Headers) {
		if want := e.Headers[name]; !hasValue(header, name, want) {
			if _, any := headerField(header, name, 0); !any {
				return WrongAnswer, clip(fmt.Sprintf("header %s is missing, want %q", name, want))
			}
			return WrongAnswer, clip(fmt.Sprintf("header %s differs, want %q", name, want))
		}
	}
	if e.Contains != "" && !bytes.Contains(body.Raw, []byte(e.Contains)) {
		return WrongAnswer, clip(fmt.Sprintf("body does not contain %q", e.Contains))
	}
	if len(e.JSON) == 0 {
		return Expected, ""
	}
	if err := body.json(); err != nil {
		return WrongAnswer, err.Error()
	}
	for i := range e.JSON {
		if detail := e.JSON[i].check(body); detail != "" {
			return WrongAnswer, clip(detail)
		}
	}
	return Expected, ""
}

// wants says whether the status is acceptable.
func (e *Expect) wants(status int) bool {
	if len(e.Status) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(e.Status, status)
}

// statuses lists what was wanted.
func (e *Expect) statuses() string {
	if len(e.Status) == 0 {
		return "2xx"
	}
	var words []string
	for i := 0; i < len(e.Status); {
		first, last := e.Status[i], e.Status[i]
		for i++; i < len(e.Status) && e.Status[i] == last+1; i++ {
			last++
		}
		switch {
		case last > first+1:
			words = append(words, fmt.Sprintf("%d to %d", first, last))
		case last > first:
			words = append(words, strconv.Itoa(first), strconv.Itoa(last))
		default:
			words = append(words, strconv.Itoa(first))
		}
	}
	return strings.Join(words, " or ")
}

// check compares one value; "" when it is the wanted one.
func (c *JSONCheck) check(body *Body) string {
	path := c.path
	if path == nil {
		var err error
		if path, err = parseJSONPath(c.Path); err != nil {
			return err.Error()
		}
	}
	got, ok := body.find(path)
	if !ok {
		return fmt.Sprintf("json %s is missing, want %s", c.Path, show(c.Want))
	}
	same := false
	switch want := c.Want.(type) {
	case nil:
		same = got[0] == 'n'
	case bool:
		same = want && got[0] == 't' || !want && got[0] == 'f'
	case string:
		same = got[0] == '"' && isText(got, want)
	case float64:
		f, err := strconv.ParseFloat(string(got), 64)
		same = err == nil && f == want
	}
	if same {
		return ""
	}
	return fmt.Sprintf("json %s is %s, want %s", c.Path, describe(got), show(c.Want))
}

// show writes a wanted value; it comes from the scenario file, not from the service.
func show(want any) string {
	if s, ok := want.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	if want == nil {
		return "null"
	}
	return fmt.Sprint(want)
}

// describe writes a value that came back: its kind where its text could be a secret.
func describe(got []byte) string {
	switch got[0] {
	case 'n':
		return "null"
	case 't':
		return "true"
	case 'f':
		return "false"
	case '"':
		return "another text"
	case '[':
		return "a list"
	case '{':
		return "an object"
	default:
		return "another number"
	}
}

// clip keeps a detail short, on a character boundary.
func clip(s string) string {
	if len(s) <= detailMax {
		return s
	}
	const more = "…"
	return strings.ToValidUTF8(s[:detailMax-len(more)], "") + more
}

func sortedKeys(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
