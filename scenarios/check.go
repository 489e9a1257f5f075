package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// section says in which part of the file a template stands.
type section uint8

const (
	inData section = iota
	inSetup
	inSteps
	inDirect
)

// place is a template's data field or step.
type place struct {
	section section
	index   int
	group   int // of a direct step: which service's
}

// use is a template whose names are checked once the whole file is known.
type use struct {
	value yamlfile.Value
	parts []part
	at    place
}

// checkUses reports every field that will have no value when its template is filled in.
func (r *reader) checkUses() {
	if r.broken {
		return // with captures or data missing, every name after them would look unknown
	}
	for _, u := range r.uses {
		for _, p := range u.parts {
			msg := ""
			switch p.op {
			case opRow:
				msg = r.checkColumn(p.text)
			case opVar:
				msg = r.checkName(p.text, u.at)
			}
			if msg != "" {
				u.value.ErrorfAt(p.at, "%s", msg)
			}
		}
	}
}

func (r *reader) checkColumn(column string) string {
	switch t := r.scenario.Table; {
	case t == nil:
		return fmt.Sprintf("{{row.%s}} needs rows: a CSV file", column)
	case !slices.Contains(t.Columns, column):
		return yamlfile.Unknown("column", column, t.Columns)
	}
	return ""
}

// checkName says why a name has no value at a place, or "" when it has one.
//
//	data field i   sees the data fields before it
//	setup step j   sees all data and what the setup steps before it capture
//	step k         sees all data, what setup captures, and what the steps before it surely capture
//	direct step k  sees all data, and what the steps of its own list before it capture
func (r *reader) checkName(name string, at place) string {
	s := r.scenario
	for i, f := range s.Data {
		if f.Name != name {
			continue
		}
		if at.section == inData && i >= at.index {
			return fmt.Sprintf("data field %q is made later; a field may use those above it", name)
		}
		return ""
	}
	if at.section == inData {
		if by := r.capturedBy(name); by != "" {
			return fmt.Sprintf("%q is captured by step %s, after the data is made", name, by)
		}
		return yamlfile.Unknown("field", name, r.known())
	}
	if at.section == inDirect {
		return r.checkDirectName(name, at)
	}
	setup := s.Setup
	if at.section == inSetup {
		setup = setup[:at.index]
	}
	for i := range setup {
		if captures(&setup[i], name) {
			return ""
		}
	}
	if at.section == inSteps {
		if ok, msg := r.capturedBefore(name, at.index); ok || msg != "" {
			return msg
		}
	}
	if by := r.capturedBy(name); by != "" {
		return fmt.Sprintf("%q is used before it is captured (step %s captures it)", name, by)
	}
	return yamlfile.Unknown("field", name, r.known())
}

// capturedBefore says whether the steps before number k surely capture the name. Of a group of alternatives a journey takes
// one, so a name is sure only when each of them captures it.
func (r *reader) capturedBefore(name string, k int) (ok bool, msg string) {
	steps := r.scenario.Steps
	var some, none []string // alternatives with and without it
	for i := range k {
		step := &steps[i]
		switch has := captures(step, name); {
		case has && step.Weight == 0:
			return true, ""
		case has:
			some = append(some, step.Name)
		case step.Weight > 0:
			none = append(none, step.Name)
		}
	}
	if k < len(steps) && steps[k].Weight > 0 {
		return false, "" // alternatives do not see each other
	}
	switch {
	case len(some) == 0:
		return false, ""
	case len(none) > 0:
		return false, fmt.Sprintf("%q is not captured when a journey takes step %s", name, strings.Join(none, " or "))
	}
	return true, ""
}

// capturedBy names the first step that captures the name, "" when none does.
func (r *reader) capturedBy(name string) string {
	for _, steps := range [][]Step{r.scenario.Setup, r.scenario.Steps} {
		for i := range steps {
			if captures(&steps[i], name) {
				return steps[i].Name
			}
		}
	}
	return ""
}

func captures(s *Step, name string) bool {
	return slices.ContainsFunc(s.Capture, func(c Capture) bool { return c.Name == name })
}

// known lists every name a template could mean.
func (r *reader) known() []string {
	var names []string
	for _, f := range r.scenario.Data {
		names = append(names, f.Name)
	}
	for _, steps := range [][]Step{r.scenario.Setup, r.scenario.Steps} {
		for i := range steps {
			for _, c := range steps[i].Capture {
				if !slices.Contains(names, c.Name) {
					names = append(names, c.Name)
				}
			}
		}
	}
	return append(names, "n", "user", "unique")
}
