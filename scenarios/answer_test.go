package scenarios

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// expect reads an expectation as a scenario file writes it.
func expect(t testing.TB, text string) *Expect {
	t.Helper()
	return &load1(t, "name: x\nsteps: [{name: a, request: {path: /}, expect: "+text+"}]\n").Steps[0].Expect
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, expect, body string
		status             int
		header             HTTPHeader
		want               Outcome
		detail             string
	}{
		{"any 2xx", "{}", "", 204, nil, Expected, ""},
		{"no 2xx", "{}", "", 302, nil, WrongStatus, "status 302, want 2xx"},
		{"wrong status", "{status: 201}", "", 200, nil, WrongStatus, "status 200, want 201"},
		{"one of two", "{status: [201, 409]}", "", 409, nil, Expected, ""},
		{"none of two", "{status: [201, 409]}", "", 503, nil, WrongStatus, "status 503, want 201 or 409"},
		{
			"json right", "{status: 201, json: {success: true, customer: {id: 7}, 'items[1]': b}}",
			`{"success":true,"customer":{"id":7,"x":1},"items":["a","b"]}`, 201, nil, Expected, "",
		},
		{"201 with success false", "{status: 201, json: {success: true}}", `{"success":false}`, 201, nil, WrongAnswer, "json success is false, want true"},
		{"status before body", "{status: 201, json: {success: true}}", `{"success":false}`, 500, nil, WrongStatus, "status 500, want 201"},
		{"missing", "{json: {a: {b: 1}}}", `{"a":{}}`, 200, nil, WrongAnswer, "json a.b is missing, want 1"},
		{"null wanted", "{json: {a: ~}}", `{"a":null}`, 200, nil, Expected, ""},
		{"null wanted, missing", "{json: {a: ~}}", `{}`, 200, nil, WrongAnswer, "json a is missing, want null"},
		{"list wanted", "{json: {a: [x, y]}}", `{"a":["x","y","z"]}`, 200, nil, Expected, ""},
		{"root list", "{json: [{a: 1}]}", `[{"a":1}]`, 200, nil, Expected, ""},
		{"index past the end", "{json: {'a[3]': 1}}", `{"a":[1]}`, 200, nil, WrongAnswer, "json a[3] is missing, want 1"},
		{"number as text", "{json: {a: 1}}", `{"a":"1"}`, 200, nil, WrongAnswer, "json a is another text, want 1"},
		{"text as number", "{json: {a: '1'}}", `{"a":1}`, 200, nil, WrongAnswer, `json a is another number, want "1"`},
		{"equal numbers written differently", "{json: {a: 1.0}}", `{"a":1e0}`, 200, nil, Expected, ""},
		{"zero is not missing", "{json: {a: 0}}", `{"a":false}`, 200, nil, WrongAnswer, "json a is false, want 0"},
		{"object", "{json: {a: 0}}", `{"a":{}}`, 200, nil, WrongAnswer, "json a is an object, want 0"},
		{"not JSON", "{json: {a: 1}}", `<html>secret</html>`, 200, nil, WrongAnswer, "the body is not JSON"},
		{"empty", "{json: {a: 1}}", ``, 200, nil, WrongAnswer, "the body is empty, not JSON"},
		{"more than JSON", "{json: {a: 1}}", `{"a":1} x`, 200, nil, WrongAnswer, "the body has more after its JSON"},
		{"contains", "{contains: wel}", "welcome", 200, nil, Expected, ""},
		{"does not contain", "{contains: bye}", "welcome", 200, nil, WrongAnswer, `body does not contain "bye"`},
		{"header", "{headers: {x-kind: good}}", "", 200, HTTPHeader{"X-Kind": {"bad", "good"}}, Expected, ""},
		{"header differs", "{headers: {x-kind: good}}", "", 200, HTTPHeader{"X-Kind": {"s3cret"}}, WrongAnswer, `header X-Kind differs, want "good"`},
		{"header missing", "{headers: {x-kind: 1}}", "", 200, nil, WrongAnswer, `header X-Kind is missing, want "1"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outcome, detail := expect(t, tt.expect).Check(tt.status, tt.header, ParseBody([]byte(tt.body)))
			if outcome != tt.want || detail != tt.detail {
				t.Errorf("got %v %q, want %v %q", outcome, detail, tt.want, tt.detail)
			}
		})
	}
}

func TestExpectationsMadeInGo(t *testing.T) {
	e := Expect{Status: []int{200}, JSON: []JSONCheck{{Path: "a[0].b", Want: "x"}}}
	if outcome, detail := e.Check(200, nil, ParseBody([]byte(`{"a":[{"b":"x"}]}`))); outcome != Expected {
		t.Errorf("%v %s", outcome, detail)
	}
	bad := Expect{JSON: []JSONCheck{{Path: "a..b", Want: "x"}}}
	if outcome, detail := bad.Check(200, nil, ParseBody([]byte(`{}`))); outcome != WrongAnswer || !strings.Contains(detail, "empty part") {
		t.Errorf("%v %s", outcome, detail)
	}
}

func TestOutcomeNamesAreErrorClasses(t *testing.T) {
	for o, want := range map[Outcome]string{Expected: "", WrongStatus: "status", WrongAnswer: "check", 200: "check"} {
		if o.String() != want {
			t.Errorf("%d is %q, want %q", o, o, want)
		}
	}
}

// What came back never gets into a detail, whatever it is; and details stay short.
func TestDetailsQuoteNothingThatCameBack(t *testing.T) {
	const secret = "eyJhbGciOi.SECRET"
	bodies := []string{
		`{"a":"` + secret + `"}`, `"` + secret + `"`, secret, `{"a":["` + secret + `"]}`, `{"a":{"` + secret + `":1}}`, `{"a":1}` + secret, `{"` + secret,
	}
	header := HTTPHeader{"X-A": {secret}}
	for _, e := range []string{"{json: {a: 1}}", "{json: {a: x}}", "{json: {a: {b: x}}}", "{contains: x123}", "{headers: {X-A: y}}", "{status: 201}"} {
		for _, body := range bodies {
			outcome, detail := expect(t, e).Check(200, header, ParseBody([]byte(body)))
			if outcome == Expected || detail == "" || strings.Contains(detail, "SECRET") {
				t.Errorf("%s on %s: %v %q", e, body, outcome, detail)
			}
		}
	}
	for _, from := range []string{"json.b", "json.a.b", "header.X-B", "regex:zzz(.)"} {
		for _, body := range bodies {
			c := Capture{Name: "c", From: from}
			if got, err := take(&c, header, ParseBody([]byte(body))); err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s on %s: %q, %v", from, body, got, err)
			}
		}
	}
	long := Expect{Contains: strings.Repeat("é", 5000)}
	if _, detail := long.Check(200, nil, ParseBody(nil)); len(detail) > detailMax || !utf8.ValidString(detail) || !strings.HasSuffix(detail, "…") {
		t.Errorf("%d bytes: %q", len(detail), detail)
	}
}

