package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func values() *Values {
	return &Values{
		N: 42, User: 3, Unique: "t0k-42", Rand: rand.New(rand.NewPCG(1, 2)),
		Vars: map[string]string{"email": "a@b", "quote": `a"b\c` + "\n"},
		Row:  map[string]string{"first name": "x", "name": "Ann"},
		Env:  func(name string) string { return map[string]string{"TOKEN": "s3cret"}[name] },
	}
}

func TestAppend(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", ""},
		{"plain", "plain"},
		{"{{n}}", "42"},
		{"a{{n}}b{{user}}c", "a42b3c"},
		{"{{ unique }}", "t0k-42"},
		{"u{{unique}}@x", "ut0k-42@x"},
		{"{{email}}{{email}}", "a@ba@b"},
		{"{{row.name}}", "Ann"},
		{`{{env "TOKEN"}}`, "s3cret"},
		{`{{env "NONE" "else"}}`, "else"},
		{`{{env "NONE" ""}}`, ""},
		{`{{env "TOKEN" "else"}}`, "s3cret"},
		{`{{"{{"}}n}}`, "{{n}}"},
		{"}} { } {", "}} { } {"},
		{"é{{n}}→", "é42→"},
		{"{{random 1}}", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			tpl, err := ParseTemplate(tt.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tpl.Append([]byte("pre:"), values())
			if err != nil || string(got) != "pre:"+tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			if tpl.String() != tt.source {
				t.Errorf("String() = %q", tpl)
			}
		})
	}
	if got, err := Literal("{{n}}").Append(nil, values()); string(got) != "{{n}}" || err != nil {
		t.Errorf("Literal: %q, %v", got, err)
	}
}

