package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"testing"
)

// decoded is what encoding/json makes of a path in a document: the truth that Body.find is held against.
func decoded(raw []byte, path []pathPart) (value any, ok bool, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, false, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false, errMoreJSON
	}
	for _, p := range path {
		if p.key != "" {
			object, _ := value.(map[string]any)
			if value, ok = object[p.key]; !ok {
				return nil, false, nil
			}
			continue
		}
		list, _ := value.([]any)
		if p.index >= len(list) {
			return nil, false, nil
		}
		value = list[p.index]
	}
	return value, true, nil
}

// agrees holds one lookup against encoding/json.
func agrees(t *testing.T, raw []byte, text string) {
	t.Helper()
	path, err := parseJSONPath(text)
	if err != nil {
		return
	}
	b := ParseBody(raw)
	want, found, err := decoded(raw, path)
	if got := b.json(); (got == nil) != (err == nil) {
		t.Fatalf("%q: %v, encoding/json says %v", raw, got, err)
	}
	if err != nil {
		return
	}
	got, ok := b.find(path)
	if ok != found {
		t.Fatalf("%s in %q: found %v, want %v", text, raw, ok, found)
	}
	if !ok {
		return
	}
	again, _, err := decoded(got, nil)
	if err != nil {
		t.Fatalf("%s in %q: %q is no value: %v", text, raw, got, err)
	}
	a, _ := json.Marshal(again)
	w, _ := json.Marshal(want)
	if !bytes.Equal(a, w) {
		t.Fatalf("%s in %q: %s, want %s", text, raw, a, w)
	}
	if s, is := want.(string); is {
		if !isText(got, s) || isText(got, s+"x") || string(appendText(nil, got)) != s {
			t.Fatalf("%s in %q: %q does not mean %q", text, raw, got, s)
		}
	}
}

var lookups = []struct{ path, doc string }{
	{"a.b", `{"a":{"b":1}}`},
	{"a.b", ` { "x" : [ { } , [ ] , "}]" ] , "a" : { "c" : "\"" , "b" : true } } `},
	{"a.b", `{"a":{"b":1},"a":{"c":2}}`},
	{"a.b", `{"a":{"c":1},"a":{"b":2,"b":3}}`},
	{"[1].a[0]", `[0,{"a":[[],{}]}]`},
	{"[2]", `["]",-1.5e+3,null]`},
	{"[3]", `[1,2,3]`},
	{"a", `[]`},
	{"[0]", `{}`},
	{"a", `{}`},
	{"[0]", `[]`},
	{"a", `{"\u0061":"\ud83d\ude00\n","b":"\\"}`},
	{"b", "{\"a\":\"\\\\\",\"b\":\"\xff\xfe\"}"},
	{"\ufffd", "{\"\xff\":1}"},
	{"a", `{"a":1}{"a":2}`},
	{"a", `{"a":1} ]`},
	{"a", `{"a":01}`},
	{"a", `{"a":1,}`},
	{"a", `"a"`},
	{"a", ``},
	{"a", `{"a":"` + "\x01" + `"}`},
	{"a", `{"a":1e999}`},
	{"a.b.c", `{"a":{"b":{"c":{"d":[1,2,{"e":"f"}]}}}}`},
}

func TestLookupAgreesWithDecoding(t *testing.T) {
	for i, l := range lookups {
		t.Run(strconv.Itoa(i), func(t *testing.T) { agrees(t, []byte(l.doc), l.path) })
	}
}

func FuzzLookup(f *testing.F) {
	for _, l := range lookups {
		f.Add(l.path, []byte(l.doc))
	}
	f.Fuzz(func(t *testing.T, path string, raw []byte) { agrees(t, raw, path) })
}

// What a registration's answer is held against and what is taken from it costs no memory.
func TestJudgingAllocatesNothing(t *testing.T) {
	e := expect(t, `{status: 201, json: {success: true, customer: {plan: standard, n: 7}}}`)
	c := load1(t, "name: x\nsteps: [{name: a, request: {path: /}, capture: {c: json.customer.id}}]\n").Steps[0].Capture[0]
	raw, dst := []byte(`{"success":true,"customer":{"id":"c-1","plan":"standard","n":7}}`), make([]byte, 0, 64)
	n := testing.AllocsPerRun(100, func() {
		b := Body{Raw: raw}
		if outcome, detail := e.Check(201, nil, &b); outcome != Expected {
			t.Error(detail)
		}
		got, err := c.Append(dst, nil, &b)
		if err != nil || string(got) != "c-1" {
			t.Errorf("%q, %v", got, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJudge(b *testing.B) {
	e := expect(b, `{status: 201, json: {success: true}}`)
	c := load1(b, "name: x\nsteps: [{name: a, request: {path: /}, capture: {c: json.customer.id}}]\n").Steps[0].Capture[0]
	raw, dst := []byte(`{"success":true,"customer":{"id":"5f7e8c1d-3c2b-4a55-9a1e-0d6f2f1b7c11","email":"u-1@load.example","plan":"standard"}}`), make([]byte, 0, 64)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		body := Body{Raw: raw}
		e.Check(201, nil, &body)
		_, _ = c.Append(dst, nil, &body)
	}
}
