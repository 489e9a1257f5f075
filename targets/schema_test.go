package targets

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestSchemaGolden(t *testing.T) {
	got, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "target.schema.json")
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
		t.Errorf("the schema changed; look at the difference, then: go test ./targets -run Golden -update")
	}
}

func TestSchemaAgreesWithTheLoader(t *testing.T) {
	text, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	reference, _ := BuiltinFile("reference")
	const head = "name: x\nservices: {a: {url: 'http://127.0.0.1:1'"
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{string(reference), true},
		{example, true},
		{"name: x\nbundled: true\nprofile: before\nstore: postgres://ann@127.0.0.1/db\nset: {user.hash: loop, user.workers: 1}\nservices: {user: {}}\nallow: 127.0.0.1\n", true},
		{head + "}}\nentyr: a\n", false},
		{head + ", ulr: x}}\n", false},
		{head + ", kind: other}}\n", false},
		{head + ", health: health}}\n", false},
		{head + "}}\nroles: {pool.inuse: x}\n", false},
		{head + "}}\noverload_users: -1\n", false},
		{"name: x\nservices: {}\n", false},
		{"services: {a: {url: 'http://127.0.0.1:1'}}\n", false},
	} {
		var doc any
		if err := yaml.Unmarshal([]byte(tt.text), &doc); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(doc); (err == nil) != tt.ok {
			t.Errorf("schema on\n%s\n%v, want ok %v", tt.text, err, tt.ok)
		}
		if _, err := Parse("f", []byte(tt.text), noEnv); (err == nil) != tt.ok {
			t.Errorf("loader on\n%s\n%v, want ok %v", tt.text, err, tt.ok)
		}
	}
}
