package targets

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

//go:embed reference.yaml killbill.yaml
var builtin embed.FS

// Builtins names the built-in targets in alphabetical order.
func Builtins() []string { return []string{"reference"} }

// BuiltinFile gives the text of a built-in target.
func BuiltinFile(name string) ([]byte, bool) {
	for _, known := range Builtins() {
		if name == known {
			data, err := builtin.ReadFile(name + ".yaml")
			return data, err == nil
		}
	}
	return nil, false
}

// Load finds a target:
//
//	reference, reference:before          built in, perhaps with another profile
//	staging.yaml                         a file; mistakes give an *yamlfile.Errors with all of them
//	http://127.0.0.1:8001/api            one service, named "target"
//	user=http://…,instance=http://…      services by name, the first is the entry
//
// getenv fills in {{env "NAME"}} in a file's URLs.
func Load(nameOrFileOrURL string, getenv func(string) string) (*Target, error) {
	spec := nameOrFileOrURL
	if strings.Contains(spec, "://") {
		return fromURLs(spec)
	}
	name, profile, chosen := strings.Cut(spec, ":")
	if data, ok := BuiltinFile(name); ok {
		t, err := Parse(name+".yaml (built-in)", data, getenv)
		if err != nil {
			return nil, err
		}
		if chosen {
			if !validName(profile) {
				return nil, &ProfileError{Target: name, Profile: profile}
			}
			t.Profile = profile
		}
		return t, nil
	}
	data, err := yamlfile.Read(spec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundError{What: "target", Name: spec, Known: Builtins()}
	}
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	return Parse(spec, data, getenv)
}

// fromURLs makes a target of bare URLs. What their services offer besides is unknown: no health, no metrics.
func fromURLs(spec string) (*Target, error) {
	pieces := []string{spec}
	if _, _, named := nameAndURL(spec); named {
		pieces = strings.Split(spec, ",")
	}
	t := &Target{File: "--target"}
	for _, piece := range pieces {
		name, address, named := nameAndURL(strings.TrimSpace(piece))
		if !named && len(pieces) > 1 {
			return nil, &URLError{Msg: "after a comma a target goes on with NAME=URL"}
		}
		if !named {
			name = "target"
		}
		base, err := parseBase(address)
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		if _, twice := t.Find(name); twice && len(t.Services) > 0 {
			return nil, &URLError{Msg: fmt.Sprintf("service %q appears twice", name)}
		}
		t.Services = append(t.Services, Service{Name: name, URL: base})
	}
	t.Entry = t.Services[0].Name
	u, err := url.Parse(t.Services[0].URL)
	if err != nil {
		return nil, &URLError{Msg: "not a URL"}
	}
	t.Name = hostName(u.Host)
	return t, nil
}

// nameAndURL splits NAME=URL; without a name the whole is the URL.
func nameAndURL(s string) (name, address string, named bool) {
	name, address, named = strings.Cut(s, "=")
	if !named || !validName(name) {
		return "", s, false
	}
	return name, address, true
}

// hostName makes a host and port fit for the name of a folder.
func hostName(host string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, host), "-")
}

// NotFoundError is a target or baseline that is neither built in nor a file.
type NotFoundError struct {
	What  string // "target" or "baseline"
	Name  string
	Known []string
}

// Error names the nearest built-in one.
func (e *NotFoundError) Error() string {
	what := e.What
	if e.What == "target" {
		what = "target or file"
	}
	name, _, _ := strings.Cut(e.Name, ":")
	if nearest := yamlfile.Nearest(name, e.Known); nearest != "" {
		return fmt.Sprintf("no %s %q (did you mean %q?)", what, e.Name, nearest)
	}
	return fmt.Sprintf("no %s %q", what, e.Name)
}

// Hint lists what can be given.
func (e *NotFoundError) Hint() string {
	if e.What == "target" {
		return "give a built-in target (" + strings.Join(e.Known, ", ") + "), a file, or a URL such as http://127.0.0.1:8001"
	}
	return "there is " + strings.Join(e.Known, ", ")
}

// ProfileError is a profile that cannot be one.
type ProfileError struct{ Target, Profile string }

// Error names it.
func (e *ProfileError) Error() string {
	return fmt.Sprintf("target %s: %q is not a profile", e.Target, e.Profile)
}

// Hint shows the form.
func (e *ProfileError) Hint() string { return "write " + e.Target + ":before, or only " + e.Target }
