package yamlfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// read uses every kind of getter, so that each mistake has a field to be made in.
func read(f *File) {
	m := f.Root()
	m.Str("name")
	m.Int("count", 1, 10)
	m.Bool("on")
	m.Duration("for", time.Second, time.Minute)
	m.List("items")
	if v, ok := m.Get("share"); ok {
		v.Float(0, 1)
	}
	if v, ok := m.Get("color"); ok {
		v.OneOf("red", "green")
	}
	if v, ok := m.Get("free"); ok {
		v.Scalar()
	}
	if v, ok := m.Get("some"); ok {
		if list, ok := v.OneOrMore(); ok {
			for _, item := range list {
				item.Str()
			}
		}
	}
	if inner, ok := m.Map("inner"); ok {
		inner.Need("must")
		inner.Done()
	}
	m.Done()
}

func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", `f:1:1: the file is empty`},
		{"only a comment", "# nothing\n", `f:1:1: the file is empty`},
		{"a list", "- a\n", `f:1:1: the file must be fields (name: …), not a list`},
		{"a text", "hello\n", `f:1:1: the file must be fields (name: …), not text`},
		{"null", "~\n", `f:1:1: the file must be fields (name: …), not nothing`},
		{"syntax", "name: a: b\n", `f:1:8: mapping values are not allowed in this context`},
		{"unclosed", "inner: {must: 1\nname: x\n", `f:2:5: did not find expected ',' or '}' (while parsing a flow mapping from line 1)`},
		{"tab", "inner:\n\tmust: 1\n", `f:2:1: a tab cannot indent YAML; use spaces`},
		{"not UTF-8", "name: é\xff\n", `f:1:8: not UTF-8 text (byte 0xff)`},
		{"control character", "on: true\nname: a\x01\n", `f:2:8: control character U+0001`},
		{"second document", "name: a\n---\nname: b\n", `f:2:1: a second document (---); a file holds one`},
		{"broken second document", "name: a\n---\n[\n", `f:4:1: did not find expected node content (while parsing a flow node)`},
		{"unknown anchor", "name: *nope\n", `f:1:7: unknown anchor 'nope' referenced`},
		{"unknown field", "name: a\ncuont: 2\n", `f:2:1: unknown field "cuont" (did you mean "count"?)`},
		{
			"unknown field, nothing near", "zzzzzz: 2\nname: a\non: true\ncount: 1\nfor: 2s\nitems: []\nshare: 1\ncolor: red\nfree: 1\nsome: a\n",
			`f:1:1: unknown field "zzzzzz"; there is inner`,
		},
		{"unknown inner field", "inner: {must: 1, mist: 2}\n", `f:1:18: unknown field "mist"`},
		{"missing", "inner: {}\n", `f:1:8: field "must" is missing`},
		{"duplicate", "name: a\nname: b\n", `f:2:1: field "name" appears twice; first on line 1`},
		{"deep duplicate", "items: [{a: 1, a: 2}]\n", `f:1:16: field "a" appears twice; first on line 1`},
		{"key not text", "? [a]\n: b\n", `f:1:3: a field name must be plain text`},
		{"merge key", "<<: {name: a}\n", `f:1:1: merge keys (<<) are not supported; write the fields out`},
		{"tag", "name: !secret x\n", `f:1:7: tag !secret is not supported`},
		{"unquoted template", "name: {{n}}\n", `f:1:7: a template must be quoted: "{{name}}"`},
		{"unquoted template in a flow", "inner: {must: /a/{{n}}}\n", `f:1:18: did not find expected ',' or '}' (while parsing a flow mapping); inside {…} and […] a text with {{…}} must be quoted`},
		{"text wanted, number", "name: 12\n", `f:1:7: must be text; quote it: "12"`},
		{"text wanted, list", "name: [a]\n", `f:1:7: must be text, not a list`},
		{"text wanted, nothing", "name:\n", `f:1:6: must be text, not nothing`},
		{"scalar wanted", "free: {a: 1}\n", `f:1:7: must be text, not fields`},
		{"number wanted", "count: many\n", `f:1:8: must be a whole number, not "many"`},
		{"number quoted", "count: \"3\"\n", `f:1:8: must be a whole number, not "3"`},
		{"fraction", "count: 1.5\n", `f:1:8: must be a whole number, not "1.5"`},
		{"octal", "count: 010\n", `f:1:8: must be a whole number, not "010"`},
		{"too big", "count: 11\n", `f:1:8: must be from 1 to 10, not 11`},
		{"beyond int64", "count: 99999999999999999999\n", `f:1:8: must be a whole number, not "99999999999999999999"`},
		{"not a number", "share: .nan\n", `f:1:8: must be a number, not ".nan"`},
		{"infinite", "share: .inf\n", `f:1:8: must be a number, not ".inf"`},
		{"out of bounds", "share: 0\n", `f:1:8: must be more than 0 and at most 1, not 0`},
		{"bool", "on: yes\n", `f:1:5: must be true or false, not "yes"`},
		{"duration without unit", "for: 30\n", `f:1:6: needs a unit: 30s or 30ms`},
		{"not a duration", "for: soon\n", `f:1:6: must be a time such as 500ms, 30s or 1m30s, not "soon"`},
		{"duration too long", "for: 2h\n", `f:1:6: must be from 1s to 1m0s, not 2h0m0s`},
		{"list wanted", "items: a\n", `f:1:8: must be a list, not text`},
		{"empty list", "some: []\n", `f:1:7: the list is empty`},
		{"wrong item", "some: [a, 2]\n", `f:1:11: must be text; quote it: "2"`},
		{"fields wanted", "inner: 3\n", `f:1:8: must be fields (name: …), not a number`},
		{"word of a set", "color: gren\n", `f:1:8: unknown value "gren" (did you mean "green"?)`},
		{"columns count characters", "inner: {must: \"é→\", mist: 1}\n", `f:1:21: unknown field "mist"`},
		{"mistake behind an alias, once", "free: &a {b: 1, b: 2}\nitems: [*a, *a]\n", "f:1:7: must be text, not fields\nf:1:17: field \"b\" appears twice; first on line 1"},
		{"lone carriage returns are lines", "name: a\r\rcuont: 2\r", `f:3:1: unknown field "cuont" (did you mean "count"?)`},
		{
			"all at once, in order", "for: 1\nnaem: x\ncount: x\n",
			"f:1:6: needs a unit: 1s or 1ms\nf:2:1: unknown field \"naem\" (did you mean \"name\"?)\nf:3:8: must be a whole number, not \"x\"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f", []byte(tt.text))
			if err == nil {
				read(f)
				err = f.Err()
			}
			var all *Errors
			if !errors.As(err, &all) {
				t.Fatalf("error is %T (%v), want *Errors", err, err)
			}
			var got []string
			for _, e := range all.List {
				got = append(got, e.Error())
			}
			if g := strings.Join(got, "\n"); g != tt.want {
				t.Errorf("\n got %s\nwant %s", g, tt.want)
			}
		})
	}
}

