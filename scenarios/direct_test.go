package scenarios

import (
	"errors"
	"strings"
	"testing"

	"github.com/captest/captest/internal/yamlfile"
)

const directHead = "name: x\ndata: {email: 'u{{unique}}'}\nsteps: [{name: a, request: {path: /}, capture: {id: json.id}}]\n"

func TestDirectAt(t *testing.T) {
	t.Parallel()
	s, err := Parse("f", []byte(directHead+"limits: errors<1%\ndirect:\n  billing:\n    - {name: open, request: {path: /o, json: {m: '{{email}}'}}, capture: {acc: json.id}}\n    - {name: tag, request: {path: '/t/{{acc}}'}}\n  kb: [{name: c, request: {path: /c}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, ok := s.DirectAt("billing")
	if !ok || len(d.Steps) != 2 || d.Steps[0].Service != "billing" || d.Steps[1].Service != "billing" || len(d.Data) != 1 || len(d.Limits) != 0 || d.Name != "x" {
		t.Errorf("billing: %v %+v", ok, d)
	}
	if len(s.Direct) != 2 || s.Direct[0].Service != "billing" || s.Direct[1].Service != "kb" {
		t.Errorf("order of the file: %+v", s.Direct)
	}
	if _, ok := s.DirectAt("instance"); ok {
		t.Error("instance has no direct steps")
	}
	if got := s.Services(); len(got) != 1 || got[0] != "" {
		t.Errorf("a target that lacks the inner services can still carry the journey: needs %q", got)
	}
}

// TestDirectEnvIsAskedForWhenSent: a journey does not need the secrets of a test that a target may not even have an address for.
func TestDirectEnvIsAskedForWhenSent(t *testing.T) {
	t.Parallel()
	s, err := Parse("f", []byte(directHead+"direct: {b: [{name: o, request: {path: /, basic: {user: u, password: '{{env \"SECRET\"}}'}}}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	if err := s.Check(none); err != nil {
		t.Errorf("journey: %v", err)
	}
	d, _ := s.DirectAt("b")
	var missing *MissingEnvError
	if err := d.Check(none); !errors.As(err, &missing) || missing.Names[0] != "SECRET" {
		t.Errorf("direct: %v", err)
	}
}

func TestDirectMistakes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"no service":   {"direct: {}\n", "4:1: direct names no service; write direct: {billing: [{name: …, request: …}]}"},
		"a list":       {"direct: [{name: o}]\n", "4:9: must be fields (name: …), not a list"},
		"no steps":     {"direct: {b: []}\n", "4:13: the list is empty"},
		"bad name":     {"direct: {'b b': [{name: o, request: {path: /}}]}\n", `4:10: "b b" is not a name: letters, digits, _ and -, starting with a letter`},
		"service":      {"direct: {b: [{name: o, service: c, request: {path: /}}]}\n", "4:24: the steps of direct go to the service they stand under"},
		"weight":       {"direct: {b: [{name: o, weight: 1, request: {path: /}}]}\n", "4:24: direct steps have no alternatives; every one is sent"},
		"taken name":   {"direct: {b: [{name: a, request: {path: /}}]}\n", `4:21: step "a" appears twice`},
		"from journey": {"direct: {b: [{name: o, request: {path: '/{{id}}'}}]}\n", `4:42: "id" is captured by step a, which is not sent before a direct request; make it from data, such as {{unique}}`},
		"too early":    {"direct: {b: [{name: o, request: {path: '/{{x}}'}}, {name: p, request: {path: /}, capture: {x: json.x}}]}\n", `4:42: "x" is used before it is captured (step p captures it)`},
		"unknown":      {"direct: {b: [{name: o, request: {path: '/{{emial}}'}}]}\n", `4:42: unknown field "emial" (did you mean "email"?)`},
		"other list":   {"direct: {b: [{name: o, request: {path: /}, capture: {y: json.y}}], c: [{name: p, request: {path: '/{{y}}'}}]}\n", `unknown field "y"`},
	} {
		_, err := Parse("f", []byte(directHead+tt.text))
		var all *yamlfile.Errors
		if !errors.As(err, &all) {
			t.Errorf("%s: error is %T (%v), want *yamlfile.Errors", name, err, err)
			continue
		}
		if got := strings.TrimPrefix(all.List[0].Error(), "f:"); len(all.List) != 1 || !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", name, all.List, tt.want)
		}
	}
}
