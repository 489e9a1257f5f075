package scenarios

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "rewrite golden files")

// full uses every field of the format, spread over steps and files where they exclude each other.
var full = []string{
	`
name: full
description: everything
data: {a: 1, b: "{{a}}-{{unique}}"}
rows: users.csv
setup:
  - name: s
    request: {path: /s}
    capture: {token: json.token}
steps:
  - name: one
    service: other
    request:
      method: PUT
      path: "/x/{{b}}?q={{row.email}}"
      headers: {X-A: "{{token}}", X-B: 1}
      basic: {user: u, password: "{{env \"P\" \"p\"}}"}
      json: {a: [1, "{{n}}"], b: null}
    expect:
      status: [200, 201]
      json: {success: true, "items[0]": {id: 1}}
      contains: ok
      headers: {X-C: d}
    capture: {id: json.id, place: header.Location, word: 'regex:(\w+)'}
    think: 1s
    timeout: 5s
    timeouts: {connect: 1s, first_byte: 2500ms}
  - {name: two, weight: 1, request: {path: /, form: {a: "{{id}}"}}}
  - {name: three, weight: 2.5, request: {path: "{{place}}", method: POST, body: "{{word}}"}, expect: {status: 204}}
direct:
  inner: [{name: d, request: {path: "/{{b}}", basic: {user: u, password: "{{env \"P\" \"p\"}}"}, json: {a: "{{a}}"}}, capture: {x: json.x}}, {name: e, request: {path: "/{{x}}"}}]
limits: [one.p95<1s, errors<1%]
baseline: killbill
load: {users: 5, total: 10}
`,
	"name: a\nsteps: [{name: a, request: {path: /}}]\nlimits: errors<1%\nload: {rate: 50/s, for: 1m, arrivals: poisson}\n",
	"name: a\nsteps: [{name: a, request: {path: /}}]\nload: {users: 5, for: 1m30s}\n",
	"name: a\nsteps: [{name: a, request: {path: /}}]\nload: {stages: [{rate: 5/s, for: 1m}, {rate: 600/min, for: 2m}], arrivals: constant}\n",
	"name: a\nsteps: [{name: a, request: {path: /}}]\nload: {stages: [{users: 5, for: 1m}, {users: 0, for: 2m}]}\n",
}

func schema(t *testing.T) (*jsonschema.Schema, *jsonschema.Resolved) {
	t.Helper()
	text, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return &s, r
}

// document turns YAML into what a JSON validator sees.
func document(t *testing.T, text []byte) any {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchemaGolden(t *testing.T) {
	got, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "scenario.schema.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the schema changed; look at the difference, then: go test ./scenarios -run Golden -update")
	}
}

func TestSchemaAcceptsWhatTheLoaderAccepts(t *testing.T) {
	_, resolved := schema(t)
	for _, name := range Builtins() {
		text, _ := BuiltinFile(name)
		if err := resolved.Validate(document(t, text)); err != nil {
			t.Errorf("built-in %s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte("email\na@b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range full {
		if _, err := Parse(filepath.Join(dir, "s.yaml"), []byte(text)); err != nil {
			t.Errorf("loader: %v", err)
		}
		if err := resolved.Validate(document(t, []byte(text))); err != nil {
			t.Errorf("schema: %v\n%s", err, text)
		}
	}
}

func TestSchemaRefusesMistakes(t *testing.T) {
	_, resolved := schema(t)
	const head = "name: x\nsteps: [{name: a, request: {path: /, "
	for _, text := range []string{
		"name: x\n",
		"name: x\nsteps: []\n",
		head + "}}]\nduraton: 5\n",
		head + "json: 1, body: x}}]\n",
		head + "method: post}}]\n",
		head + "}, expect: {status: 20}}]\n",
		head + "}, think: 5}]\n",
		head + "}, weight: 0}]\n",
		head + "}}]\nload: {users: 5}\n",
		head + "}}]\nload: {users: 5, rate: 5/s, for: 1m}\n",
		head + "}}]\nload: {rate: 50, for: 1m}\n",
	} {
		if _, err := Parse("f", []byte(text)); err == nil {
			t.Errorf("the loader accepts %s", text)
		}
		if err := resolved.Validate(document(t, []byte(text))); err == nil {
			t.Errorf("the schema accepts %s", text)
		}
	}
}

// Every field the schema documents is used in one of the full files, which the loader accepts: neither knows one the other
// does not.
func TestSchemaAndLoaderKnowTheSameFields(t *testing.T) {
	root, _ := schema(t)
	var documented []string
	walkSchema(root, "", &documented)
	var used []string
	for _, text := range full {
		walkDocument(document(t, []byte(text)), root, "", &used)
	}
	for i, path := range documented { // setup's steps are those of the journey
		documented[i] = strings.Replace(path, ".setup.", ".steps.", 1)
	}
	slices.Sort(documented)
	documented = slices.Compact(documented)
	for _, path := range documented {
		if !slices.Contains(used, path) {
			t.Errorf("%s is in the schema and in no full file", path)
		}
	}
	if len(documented) < 35 {
		t.Errorf("only %d fields found", len(documented))
	}
}

// walkSchema lists the paths of all properties of objects with fixed fields, and wants each to be described.
func walkSchema(s *jsonschema.Schema, path string, found *[]string) {
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		*found = append(*found, path+"."+name)
		walkSchema(p, path+"."+name, found)
	}
	walkSchema(s.Items, path, found)
}

func walkDocument(doc any, s *jsonschema.Schema, path string, found *[]string) {
	if s == nil {
		return
	}
	switch doc := doc.(type) {
	case map[string]any:
		for name, value := range doc {
			if p, ok := s.Properties[name]; ok {
				*found = append(*found, path+"."+name)
				walkDocument(value, p, path+"."+name, found)
			}
		}
	case []any:
		for _, item := range doc {
			walkDocument(item, s.Items, path, found)
		}
	}
}

func TestSchemaDescribesEveryField(t *testing.T) {
	root, _ := schema(t)
	var check func(s *jsonschema.Schema, path string)
	check = func(s *jsonschema.Schema, path string) {
		if s == nil {
			return
		}
		for name, p := range s.Properties {
			if strings.TrimSpace(p.Description) == "" {
				t.Errorf("%s.%s has no description", path, name)
			}
			check(p, path+"."+name)
		}
		check(s.Items, path)
	}
	check(root, "")
}