func TestRightFilesHaveNoMistakes(t *testing.T) {
	for _, text := range []string{
		"name: a\ncount: 10\non: true\nfor: 1m\nitems: []\nshare: 0.5\ncolor: red\nfree: 2024-01-01\nsome: b\ninner: {must: 1}\n",
		"\ufeffname: with a byte order mark\r\ncount: 1\r\n",
		"name: &n x\nfree: *n\n",
		"---\nname: x\n...\n",
	} {
		f, err := Parse("f", []byte(text))
		if err == nil {
			read(f)
			err = f.Err()
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestErrorsPrint(t *testing.T) {
	f, err := Parse("f.yaml", []byte("name: a\ninner:\n  must: 1\n  mist: 2\ncuont: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	read(f)
	err = f.Err()
	want := `f.yaml:4:3: unknown field "mist"
     4 |   mist: 2
       |   ^
f.yaml:5:1: unknown field "cuont" (did you mean "count"?)
     5 | cuont: 1
       | ^`
	if got := err.Error(); got != want {
		t.Errorf("\n got\n%s\nwant\n%s", got, want)
	}
	var all *Errors
	if !errors.As(err, &all) || all.Hint() != "mend these 2 places, then: captest check f.yaml" {
		t.Errorf("hint: %q", all.Hint())
	}
}

func TestExcerptOfALongLineShowsThePlace(t *testing.T) {
	text := "items: [" + strings.Repeat("abcdefgh, ", 500) + "{x: 1, x: 2}]\n"
	f, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all *Errors
	if !errors.As(f.Err(), &all) {
		t.Fatal("no error")
	}
	lines := strings.Split(all.List[0].Excerpt, "\n")
	if len(lines) != 2 || len([]rune(lines[0])) > excerptWidth+10 {
		t.Fatalf("excerpt %q", all.List[0].Excerpt)
	}
	caret := strings.IndexByte(lines[1], '^')
	if lines[0][caret] != 'x' || !strings.HasPrefix(lines[0][caret:], "x: 2}") {
		t.Errorf("the caret is under %q", lines[0][caret:])
	}
}

func TestExcerptsHideCredentials(t *testing.T) {
	f, err := Parse("f", []byte("free: {url: \"http://root:hunter2@db/x\"}\ncolor: http://root:hunter2@db\n"))
	if err != nil {
		t.Fatal(err)
	}
	read(f)
	if got := f.Err().Error(); strings.Contains(got, "hunter2") || strings.Count(got, "\n") < 3 {
		t.Errorf("a password is printed, or no excerpt:\n%s", got)
	}
}

func TestSizeAndDepthAreBounded(t *testing.T) {
	deep := func(n int) string { return "a: " + strings.Repeat("[", n) + strings.Repeat("]", n) }
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 8 {
		ref := "*a" + string(rune('0'+i))
		bomb.WriteString("a" + string(rune('1'+i)) + ": &a" + string(rune('1'+i)) + " [" + strings.TrimSuffix(strings.Repeat(ref+", ", 10), ", ") + "]\n")
	}
	tests := []struct{ name, text, want string }{
		{"large", "a: " + strings.Repeat("x", MaxBytes), "f: larger than 1024 KiB"},
		{"deep", deep(200), "nested deeper than 64 levels"},
		{"very deep", deep(500_000), "nested deeper than 64 levels"},
		{"deep block", strings.Repeat("- ", 5000), "nested deeper than 64 levels"},
		{"bomb", bomb.String(), "aliases (*name) make this too large or nest it in itself"},
		{"cycle", "a: &a [*a]\n", "aliases (*name) make this too large or nest it in itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Parse("f", []byte(deep(60))); err != nil {
		t.Errorf("60 levels: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, MaxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(large); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large: %v", err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestErrorfAtFindsThePlaceInAText(t *testing.T) {
	tests := []struct {
		name, text   string
		offset       int
		line, column int
	}{
		{"plain", "name: abc {{x}}\n", 4, 1, 11},
		{"quoted", "name: \"abc {{x}}\"\n", 4, 1, 12},
		{"single quoted", "name: 'é {{x}}'\n", 3, 1, 10}, // é is two bytes and one column
		{"escapes make it uncertain", "name: \"a\\tb {{x}}\"\n", 4, 1, 7},
		{"literal block", "name: |\n  one\n  two {{x}}\n", 8, 3, 7},
		{"folded", "name: >\n  one\n\n  two {{x}}\n", 8, 1, 7},
		{"flow", "inner: {must: x, name: \"n {{x}}\"}\n", 2, 1, 27},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			m := f.Root()
			if inner, ok := m.Map("inner"); ok {
				m = inner
			}
			v, _ := m.Get("name")
			v.ErrorfAt(tt.offset, "here")
			var all *Errors
			if !errors.As(f.Err(), &all) {
				t.Fatal("no error")
			}
			if e := all.List[0]; e.Line != tt.line || e.Column != tt.column {
				t.Errorf("at %d:%d, want %d:%d", e.Line, e.Column, tt.line, tt.column)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	words := []string{"duration", "url", "p95", "status", "register"}
	for word, want := range map[string]string{
		"duraton": "duration", "Duration": "duration", "dur": "duration", "ulr": "url", "p59": "p95",
		"statsu": "status", "registration": "", "x": "", "": "", "entirely": "", strings.Repeat("a", 1000): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"name: a\ncount: 2\n", "name: {{n}}\n", "a: &a [*a]\n", "? [x]\n: y\n", "a: |\n  b\n   c\n", "---\na: 1\n---\n", "a: \"\\u00e9\"\n",
		"name: >-\n  x\n\n  y\n", "\ufeffname: x\r\n", "<<: {a: 1}\n", "inner: {must: !!str 1}\n", "\x00", "a: 'it''s'\n", "name: \"{{x\"\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data)
		if err == nil {
			read(file)
			if v, ok := file.Root().Get("name"); ok {
				for _, offset := range []int{-1, 0, 1, len(v.Raw()), len(v.Raw()) + 1} {
					v.ErrorfAt(offset, "here")
				}
			}
			err = file.Err()
		}
		var all *Errors
		if err == nil {
			return
		}
		if !errors.As(err, &all) || len(all.List) == 0 || all.Hint() == "" || all.Error() == "" {
			t.Fatalf("error %T %v", err, err)
		}
		lines := len(splitLines(string(data)))
		for _, e := range all.List {
			if e.Line < 0 || e.Line > lines+1 || e.Line > 0 && e.Column < 1 {
				t.Fatalf("place %d:%d in a file of %d lines", e.Line, e.Column, lines)
			}
		}
	})
}
