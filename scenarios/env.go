package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// MissingEnvError lists environment variables a scenario needs and does not find.
type MissingEnvError struct {
	Scenario string // "" when a single template was filled in
	Names    []string
}

// Error names them all.
func (e *MissingEnvError) Error() string {
	what := "environment variable " + strings.Join(e.Names, ", ") + " is not set"
	if len(e.Names) > 1 {
		what = "environment variables " + strings.Join(e.Names, ", ") + " are not set"
	}
	if e.Scenario == "" {
		return what
	}
	return fmt.Sprintf("scenario %s: %s", e.Scenario, what)
}

// Hint shows how to set the first, and the way to need none.
func (e *MissingEnvError) Hint() string {
	return fmt.Sprintf(`export %s=…, or give it a default in the file: {{env %q "default"}}`, e.Names[0], e.Names[0])
}

// Check says, before anything is sent, which environment variables without a default are missing. The error is a
// *MissingEnvError. Values are looked up and forgotten. Direct steps are not among it: DirectAt's scenario is checked when it is
// sent.
func (s *Scenario) Check(getenv func(string) string) error {
	var missing []string
	for t := range s.templates {
		for i := range t.parts {
			p := &t.parts[i]
			if p.op == opEnv && !p.hasElse && getenv(p.text) == "" && !slices.Contains(missing, p.text) {
				missing = append(missing, p.text)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &MissingEnvError{Scenario: s.Name, Names: missing}
}

// UsesEnv says whether any template of the journey takes a secret from the environment.
func (s *Scenario) UsesEnv() bool {
	for t := range s.templates {
		if t.UsesEnv() {
			return true
		}
	}
	return false
}

// templates yields every template of the journey in file order.
func (s *Scenario) templates(yield func(*Template) bool) {
	fields := func(list []Field) bool {
		for i := range list {
			if !yield(list[i].Value) {
				return false
			}
		}
		return true
	}
	if !fields(s.Data) {
		return
	}
	for _, steps := range [][]Step{s.Setup, s.Steps} {
		for i := range steps {
			r := &steps[i].Request
			single := []*Template{r.Path, r.JSON, r.Body}
			if r.Basic != nil {
				single = append(single, r.Basic.User, r.Basic.Password)
			}
			for _, t := range single {
				if t != nil && !yield(t) {
					return
				}
			}
			if !fields(r.Headers) || !fields(r.Form) {
				return
			}
		}
	}
}