// take gives a captured value as text.
func take(c *Capture, h Header, b *Body) (string, error) {
	got, err := c.Append(nil, h, b)
	return string(got), err
}

func TestTake(t *testing.T) {
	header := HTTPHeader{"Location": {"http://h/1.0/kb/accounts/abc"}, "Set-Cookie": {"a=1", "b=2"}}
	const body = `{"customer":{"id":"c-1","n":12345678901234567890,"ok":true,"none":null},"items":[{"id":"x"},{"id":"y"}],"html":"token=Q1"}`
	for _, tt := range []struct{ from, want string }{
		{"json.customer.id", "c-1"},
		{"json.customer.n", "12345678901234567890"},
		{"json.customer.ok", "true"},
		{"json.items[1].id", "y"},
		{"header.Location", "http://h/1.0/kb/accounts/abc"},
		{"header.location", "http://h/1.0/kb/accounts/abc"},
		{"header.Set-Cookie", "a=1"},
		{`regex:token=(\w+)`, "Q1"},
	} {
		c := load1(t, "name: x\nsteps: [{name: a, request: {path: /}, capture: {c: '"+tt.from+"'}}]\n").Steps[0].Capture[0]
		got, err := take(&c, header, ParseBody([]byte(body)))
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.from, got, err, tt.want)
		}
		inGo := Capture{Name: "c", From: tt.from}
		if again, err := take(&inGo, header, ParseBody([]byte(body))); again != got || err != nil {
			t.Errorf("%s made in Go: %q, %v", tt.from, again, err)
		}
	}
	for _, tt := range []struct{ from, body, want string }{
		{"json.customer.none", body, "capture c: json.customer.none: the value is null"},
		{"json.customer", body, "capture c: json.customer: the value is a list or an object, not text"},
		{"json.nope", body, "capture c: json.nope: no such value"},
		{"json.items[2].id", body, "capture c: json.items[2].id: no such value"},
		{"json.a", "", "capture c: json.a: the body is empty, not JSON"},
		{"header.Nope", body, "capture c: header.Nope: no such header"},
		{"regex:nope(x)", body, "capture c: regex:nope(x): no match"},
		{"json.a", `{"a":"` + strings.Repeat("x", captureMax+1) + `"}`, "capture c: json.a: longer than 8192 bytes"},
		{"what", body, `capture c: "what" is not a place to capture from; write json.PATH, header.NAME or regex:EXPRESSION`},
	} {
		c := Capture{Name: "c", From: tt.from}
		if got, err := take(&c, header, ParseBody([]byte(tt.body))); err == nil || err.Error() != tt.want || got != "" {
			t.Errorf("%s: %q, %v; want %s", tt.from, got, err, tt.want)
		}
	}
	rootList := Capture{Name: "c", From: "json[0].id"}
	if got, err := take(&rootList, nil, ParseBody([]byte(`[{"id":"r"}]`))); got != "r" || err != nil {
		t.Errorf("root list: %q, %v", got, err)
	}
}

