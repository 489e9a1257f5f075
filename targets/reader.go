package targets

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
	"github.com/captest/captest/services"
)

// Bounds of a target file.
const (
	servicesMax      = 100
	allowMax         = 1000
	overloadUsersMax = 100_000
	nameMax          = 64
)

// bundledServices are what captest can start itself.
var bundledServices = []string{"user", "billing", "instance", "kill-bill"}

// Parse reads the text of a target file; file is its name in messages. Mistakes give an *yamlfile.Errors.
func Parse(file string, data []byte, getenv func(string) string) (*Target, error) {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	doc, err := yamlfile.Parse(file, data)
	if err != nil {
		return nil, err
	}
	t := &Target{File: file}
	readTarget(doc.Root(), t, getenv)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

func readTarget(m *yamlfile.Map, t *Target, getenv func(string) string) {
	if v, ok := m.Need("name"); ok {
		t.Name = readName(v)
	}
	t.Bundled, _ = m.Bool("bundled")
	if v, ok := m.Get("profile"); ok {
		t.Profile = readName(v)
	}
	if set, ok := m.Map("set"); ok {
		t.Set = make(map[string]string)
		for _, p := range set.Pairs() {
			t.Set[p.Name], _ = p.Value.Scalar()
		}
	}
	if v, ok := m.Get("store"); ok {
		t.Store = readStore(v)
	}
	for _, field := range []string{"profile", "set", "store"} {
		if m.Has(field) && !t.Bundled {
			m.Key(field).Errorf("%s belongs to the bundled services (bundled: true)", field)
		}
	}
	readAllow(m, t)
	if n, ok := m.Int("overload_users", 0, overloadUsersMax); ok {
		t.OverloadUsers = int(n)
	}
	readServices(m, t, getenv)
	readEntry(m, t)
	if roles, ok := m.Map("roles"); ok {
		t.Roles = make(map[string]string)
		for _, p := range roles.Pairs() {
			metric, ok := p.Value.Str()
			if ok && strings.TrimSpace(metric) == "" {
				p.Value.Errorf("name a metric")
			}
			t.Roles[p.Name] = metric
			if !known(p.Name, RoleNames()) {
				p.Key.Errorf("%s", yamlfile.Unknown("role", p.Name, RoleNames()))
			}
		}
	}
	m.Done()
}

// readStore reads the database of the bundled services. A file is passed around, so it must not hold a password.
func readStore(v yamlfile.Value) string {
	text, ok := v.Str()
	if !ok {
		return ""
	}
	if err := services.CheckStore(text); err != nil {
		v.Errorf("%v", err)
	} else if services.HoldsPassword(text) {
		v.Errorf("leave the password out: captest takes it from PGPASSWORD or ~/.pgpass")
	}
	return text
}

func known(word string, words []string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// readName reads a name: of a target, a service, a profile.
func readName(v yamlfile.Value) string {
	s, ok := v.Str()
	if ok && !validName(s) {
		v.Errorf("%q is not a name: letters, digits, _ and -, starting with a letter", s)
	}
	return s
}

// validName keeps names fit for folders, labels and the command line.
func validName(s string) bool {
	if s == "" || len(s) > nameMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// readAllow reads allow and owner: whoever lets load leave this machine signs for it.
func readAllow(m *yamlfile.Map, t *Target) {
	if v, ok := m.Get("owner"); ok {
		if t.Owner, ok = v.Str(); ok && strings.TrimSpace(t.Owner) == "" {
			v.Errorf("name who answers for the load")
		}
	}
	v, ok := m.Get("allow")
	if !ok {
		return
	}
	list, _ := v.OneOrMore()
	beyond := false
	for i, item := range list {
		if i == allowMax {
			item.Errorf("more than %d entries", allowMax)
			break
		}
		text, ok := item.Str()
		if !ok {
			continue
		}
		prefix, name, err := parseAllow(text)
		var bad *AllowError
		switch {
		case errors.As(err, &bad):
			item.Errorf("%s: %s", text, bad.Msg)
		case err != nil:
			item.Errorf("%v", err)
		case name != "":
			t.AllowNames = append(t.AllowNames, name)
			beyond = beyond || !strings.EqualFold(name, "localhost")
		default:
			t.Allow = append(t.Allow, prefix)
			beyond = beyond || !loopback(prefix)
		}
	}
	if beyond && !m.Has("owner") {
		m.Key("allow").Errorf(`load may leave this machine, so the file must say who answers for it: owner: "name <mail>"`)
	}
}

// loopback says whether a whole prefix is loopback.
func loopback(p netip.Prefix) bool {
	return p.Addr().IsLoopback() && (p.Addr().Is4() && p.Bits() >= 8 || p.Bits() == 128)
}

func readServices(m *yamlfile.Map, t *Target, getenv func(string) string) {
	v, ok := m.Need("services")
	if !ok {
		return
	}
	services, ok := v.Map()
	if !ok {
		return
	}
	pairs := services.Pairs()
	if len(pairs) == 0 {
		v.Errorf("a target has at least one service")
	}
	for i, p := range pairs {
		if i == servicesMax {
			p.Key.Errorf("more than %d services", servicesMax)
			break
		}
		s := Service{Name: p.Name}
		if !validName(p.Name) {
			p.Key.Errorf("%q is not a name: letters, digits, _ and -, starting with a letter", p.Name)
		}
		if fields, ok := p.Value.Map(); ok {
			readService(fields, &s, t.Bundled, getenv)
		}
		if t.Bundled && !known(p.Name, bundledServices) {
			p.Key.Errorf("%s", yamlfile.Unknown("bundled service", p.Name, bundledServices))
		}
		t.Services = append(t.Services, s)
	}
}

func readService(m *yamlfile.Map, s *Service, bundled bool, getenv func(string) string) {
	v, ok := m.Get("url")
	switch {
	case ok && bundled:
		m.Key("url").Errorf("the bundled services choose their own addresses")
	case ok:
		s.URL = readURL(v, getenv)
	case !bundled:
		m.Errorf("field %q is missing", "url")
	}
	if v, ok := m.Get("kind"); ok {
		s.Kind, _ = v.OneOf("kill-bill")
	}
	s.Health = readPath(m, "health")
	s.Metrics = readPath(m, "metrics")
	if v, ok := m.Get("restart"); ok {
		if s.Restart, ok = v.Str(); ok && strings.TrimSpace(s.Restart) == "" {
			v.Errorf("name the command that restarts the service")
		}
	}
	if v, ok := m.Get("knobs"); ok && !bundled {
		s.Knobs = readKnobs(v)
	}
	for _, field := range []string{"kind", "health", "metrics", "restart", "knobs"} {
		if bundled && m.Has(field) {
			m.Key(field).Errorf("captest knows this of the bundled services itself")
		}
	}
	m.Done()
}

// envField finds {{env "NAME"}} and {{env "NAME" "default"}}.
var envField = regexp.MustCompile(`\{\{\s*env\s+"([^"]+)"(?:\s+"([^"]*)")?\s*\}\}`)

// readURL reads a base URL. What stands in for {{env "NAME"}} is an address, not a secret: it is printed and recorded.
func readURL(v yamlfile.Value, getenv func(string) string) string {
	text, ok := v.Str()
	if !ok {
		return ""
	}
	missing := false
	text = envField.ReplaceAllStringFunc(text, func(field string) string {
		m := envField.FindStringSubmatchIndex(field)
		name := field[m[2]:m[3]]
		if value := getenv(name); value != "" {
			return value
		}
		if m[4] >= 0 {
			return field[m[4]:m[5]]
		}
		v.Errorf("environment variable %s is not set, and there is no default", name)
		missing = true
		return ""
	})
	if missing {
		return ""
	}
	if strings.Contains(text, "{{") {
		v.Errorf(`only {{env "NAME"}} or {{env "NAME" "default"}} can be filled in here`)
		return ""
	}
	base, err := parseBase(text)
	if err != nil {
		v.Errorf("%v", err)
	}
	return base
}

// readPath reads a path on a service, "" when the field is not there.
func readPath(m *yamlfile.Map, field string) string {
	v, ok := m.Get(field)
	if !ok {
		return ""
	}
	path, ok := v.Str()
	switch {
	case !ok:
	case !strings.HasPrefix(path, "/"):
		v.Errorf(`%s is a path and must start with "/"`, field)
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }):
		v.Errorf("a path has no spaces, control characters or #; percent-encode them")
	}
	return path
}

func readEntry(m *yamlfile.Map, t *Target) {
	v, ok := m.Get("entry")
	if !ok {
		switch {
		case len(t.Services) == 1:
			t.Entry = t.Services[0].Name
		case len(t.Services) > 1:
			m.Errorf("field %q is missing: which of the services a step goes to that names none", "entry")
		}
		return
	}
	t.Entry = readName(v)
	var names []string
	for _, s := range t.Services {
		if s.Name == t.Entry {
			return
		}
		names = append(names, s.Name)
	}
	if len(names) > 0 {
		v.Errorf("%s", yamlfile.Unknown("service", t.Entry, names))
	}
}