func TestAppendRandom(t *testing.T) {
	tpl, err := ParseTemplate("{{random 1000}} {{random.hex 8}}")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^[0-9]{1,3} [0-9a-f]{8}$`)
	seen := map[string]bool{}
	v := values()
	for range 200 {
		got, err := tpl.Append(nil, v)
		if err != nil || !form.Match(got) {
			t.Fatalf("%q, %v", got, err)
		}
		seen[string(got)] = true
	}
	if len(seen) < 190 {
		t.Errorf("%d different values of 200", len(seen))
	}
	a, _ := tpl.Append(nil, values())
	b, _ := tpl.Append(nil, values())
	if string(a) != string(b) {
		t.Errorf("the same source of randomness gave %q and %q", a, b)
	}
	if got, err := tpl.Append(nil, &Values{}); err != nil || !form.Match(got) {
		t.Errorf("without a source: %q, %v", got, err)
	}
}

func TestAppendFails(t *testing.T) {
	for source, want := range map[string]string{
		"{{token}}":      "{{token}}: no value yet",
		"{{row.age}}":    "{{row.age}}: no such column",
		`{{env "NONE"}}`: "environment variable NONE is not set",
	} {
		tpl, err := ParseTemplate("x" + source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpl.Append([]byte("pre"), values())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", source, err, want)
		}
		if string(got) != "pre" {
			t.Errorf("%s: dst came back as %q", source, got)
		}
	}
	var missing *MissingEnvError
	tpl, _ := ParseTemplate(`{{env "NONE"}}`)
	if _, err := tpl.Append(nil, &Values{}); !errors.As(err, &missing) {
		t.Errorf("without an environment: %v", err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	s := load1(t, "name: x\ndata: {email: a}\nsteps: [{name: a, request: {path: '/{{n}}?e={{email}}', json: {e: '{{email}}', u: '{{user}} {{unique}}', r: '{{random 9}}'}}}]\n")
	v, dst := values(), make([]byte, 0, 4096)
	request := &s.Steps[0].Request
	allocs := testing.AllocsPerRun(100, func() {
		b, err1 := request.Path.Append(dst[:0], v)
		_, err2 := request.JSON.Append(b, v)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a request, want 0", allocs)
	}
}

// load1 parses a scenario that must be right.
func load1(t testing.TB, text string) *Scenario {
	t.Helper()
	s, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// one builds a scenario with one request and gives that request; name and value are captured names free to use.
func one(t testing.TB, request string) *Request {
	t.Helper()
	s := load1(t, "name: x\nsetup: [{name: s, request: {path: /}, capture: {v: json.v, w: json.w}}]\nsteps: [{name: a, request: "+request+"}]\n")
	return &s.Steps[0].Request
}

func TestJSONBody(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"kinds", "{s: a, i: 1, f: 1.50, e: 1e3, b: true, n: ~, l: [1, [], {}], o: {x: y}}", `{"s":"a","i":1,"f":1.50,"e":1e3,"b":true,"n":null,"l":[1,[],{}],"o":{"x":"y"}}`},
		{"a field alone stays a string", `{n: "{{n}}"}`, `{"n":"42"}`},
		{"a quoted number stays a string", `{n: "1"}`, `{"n":"1"}`},
		{"literal text is escaped", `{s: "a\"b\\\n\u0001é"}`, `{"s":"a\"b\\\n\u0001é"}`},
		{"names are escaped", `{"a\"b": 1}`, `{"a\"b":1}`},
		{"values are escaped", `{s: "<{{v}}>"}`, `{"s":"<a\"b\\c\n>"}`},
		{"long numbers keep every digit", "{id: 123456789012345678901234567890}", `{"id":123456789012345678901234567890}`},
		{"a list", "[1, '{{n}}']", `[1,"42"]`},
		{"a text", "'hello {{user}}'", `"hello 3"`},
		{"a date is a text", "{d: 2024-01-02}", `{"d":"2024-01-02"}`},
		{"an alias", "{a: &x {b: '{{n}}'}, c: *x}", `{"a":{"b":"42"},"c":{"b":"42"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := values()
			v.Vars["v"] = v.Vars["quote"]
			got, err := one(t, "{path: /, json: "+tt.yaml+"}").JSON.Append(nil, v)
			if err != nil || string(got) != tt.want {
				t.Errorf("\n got %s (%v)\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestJSONBodyIsBounded(t *testing.T) {
	text := "name: x\nsteps: [{name: a, request: {path: /, json: [&d " + strings.Repeat("x", 60_000) + ", " + strings.Repeat("*d, ", 1000) + "]}}]\n"
	if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), "the body is larger than 1024 KiB") {
		t.Errorf("error %.200v", err)
	}
}

func TestPathEscapes(t *testing.T) {
	tests := []struct{ path, value, want string }{
		{"/a/{{v}}", "x y?z#é%", "/a/x%20y%3Fz%23%C3%A9%25"},
		{"/a/{{v}}/b", "1/2", "/a/1/2/b"},
		{"/a?e={{v}}", "u+1@x&y=z/", "/a?e=u%2B1%40x%26y%3Dz%2F"},
		{"{{v}}", "/1.0/kb/accounts/abc?x=%20y", "/1.0/kb/accounts/abc?x=%20y"},
		{"{{v}}", "http://127.0.0.1:8080/1.0/kb/accounts/abc#top", "/1.0/kb/accounts/abc"},
		{"{{v}}/tags/{{w}}", "https://elsewhere.example/x", "/x/tags/w%3F"},
		{"{{v}}", "http://elsewhere.example", "/"},
		{"/{{v}}", "http://elsewhere.example/", "/http://elsewhere.example/"},
		{"/a{{v}}", "x\r\nHost: evil", "/ax%0D%0AHost:%20evil"},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.value, func(t *testing.T) {
			v := values()
			v.Vars["v"], v.Vars["w"] = tt.value, "w?"
			got, err := one(t, "{path: '"+tt.path+"'}").Path.Append(nil, v)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
	for _, value := range []string{"", "evil.example/x", "@evil.example", "ftp://x/y"} {
		v := values()
		v.Vars["v"] = value
		if got, err := one(t, "{path: '{{v}}'}").Path.Append(nil, v); !errors.Is(err, errNotPath) {
			t.Errorf("%q became path %q, %v", value, got, err)
		}
	}
}

func TestHeadersCarryNoLineBreaks(t *testing.T) {
	header := one(t, "{path: /, headers: {X-A: 'v={{v}}', X-B: '{{env \"SECRET\"}}'}}").Headers
	for _, bad := range []string{"a\r\nX-Evil: 1", "a\nb", "a\rb", "\x00", "\x7f"} {
		v := &Values{Vars: map[string]string{"v": bad}, Env: func(string) string { return bad }}
		for _, h := range header {
			got, err := h.Value.Append(nil, v)
			if !errors.Is(err, errLineBreak) || len(got) != 0 {
				t.Errorf("%s: %q gave %q, %v", h.Name, bad, got, err)
			} else if strings.Contains(err.Error(), bad) {
				t.Errorf("%s: the value is in the error %q", h.Name, err)
			}
		}
	}
	v := &Values{Vars: map[string]string{"v": "tab\tand é"}, Env: func(string) string { return "x" }}
	if got, err := header[0].Value.Append(nil, v); err != nil || string(got) != "v=tab\tand é" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEnv(t *testing.T) {
	s := load1(t, `name: x
data: {token: 'Bearer {{env "A"}}'}
setup: [{name: s, request: {path: /, headers: {X-Key: '{{env "B"}}'}}}]
steps:
  - {name: a, request: {path: '/?k={{env "C" "c"}}', basic: {user: '{{env "D"}}', password: '{{env "A"}}'}}}
  - {name: b, request: {path: /, json: {k: '{{env "E"}}'}}}
  - {name: c, request: {path: /, form: {k: '{{env "F"}}'}}}
  - {name: d, request: {path: /, body: '{{env "G"}}'}}
`)
	err := s.Check(func(name string) string { return map[string]string{"D": "there"}[name] })
	var missing *MissingEnvError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v", err)
	}
	if got := strings.Join(missing.Names, ""); got != "ABEFG" {
		t.Errorf("missing %s, want ABEFG (C has a default, D is set)", got)
	}
	if !strings.Contains(missing.Hint(), "export A=") {
		t.Errorf("hint %q", missing.Hint())
	}
	if err := s.Check(func(string) string { return "set" }); err != nil {
		t.Errorf("all set: %v", err)
	}
	if !s.UsesEnv() || !s.Data[0].Value.UsesEnv() || s.Steps[0].Request.Basic.User.UsesEnv() != true || !s.Steps[1].Request.JSON.UsesEnv() {
		t.Error("UsesEnv misses one")
	}
	if plain, _ := Load("registration"); plain.UsesEnv() {
		t.Error("registration uses no environment")
	}
}

// Whatever is captured or set in the environment, a JSON body stays one JSON document of the same shape, and its strings
// are the values themselves.
func TestJSONStaysJSON(t *testing.T) {
	body := one(t, `{path: /, json: {a: "<{{v}}>", b: ["{{w}}", 1], c: "{{env \"E\"}}"}}`).JSON
	rapid.Check(t, func(t *rapid.T) {
		bytesOrText := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		x, y, z := bytesOrText.Draw(t, "v"), bytesOrText.Draw(t, "w"), bytesOrText.Filter(func(s string) bool { return s != "" }).Draw(t, "env")
		out, err := body.Append(nil, &Values{Vars: map[string]string{"v": x, "w": y}, Env: func(string) string { return z }})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			A string
			B []any
			C string
		}
		d := json.NewDecoder(strings.NewReader(string(out)))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil || d.More() {
			t.Fatalf("%s: %v", out, err)
		}
		want := fmt.Sprintf("%q", []string{"<" + fix(x) + ">", fix(y), fix(z)})
		if g := fmt.Sprintf("%q", []any{got.A, got.B[0], got.C}); g != want || len(got.B) != 2 {
			t.Fatalf("\n got %s\nwant %s", g, want)
		}
	})
}

// fix replaces each byte that is not UTF-8, as JSON must.
func fix(s string) string { return string([]rune(s)) }

// Whatever is filled in, a path stays one request target without spaces, line breaks or a fragment, and a query value comes
// back unchanged.
func TestPathsStayPaths(t *testing.T) {
	path := one(t, "{path: '/a/{{v}}?q={{w}}&z=1'}").Path
	rapid.Check(t, func(t *rapid.T) {
		x, y := rapid.String().Draw(t, "v"), rapid.String().Draw(t, "w")
		out, err := path.Append(nil, &Values{Vars: map[string]string{"v": x, "w": y}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.ParseRequestURI(string(out))
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if u.Path != "/a/"+x || u.Query().Get("q") != y || u.Query().Get("z") != "1" || u.Fragment != "" {
			t.Fatalf("%s: path %q, query %q", out, u.Path, u.RawQuery)
		}
	})
}

func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{
		"u{{unique}}@x", "{{n}}", "{{random 1000}}", "{{random.hex 8}}", `{{env "A" "b"}}`, "{{row.a}}", `{{"{{"}}`, "{{", "{{}}", "{{ n", `{{"a`, "{{a{b}}",
		"{{random 18446744073709551616}}", "{{n}}}}", `{{env "\xff"}}`, "\xff{{n}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		tpl, err := ParseTemplate(source)
		if err != nil {
			var bad *TemplateError
			if !errors.As(err, &bad) || bad.Offset < 0 || bad.Offset > len(source) || bad.Msg == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if tpl.String() != source {
			t.Fatalf("String() = %q", tpl)
		}
		out, err := tpl.Append([]byte("pre"), values())
		if !strings.HasPrefix(string(out), "pre") || err != nil && len(out) != 3 {
			t.Fatalf("%q, %v", out, err)
		}
		if !strings.Contains(source, "{{") && string(out) != "pre"+source {
			t.Fatalf("%q changed to %q", source, out)
		}
		if err == nil && utf8.ValidString(source) && !utf8.Valid(out) {
			t.Fatalf("%q gave %q", source, out)
		}
	})
}
