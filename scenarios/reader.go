package scenarios

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/captest/captest/internal/yamlfile"
)

// Bounds of a scenario. Steps become keys of every frame, so their number bounds what a second of a run weighs.
const (
	stepsMax  = 100
	fieldsMax = 200
	limitsMax = 100
)

// reader turns a document into a Scenario. It records mistakes in the document and goes on, so that all are found.
type reader struct {
	folder   string
	scenario *Scenario
	names    map[string]bool // of steps, setup included
	uses     []use           // templates and where they stand, for the check of names at the end
	broken   bool            // a part that names depend on could not be read: do not complain about its names
}

// read reads the whole document.
func (r *reader) read(m *yamlfile.Map) {
	s := r.scenario
	r.names = make(map[string]bool)
	if v, ok := m.Need("name"); ok {
		if name, ok := v.Str(); ok {
			if !validName(name) {
				v.Errorf("%s", badName(name))
			}
			s.Name = name
		}
	}
	s.Description, _ = m.Str("description")
	r.readData(m)
	r.readRows(m)
	s.Setup = r.readSteps(m, "setup")
	s.Steps = r.readSteps(m, "steps")
	if _, ok := m.Need("steps"); !ok {
		r.broken = true
	}
	r.readDirect(m)
	r.readLimits(m)
	if v, ok := m.Get("baseline"); ok {
		if s.Baseline, ok = v.Str(); ok && !validName(s.Baseline) {
			v.Errorf("%s", badName(s.Baseline))
		}
	}
	if v, ok := m.Get("load"); ok {
		s.Load = readLoad(v)
	}
	m.Done()
	r.checkUses()
}

// badName says what a name may be made of.
func badName(name string) string {
	if len(name) > nameMax {
		return fmt.Sprintf("a name of more than %d characters", nameMax)
	}
	return fmt.Sprintf("%q is not a name: letters, digits, _ and -, starting with a letter", name)
}

func (r *reader) readData(m *yamlfile.Map) {
	fields, ok := m.Map("data")
	if !ok {
		r.broken = r.broken || m.Has("data")
		return
	}
	for i, p := range fields.Pairs() {
		if i == fieldsMax {
			p.Key.Errorf("more than %d data fields", fieldsMax)
			break
		}
		r.checkFieldName(p.Key, p.Name)
		if t, ok := r.template(p.Value, place{section: inData, index: i}, escapeNone); ok {
			r.scenario.Data = append(r.scenario.Data, Field{Name: p.Name, Value: t})
		} else {
			r.scenario.Data = append(r.scenario.Data, Field{Name: p.Name, Value: Literal("")}) // keeps its name known
		}
	}
}

// checkFieldName reports names that a template could not use.
func (r *reader) checkFieldName(at yamlfile.Value, name string) {
	switch {
	case slices.Contains(builtinFields, name):
		at.Errorf("%q already means something in templates; choose another name", name)
	case !validName(name):
		at.Errorf("%s", badName(name))
	}
}

// template reads a text that may hold fields, escaping what is filled in as the place needs.
func (r *reader) template(v yamlfile.Value, at place, e escaping) (*Template, bool) {
	text, ok := v.Scalar()
	if !ok {
		return nil, false
	}
	t, err := ParseTemplate(text)
	if err != nil {
		reportTemplate(v, err)
		return nil, false
	}
	for i := range t.parts {
		t.parts[i].escape = e
	}
	r.uses = append(r.uses, use{value: v, parts: t.parts, at: at})
	return t, true
}

// reportTemplate places a template's mistake.
func reportTemplate(v yamlfile.Value, err error) {
	var bad *TemplateError
	if errors.As(err, &bad) {
		v.ErrorfAt(bad.Offset, "%s", bad.Msg)
		return
	}
	v.Errorf("%v", err)
}

func (r *reader) readRows(m *yamlfile.Map) {
	v, ok := m.Get("rows")
	if !ok {
		return
	}
	name, ok := v.Str()
	if !ok {
		r.broken = true
		return
	}
	if name == "" {
		v.Errorf("rows names a CSV file, such as rows: users.csv")
		r.broken = true
		return
	}
	r.scenario.Rows = name
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.folder, name)
	}
	table, err := readTable(name)
	if err != nil {
		v.Errorf("%v", err)
		r.broken = true
		return
	}
	r.scenario.Table = table
}

// readTable reads a CSV file of bounded size; only a regular file, since anything else could block for ever.
func readTable(name string) (*Table, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &RowsError{File: name, Msg: "no such file"}
	}
	if err != nil {
		return nil, &RowsError{File: name, Msg: err.Error()}
	}
	if !info.Mode().IsRegular() {
		return nil, &RowsError{File: name, Msg: "is not a regular file"}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &RowsError{File: name, Msg: err.Error()}
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, rowsMaxBytes+1))
	if err != nil {
		return nil, &RowsError{File: name, Msg: err.Error()}
	}
	return ParseRows(name, data)
}

func (r *reader) readLimits(m *yamlfile.Map) {
	v, ok := m.Get("limits")
	if !ok {
		return
	}
	list, ok := v.OneOrMore()
	if !ok {
		return
	}
	for i, item := range list {
		if i == limitsMax {
			item.Errorf("more than %d limits", limitsMax)
			break
		}
		text, ok := item.Str()
		if !ok {
			continue
		}
		l, err := ParseLimit(text)
		var bad *LimitError
		if errors.As(err, &bad) {
			item.ErrorfAt(len(string([]rune(text)[:bad.Column-1])), "%s", bad.Msg)
			continue
		}
		if l.Step != "" && !r.broken && !r.measured(l.Step) {
			item.Errorf("%s", yamlfile.Unknown("step", l.Step, r.stepNames()))
			continue
		}
		r.scenario.Limits = append(r.scenario.Limits, l)
	}
}

// measured says whether the name is one of the steps; setup is never measured.
func (r *reader) measured(name string) bool { return slices.Contains(r.stepNames(), name) }

func (r *reader) stepNames() []string {
	var names []string
	for _, s := range r.scenario.Steps {
		names = append(names, s.Name)
	}
	return names
}
