package scenarios

import (
	"slices"

	"github.com/captest/captest/internal/yamlfile"
)

// directMax bounds the services of "direct".
const directMax = 32

// Direct says how the journey's identities are pushed straight at a service behind the entry, past all those before it.
type Direct struct {
	Service string
	// Steps see the scenario's data and what the steps of this list before them capture; never what the journey captures.
	Steps []Step
}

// DirectAt is a scenario of its own whose journey is what is pushed straight at a service; false when the file does not say how.
// It has the same data, so that identities are made as the journey's are, and no setup, limits, load or baseline.
func (s *Scenario) DirectAt(service string) (*Scenario, bool) {
	i := slices.IndexFunc(s.Direct, func(d Direct) bool { return d.Service == service })
	if i < 0 {
		return nil, false
	}
	return &Scenario{Name: s.Name, File: s.File, Data: s.Data, Rows: s.Rows, Table: s.Table, Steps: s.Direct[i].Steps}, true
}

// readDirect reads {SERVICE: [step, …], …}.
func (r *reader) readDirect(m *yamlfile.Map) {
	fields, ok := m.Map("direct")
	if !ok {
		r.broken = r.broken || m.Has("direct")
		return
	}
	if len(fields.Pairs()) == 0 {
		m.Key("direct").Errorf("direct names no service; write direct: {billing: [{name: …, request: …}]}")
	}
	for i, p := range fields.Pairs() {
		if i == directMax {
			p.Key.Errorf("direct has more than %d services", directMax)
			break
		}
		if !validName(p.Name) {
			p.Key.Errorf("%s", badName(p.Name))
		}
		// Listed before its steps are read: what their templates may name is looked up there.
		r.scenario.Direct = append(r.scenario.Direct, Direct{Service: p.Name})
		d := &r.scenario.Direct[i]
		d.Steps = r.readStepList(p.Value, place{section: inDirect, group: i})
		for k := range d.Steps {
			d.Steps[k].Service = p.Name
		}
	}
}

// checkDirectName is checkName at step k of direct list g, for a name that is no data field.
func (r *reader) checkDirectName(name string, at place) string {
	steps := r.scenario.Direct[at.group].Steps
	for i := range min(at.index, len(steps)) {
		if captures(&steps[i], name) {
			return ""
		}
	}
	for i := min(at.index, len(steps)); i < len(steps); i++ {
		if captures(&steps[i], name) {
			return `"` + name + `" is used before it is captured (step ` + steps[i].Name + " captures it)"
		}
	}
	if by := r.capturedBy(name); by != "" {
		return `"` + name + `" is captured by step ` + by + `, which is not sent before a direct request; make it from data, such as {{unique}}`
	}
	return yamlfile.Unknown("field", name, r.known())
}