func TestBodyIsCheckedOnce(t *testing.T) {
	b := ParseBody([]byte(`{"a":1}`))
	if err := b.json(); err != nil {
		t.Fatal(err)
	}
	copy(b.Raw, "garbage")
	if err := b.json(); err != nil {
		t.Errorf("checked again: %v", err)
	}
}

func TestParseRows(t *testing.T) {
	table, err := ParseRows("f.csv", []byte("\ufeffemail, password\n\"a,b\",1\nc,\"d\ne\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() != 2 || table.Row(0)["email"] != "a,b" || table.Row(3)["password"] != "d\ne" {
		t.Errorf("%+v", table)
	}
	wide := strings.TrimSuffix(strings.Repeat("c,", rowsMaxColumns+1), ",")
	for _, tt := range []struct{ text, want string }{
		{"", "f.csv: empty"},
		{"a,b\n", "f.csv: a header line and no rows"},
		{"a,b\n1\n", "f.csv:2:1: not as many values as the first line has columns"},
		{"a,b\n1,2\n3,\"x\n", "f.csv:3:6: extraneous or missing \" in quoted-field"},
		{"a,a\n1,2\n", `f.csv:1:3: column "a" appears twice`},
		{"a,\n1,2\n", `f.csv:1:3: "" is not a column name: no spaces, quotes or braces`},
		{"a,b c\n1,2\n", `f.csv:1:3: "b c" is not a column name: no spaces, quotes or braces`},
		{"a\n\xff\n", "f.csv: not UTF-8 text"},
		{wide + "\n", "f.csv:1: 101 columns, at most 100"},
		{"a\n" + strings.Repeat("1\n", rowsMaxCount+1), "f.csv: more than 200000 rows"},
		{"a\n" + strings.Repeat("x", rowsMaxBytes), "f.csv: larger than 16 MiB"},
	} {
		if _, err := ParseRows("f.csv", []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%.40q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("customer.id", []byte(`{"customer":{"id":"x"}}`))
	f.Add("a[0][1].b", []byte(`{"a":[[1,{"b":2}]]}`))
	f.Add("[0]", []byte(`[1]`))
	f.Add("a[", []byte(`{"a[":1}`))
	f.Add("a..b", []byte("\xff"))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		c := Capture{Name: "c", From: "json." + path}
		got, err := take(&c, nil, ParseBody(body))
		if err == nil && len(got) > captureMax || err != nil && got != "" {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		e := Expect{JSON: []JSONCheck{{Path: path, Want: got}}}
		outcome, detail := e.Check(200, nil, ParseBody(body))
		if (outcome == Expected) != (detail == "") || len(detail) > detailMax && !strings.Contains(detail, "JSON path") {
			t.Fatalf("%v %q", outcome, detail)
		}
	})
}
