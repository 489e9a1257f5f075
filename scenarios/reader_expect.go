package scenarios

import (
	"fmt"
	"net/textproto"
	"slices"
	"strconv"

	"github.com/captest/captest/internal/yamlfile"
)

// checksMax bounds the JSON checks of a step: each costs time for every response.
const checksMax = 100

func readExpect(m *yamlfile.Map) Expect {
	var e Expect
	if v, ok := m.Get("status"); ok {
		list, _ := v.OneOrMore()
		for _, item := range list {
			status, ok := item.Int(100, 599)
			if ok && slices.Contains(e.Status, int(status)) {
				item.Errorf("status %d appears twice", status)
			} else if ok {
				e.Status = append(e.Status, int(status))
			}
		}
	}
	if v, ok := m.Get("json"); ok {
		switch v.Kind() {
		case yamlfile.Fields, yamlfile.List:
			e.JSON = appendChecks(nil, v, "")
		default:
			v.Errorf("must be fields such as {success: true}")
		}
	}
	if v, ok := m.Get("contains"); ok {
		if e.Contains, ok = v.Str(); ok && e.Contains == "" {
			v.Errorf("every body contains an empty text")
		}
	}
	if fields, ok := m.Map("headers"); ok {
		for _, p := range fields.Pairs() {
			name := textproto.CanonicalMIMEHeaderKey(p.Name)
			if !validHeaderName(p.Name) {
				p.Key.Errorf("%q is not a header name", p.Name)
				continue
			}
			if _, twice := e.Headers[name]; twice {
				p.Key.Errorf("header %s appears twice", name)
			}
			if value, ok := p.Value.Scalar(); ok {
				if e.Headers == nil {
					e.Headers = make(map[string]string)
				}
				e.Headers[name] = value
			}
		}
	}
	m.Done()
	return e
}

// appendChecks flattens nested fields into paths: {customer: {verified: false}} is customer.verified.
func appendChecks(checks []JSONCheck, v yamlfile.Value, path string) []JSONCheck {
	if len(checks) == checksMax {
		v.Errorf("more than %d JSON checks", checksMax)
	}
	if len(checks) >= checksMax {
		return checks
	}
	switch v.Kind() {
	case yamlfile.Fields:
		m, _ := v.Map()
		pairs := m.Pairs()
		if len(pairs) == 0 {
			v.Errorf("there is nothing to compare with")
		}
		for _, p := range pairs {
			inner := p.Name
			if path != "" {
				inner = path + "." + p.Name
			}
			if _, err := parseJSONPath(inner); err != nil {
				p.Key.Errorf("%v", err)
				continue
			}
			checks = appendChecks(checks, p.Value, inner)
		}
		return checks
	case yamlfile.List:
		items, _ := v.List()
		if len(items) == 0 {
			v.Errorf("there is nothing to compare with")
		}
		for i, item := range items {
			checks = appendChecks(checks, item, fmt.Sprintf("%s[%d]", path, i))
		}
		return checks
	}
	c := JSONCheck{Path: path}
	var err error
	if c.path, err = parseJSONPath(path); err != nil {
		v.Errorf("%v", err)
		return checks
	}
	switch v.Kind() {
	case yamlfile.Text:
		c.Want = v.Raw()
	case yamlfile.Bool:
		c.Want, _ = v.Bool()
	case yamlfile.Number:
		n, err := strconv.ParseFloat(v.Raw(), 64)
		if err != nil || n-n != 0 { // n-n is NaN for what JSON cannot carry
			v.Errorf("%q is not a number JSON can carry", v.Raw())
			return checks
		}
		c.Want = n
	}
	return append(checks, c)
}
