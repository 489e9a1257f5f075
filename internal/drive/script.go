package drive

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// script is a scenario compiled for a target: everything that does not change from journey to journey is done once.
type script struct {
	setup, steps []step
	data         []scenarios.Field
	table        *scenarios.Table
	longest      time.Duration // the longest timeout of any step
}

// step is one compiled request.
type step struct {
	name    string
	index   uint16 // of the samples
	weight  float64
	think   time.Duration
	timeout time.Duration

	timeouts scenarios.Timeouts // 0: none of its own

	proto    *http.Request       // method, and all of URL and headers that is fixed
	base     string              // of the service, for a path that is not fixed
	path     *scenarios.Template // nil: proto's URL is final
	headers  []scenarios.Field   // still open
	basic    *scenarios.BasicAuth
	body     *scenarios.Template // JSON or raw
	form     []scenarios.Field
	expect   *scenarios.Expect
	captures []scenarios.Capture
	whole    bool // the answer's body is looked at, so it is kept whole
	profiled bool // the answer may carry Kill Bill's account of it
}

// compile checks the scenario against the target.
func compile(c *Config) (*script, error) {
	s := &script{data: c.Scenario.Data, table: c.Scenario.Table}
	if len(c.Scenario.Steps) == 0 {
		return nil, fmt.Errorf("scenario %s has no steps", c.Scenario.Name)
	}
	if len(c.Scenario.Steps) > 1<<16-1 {
		return nil, fmt.Errorf("scenario %s has %d steps, more than can be numbered", c.Scenario.Name, len(c.Scenario.Steps))
	}
	for _, list := range []struct {
		from []scenarios.Step
		to   *[]step
	}{{c.Scenario.Setup, &s.setup}, {c.Scenario.Steps, &s.steps}} {
		for i := range list.from {
			st, err := compileStep(&list.from[i], c.Target, c.Headers)
			if err != nil {
				return nil, fmt.Errorf("scenario %s, step %s: %w", c.Scenario.Name, list.from[i].Name, err)
			}
			st.index = uint16(i)
			s.longest = max(s.longest, st.timeout)
			*list.to = append(*list.to, st)
		}
	}
	return s, nil
}

// serviceError is a step that names a service the target lacks.
type serviceError struct{ service, target, known string }

func (e *serviceError) Error() string {
	return fmt.Sprintf("target %s has no service %q", e.target, e.service)
}

// Hint lists the services there are.
func (e *serviceError) Hint() string { return "the target's services are " + e.known }

func compileStep(from *scenarios.Step, target *targets.Target, common map[string]string) (step, error) {
	service, ok := target.Find(from.Service)
	if !ok {
		names := make([]string, len(target.Services))
		for i, s := range target.Services {
			names[i] = s.Name
		}
		return step{}, &serviceError{from.Service, target.Name, strings.Join(names, ", ")}
	}
	r := &from.Request
	s := step{
		name: from.Name, weight: from.Weight, think: from.Think, timeout: from.Timeout, timeouts: from.Timeouts,
		base: strings.TrimSuffix(service.URL, "/"), path: r.Path, basic: r.Basic, form: r.Form,
		expect: &from.Expect, captures: from.Capture,
	}
	if s.timeout <= 0 {
		s.timeout = scenarios.DefaultTimeout
	}
	if s.body = r.JSON; s.body == nil {
		s.body = r.Body
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	fixed := ""
	if r.Path == nil || isFixed(r.Path) {
		if r.Path != nil {
			text, err := r.Path.Append(nil, &scenarios.Values{})
			if err != nil {
				return step{}, err
			}
			fixed = string(text)
		}
		s.path = nil
	}
	var err error
	if s.proto, err = http.NewRequest(method, s.base+rooted(fixed), nil); err != nil {
		return step{}, err
	}
	if u := s.proto.URL; u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return step{}, fmt.Errorf("service %s has no http or https URL to send to (%q)", service.Name, service.URL)
	}
	if err := s.compileHeaders(r, common); err != nil {
		return step{}, err
	}
	s.whole = from.Expect.Contains != "" || len(from.Expect.JSON) > 0
	for _, c := range from.Capture {
		s.whole = s.whole || !strings.HasPrefix(c.From, "header.")
	}
	return s, nil
}

// compileHeaders fills in what is fixed and leaves the rest open. Later ones win: ours, the run's, the step's.
func (s *step) compileHeaders(r *scenarios.Request, common map[string]string) error {
	h := s.proto.Header
	h.Set("User-Agent", "captest")
	switch {
	case r.JSON != nil:
		h.Set("Content-Type", "application/json")
	case len(r.Form) > 0:
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range common {
		setHeader(s.proto, name, value)
	}
	for _, f := range r.Headers {
		if !isFixed(f.Value) {
			s.headers = append(s.headers, f)
			continue
		}
		value, err := f.Value.Append(nil, &scenarios.Values{})
		if err != nil {
			return fmt.Errorf("header %s: %w", f.Name, err)
		}
		setHeader(s.proto, f.Name, string(value))
	}
	return nil
}

// setHeader knows that net/http keeps Host elsewhere.
func setHeader(r *http.Request, name, value string) {
	if strings.EqualFold(name, "Host") {
		r.Host = value
		return
	}
	r.Header.Set(name, value)
}

// isFixed says that a template gives the same text every time.
func isFixed(t *scenarios.Template) bool { return !strings.Contains(t.String(), "{{") }

// rooted makes sure that what follows host and port is a path: "@elsewhere" or ":81" must not become part of the authority.
func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// url gives the step's URL.
func (s *step) url(u *user) (*url.URL, error) {
	if s.path == nil {
		return s.proto.URL, nil
	}
	text, err := s.path.Append(u.text[:0], &u.values)
	u.text = text
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	parsed, err := url.Parse(s.base + rooted(string(text)))
	if bad := (*url.Error)(nil); errors.As(err, &bad) {
		return nil, fmt.Errorf("path: %w", bad.Err) // without the URL, which may carry a secret
	}
	return parsed, err
}

// choose picks one of the alternatives that begin at steps[i], in proportion to their weights, and says where they end.
// A step without a weight is its own only choice.
func (s *script) choose(i int, r *rand.Rand) (chosen *step, end int) {
	if s.steps[i].weight <= 0 {
		return &s.steps[i], i + 1
	}
	sum := 0.0
	for end = i; end < len(s.steps) && s.steps[end].weight > 0; end++ {
		sum += s.steps[end].weight
	}
	x := r.Float64() * sum
	for k := i; k < end-1; k++ {
		if x -= s.steps[k].weight; x < 0 {
			return &s.steps[k], end
		}
	}
	return &s.steps[end-1], end
}
