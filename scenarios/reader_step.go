package scenarios

import (
	"cmp"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/captest/captest/internal/yamlfile"
)

// Bounds of a step's times.
const (
	thinkMax   = time.Hour
	timeoutMin = time.Millisecond
	timeoutMax = 10 * time.Minute
	weightMax  = 1e6
)

// methods a step may use.
var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions,
}

// readSteps reads "setup" or "steps".
func (r *reader) readSteps(m *yamlfile.Map, field string) []Step {
	v, ok := m.Get(field)
	if !ok {
		return nil
	}
	section := inSteps
	if field == "setup" {
		section = inSetup
	}
	return r.readStepList(v, place{section: section})
}

// readStepList reads steps that are sent in order; at is the place of the first.
func (r *reader) readStepList(v yamlfile.Value, at place) []Step {
	section := at.section
	list, ok := v.List()
	if !ok {
		r.broken = true
		return nil
	}
	if len(list) == 0 {
		v.Errorf("the list is empty")
	}
	if len(list) > stepsMax {
		list[stepsMax].Errorf("more than %d steps", stepsMax)
		list = list[:stepsMax]
	}
	steps := make([]Step, len(list))
	ended := false // a group of alternatives is over
	for i, item := range list {
		fields, ok := item.Map()
		if !ok {
			r.broken = true
			continue
		}
		at.index = i
		steps[i] = r.readStep(fields, at)
		weighted := steps[i].Weight > 0
		if section == inDirect && fields.Has("service") {
			fields.Key("service").Errorf("the steps of direct go to the service they stand under")
		}
		switch {
		case weighted && section == inDirect:
			fields.Key("weight").Errorf("direct steps have no alternatives; every one is sent")
		case weighted && section == inSetup:
			fields.Key("weight").Errorf("setup has no alternatives; every setup step is sent")
		case weighted && ended:
			fields.Key("weight").Errorf("steps with a weight are alternatives and must stand together")
		case !weighted && i > 0 && steps[i-1].Weight > 0:
			ended = true
		}
	}
	return steps
}

func (r *reader) readStep(m *yamlfile.Map, at place) Step {
	var s Step
	if v, ok := m.Need("name"); ok {
		if s.Name, ok = v.Str(); ok {
			switch {
			case !validName(s.Name):
				v.Errorf("%s", badName(s.Name))
			case r.names[s.Name]:
				v.Errorf("step %q appears twice", s.Name)
			}
			r.names[s.Name] = true
		} else {
			r.broken = true
		}
	} else {
		r.broken = true
	}
	if v, ok := m.Get("service"); ok {
		if s.Service, ok = v.Str(); ok && !validName(s.Service) {
			v.Errorf("%s", badName(s.Service))
		}
	}
	if v, ok := m.Need("request"); ok {
		if fields, ok := v.Map(); ok {
			s.Request = r.readRequest(fields, at)
		}
	}
	if fields, ok := m.Map("expect"); ok {
		s.Expect = readExpect(fields)
	}
	if v, ok := m.Get("capture"); ok {
		s.Capture = r.readCaptures(v)
	}
	s.Think, _ = m.Duration("think", 0, thinkMax)
	s.Timeout, _ = m.Duration("timeout", timeoutMin, timeoutMax)
	if fields, ok := m.Map("timeouts"); ok {
		s.Timeouts = readTimeouts(fields, cmp.Or(s.Timeout, DefaultTimeout))
	}
	if v, ok := m.Get("weight"); ok {
		s.Weight, _ = v.Float(0, weightMax)
	}
	m.Done()
	return s
}

// readTimeouts reads {connect: 2s, first_byte: 5s}; whole is the step's timeout, within which both must lie.
func readTimeouts(m *yamlfile.Map, whole time.Duration) Timeouts {
	var t Timeouts
	for _, part := range []struct {
		field string
		to    *time.Duration
	}{{"connect", &t.Connect}, {"first_byte", &t.FirstByte}} {
		d, ok := m.Duration(part.field, timeoutMin, timeoutMax)
		if *part.to = d; ok && d >= whole {
			m.Key(part.field).Errorf("%s is not shorter than the step's timeout of %s, which would always come first", d, whole)
		}
	}
	if !m.Has("connect") && !m.Has("first_byte") {
		m.Errorf("timeouts needs connect, first_byte or both: {connect: 2s, first_byte: 5s}")
	}
	m.Done()
	return t
}

