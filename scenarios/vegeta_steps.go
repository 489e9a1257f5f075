package scenarios

import (
	"fmt"
	"path/filepath"
	"strings"
)

// scenario makes steps of the targets. Requests that differ only in path, header values and body are one step, fed from rows in
// the file's order and over again, which is vegeta's own round robin. Requests of several forms become alternatives, chosen at random
// as often as the file has them: a row cannot change a step's method.
func (r *vegetaReader) scenario() (*Scenario, error) {
	forms := map[string]bool{}
	times := map[string]int{} // how often each request is in the file
	var distinct []vegetaTarget
	for _, t := range r.targets {
		forms[t.form()] = true
		if times[t.key()]++; times[t.key()] == 1 {
			distinct = append(distinct, t)
		}
	}
	s := &Scenario{Name: nameOf(strings.TrimSuffix(filepath.Base(r.file), filepath.Ext(r.file))), File: r.file, Origin: r.origin}
	switch {
	case len(distinct) == 1:
		s.Description = "one request"
		s.Steps = []Step{distinct[0].step(stepName(distinct[0], nil))}
	case len(forms) == 1:
		s.Description = fmt.Sprintf("%d requests in turn", len(r.targets))
		s.Steps = []Step{r.targets[0].open(strings.ToLower(r.targets[0].method))}
		s.Table = r.table()
	case len(distinct) > stepsMax:
		return nil, r.fail(0, "%d different requests of %d forms (method, header names, with or without a body); up to %d can be told apart as steps, any number only of one form: split the file",
			len(distinct), len(forms), stepsMax).err()
	default:
		s.Description = fmt.Sprintf("%d requests, chosen as often as the file has them", len(distinct))
		taken := map[string]bool{}
		for _, t := range distinct {
			step := t.step(stepName(t, taken))
			step.Weight = float64(times[t.key()])
			s.Steps = append(s.Steps, step)
		}
	}
	return s, nil
}

// form is what a row cannot change.
func (t *vegetaTarget) form() string {
	var b strings.Builder
	b.WriteString(t.method)
	for _, h := range t.headers {
		b.WriteString("\n" + h.name)
	}
	fmt.Fprintf(&b, "\n%t", t.body != "")
	return b.String()
}

// key tells requests apart.
func (t *vegetaTarget) key() string {
	var b strings.Builder
	b.WriteString(t.method + " " + t.path)
	for _, h := range t.headers {
		b.WriteString("\n" + h.name + ":" + h.value)
	}
	b.WriteString("\n\n" + t.body)
	return b.String()
}

// step of one request as it stands: braces mean themselves.
func (t *vegetaTarget) step(name string) Step {
	s := Step{Name: name, Request: Request{Method: t.method, Path: Literal(t.path)}, Expect: Expect{Status: vegetaSuccess()}}
	for _, h := range t.headers {
		s.Request.Headers = append(s.Request.Headers, Field{Name: h.name, Value: Literal(h.value)})
	}
	if t.body != "" {
		s.Request.Body = Literal(t.body)
	}
	return s
}

// Columns of the rows made of targets. A header's column is its name after headerColumn.
const (
	pathColumn   = "path"
	bodyColumn   = "body"
	headerColumn = "header."
)

// open is the step of all requests of t's form, to be filled in from a row.
func (t *vegetaTarget) open(name string) Step {
	s := t.step(name)
	s.Request.Path = column(pathColumn)
	for i := range s.Request.Headers {
		s.Request.Headers[i].Value = column(headerColumn + s.Request.Headers[i].Name)
	}
	if s.Request.Body != nil {
		s.Request.Body = column(bodyColumn)
	}
	return s
}

// column is {{row.name}}. Its value is put in as it is: it was checked when it was read.
func column(name string) *Template {
	return &Template{source: "{{row." + name + "}}", parts: []part{{op: opRow, text: name}}}
}

func (r *vegetaReader) table() *Table {
	t := &Table{Columns: []string{pathColumn}}
	for _, h := range r.targets[0].headers {
		t.Columns = append(t.Columns, headerColumn+h.name)
	}
	if r.targets[0].body != "" {
		t.Columns = append(t.Columns, bodyColumn)
	}
	for _, target := range r.targets {
		row := map[string]string{pathColumn: target.path}
		for _, h := range target.headers {
			row[headerColumn+h.name] = h.value
		}
		if target.body != "" {
			row[bodyColumn] = target.body
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// vegetaSuccess are the statuses vegeta calls success: 200 to 399.
func vegetaSuccess() []int {
	list := make([]int, 200)
	for i := range list {
		list[i] = 200 + i
	}
	return list
}

// stepName is the method and the path, fit for a name that is not taken yet.
func stepName(t vegetaTarget, taken map[string]bool) string {
	path, _, _ := strings.Cut(t.path, "?")
	base := nameOf(strings.ToLower(t.method) + " " + path)
	name := base
	for n := 2; taken[name]; n++ {
		end := fmt.Sprintf("-%d", n)
		name = base[:min(len(base), nameMax-len(end))] + end
	}
	if taken != nil {
		taken[name] = true
	}
	return name
}

// nameOf makes a text a valid name: what cannot stand in one becomes "-".
func nameOf(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		switch {
		case letter || b.Len() > 0 && c >= '0' && c <= '9':
			b.WriteByte(c)
		case b.Len() > 0 && b.String()[b.Len()-1] != '-':
			b.WriteByte('-')
		}
		if b.Len() == nameMax {
			break
		}
	}
	if name := strings.TrimRight(b.String(), "-"); name != "" {
		return name
	}
	return "targets"
}
