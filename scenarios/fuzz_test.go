package scenarios

import (
	"errors"
	"testing"

	"github.com/captest/captest/internal/yamlfile"
)

func FuzzParse(f *testing.F) {
	for _, name := range Builtins() {
		data, _ := BuiltinFile(name)
		f.Add(data)
	}
	for _, text := range full[1:] {
		f.Add([]byte(text))
	}
	f.Add([]byte("name: x\nsteps: [{name: a, weight: 1, request: {path: '{{v}}', json: {a: '{{n}}'}}, capture: {v: json[0]}}]\n"))
	f.Add([]byte("name: x\ndata: {a: &a '{{a}}', b: *a}\nsteps: [{name: a, request: {path: /, json: [*a]}, expect: {json: [[1]]}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("f.yaml", data)
		if err != nil {
			var all *yamlfile.Errors
			if !errors.As(err, &all) || len(all.List) == 0 || all.Error() == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if s.Name == "" || len(s.Steps) == 0 {
			t.Fatalf("accepted without a name or steps: %q", data)
		}
		_ = s.Check(func(string) string { return "" })
		v := values()
		for _, step := range append(s.Setup, s.Steps...) {
			if step.Name == "" || step.Request.Method == "" || step.Request.Path == nil {
				t.Fatalf("half a step: %+v", step)
			}
			for tpl := range s.templates {
				if _, err := tpl.Append(nil, v); err != nil && err.Error() == "" {
					t.Fatal("an error without words")
				}
			}
			for _, c := range step.Capture {
				_, _ = take(&c, nil, ParseBody([]byte(`[{"a":1}]`)))
			}
			step.Expect.Check(200, nil, ParseBody([]byte(`{"success":true}`)))
		}
	})
}