func (r *reader) readRequest(m *yamlfile.Map, at place) Request {
	var q Request
	if v, ok := m.Get("method"); ok {
		q.Method, _ = v.OneOf(methods...)
	}
	if v, ok := m.Need("path"); ok {
		q.Path, _ = r.path(v, at)
	}
	if fields, ok := m.Map("headers"); ok {
		q.Headers = r.readHeaders(fields, at)
	}
	if fields, ok := m.Map("basic"); ok {
		q.Basic = &BasicAuth{}
		if v, ok := fields.Need("user"); ok {
			q.Basic.User, _ = r.template(v, at, escapeNone)
		}
		if v, ok := fields.Need("password"); ok {
			q.Basic.Password, _ = r.template(v, at, escapeNone)
		}
		fields.Done()
		if i := slices.IndexFunc(q.Headers, func(f Field) bool { return f.Name == "Authorization" }); i >= 0 {
			m.Key("basic").Errorf("basic and an Authorization header contradict each other")
		}
	}
	var bodies []string
	if v, ok := m.Get("json"); ok {
		bodies = append(bodies, "json")
		q.JSON, _ = r.jsonTemplate(v, at)
	}
	if fields, ok := m.Map("form"); ok {
		q.Form = r.readForm(fields, at)
	}
	if m.Has("form") {
		bodies = append(bodies, "form")
	}
	if v, ok := m.Get("body"); ok {
		bodies = append(bodies, "body")
		q.Body, _ = r.template(v, at, escapeNone)
	}
	for _, extra := range bodies[min(1, len(bodies)):] {
		m.Key(extra).Errorf("a request has one body; %s is there already", bodies[0])
	}
	if !m.Has("method") {
		q.Method = http.MethodGet
		if len(bodies) > 0 {
			q.Method = http.MethodPost
		}
	}
	m.Done()
	return q
}

// path reads a path and decides, piece by piece, how what is filled in must be encoded.
func (r *reader) path(v yamlfile.Value, at place) (*Template, bool) {
	t, ok := r.template(v, at, escapePath)
	if !ok {
		return nil, false
	}
	if strings.HasPrefix(t.source, "http://") || strings.HasPrefix(t.source, "https://") {
		v.Errorf(`path must start with "/"; the address belongs into the target`)
		return nil, false
	}
	query := false
	for i := range t.parts {
		p := &t.parts[i]
		if p.op != opText {
			switch {
			case i == 0 && (p.op == opVar || p.op == opRow || p.op == opEnv):
				p.escape = escapeWhole
			case i == 0:
				v.Errorf(`path must start with "/"`)
				return nil, false
			case query:
				p.escape = escapeQuery
			}
			continue
		}
		if i == 0 && !strings.HasPrefix(p.text, "/") {
			v.Errorf(`path must start with "/"`)
			return nil, false
		}
		for j := range len(p.text) {
			if c := p.text[j]; c <= ' ' || c >= 0x7f || c == '#' {
				v.ErrorfAt(p.at+j, "%q cannot stand in a path; percent-encode it", []rune(p.text[j:])[0])
				return nil, false
			}
		}
		query = query || strings.Contains(p.text, "?")
	}
	if len(t.parts) == 0 {
		v.Errorf(`path must start with "/"`)
		return nil, false
	}
	return t, true
}

// ownHeaders are set by the engine; a second opinion would break the message's framing or send it elsewhere.
var ownHeaders = []string{"Content-Length", "Transfer-Encoding", "Host", "Trailer", "Upgrade"}

func (r *reader) readHeaders(m *yamlfile.Map, at place) []Field {
	var headers []Field
	for _, p := range m.Pairs() {
		name := textproto.CanonicalMIMEHeaderKey(p.Name)
		switch {
		case !validHeaderName(p.Name):
			p.Key.Errorf("%q is not a header name", p.Name)
			continue
		case slices.Contains(ownHeaders, name):
			p.Key.Errorf("header %s is set by captest itself", name)
			continue
		case slices.ContainsFunc(headers, func(f Field) bool { return f.Name == name }):
			p.Key.Errorf("header %s appears twice", name)
			continue
		}
		t, ok := r.template(p.Value, at, escapeHeader)
		if !ok {
			continue
		}
		for _, piece := range t.parts {
			if piece.op == opText && strings.ContainsFunc(piece.text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				p.Value.Errorf("a header value cannot have line breaks or other control characters")
			}
		}
		headers = append(headers, Field{Name: name, Value: t})
	}
	return headers
}

func (r *reader) readForm(m *yamlfile.Map, at place) []Field {
	var form []Field
	for i, p := range m.Pairs() {
		if i == fieldsMax {
			p.Key.Errorf("more than %d form fields", fieldsMax)
			break
		}
		if t, ok := r.template(p.Value, at, escapeNone); ok {
			form = append(form, Field{Name: p.Name, Value: t})
		}
	}
	return form
}

func (r *reader) readCaptures(v yamlfile.Value) []Capture {
	fields, ok := v.Map()
	if !ok {
		r.broken = true
		return nil
	}
	var captures []Capture
	for i, p := range fields.Pairs() {
		if i == fieldsMax {
			p.Key.Errorf("more than %d captures", fieldsMax)
			break
		}
		r.checkFieldName(p.Key, p.Name)
		if slices.ContainsFunc(r.scenario.Data, func(f Field) bool { return f.Name == p.Name }) {
			p.Key.Errorf("%q is a data field already; choose another name", p.Name)
		}
		c := Capture{Name: p.Name}
		if c.From, ok = p.Value.Str(); ok {
			source, err := parseCapture(c.From)
			if err != nil {
				p.Value.Errorf("%v", err)
			}
			c.source = source
		}
		captures = append(captures, c)
	}
	return captures
}
