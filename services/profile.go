package services

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

//go:embed profiles.yaml
var profilesFile []byte

// table is profiles.yaml.
type table struct {
	Profiles yaml.Node `yaml:"profiles"` // a node, to keep the order of the columns
	Knobs    []knob    `yaml:"knobs"`
	Faults   []Fault   `yaml:"faults"`

	names []string // profiles, in order
	about map[string]string
}

// readTable reads profiles.yaml and holds it to its own rules: each knob has an allowed value in each profile, and no
// service has two knobs of one name.
func readTable(data []byte) (*table, error) {
	t := &table{about: map[string]string{}}
	if err := yaml.Load(data, t, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("profiles.yaml: %w", err)
	}
	for i := 0; i+1 < len(t.Profiles.Content); i += 2 {
		name := t.Profiles.Content[i].Value
		t.names = append(t.names, name)
		t.about[name] = t.Profiles.Content[i+1].Value
	}
	var wrong []error
	seen := map[string]bool{}
	for _, k := range t.Knobs {
		for _, s := range k.For {
			if !slices.Contains(Names(), s) {
				wrong = append(wrong, fmt.Errorf("profiles.yaml: knob %s: no service %q", k.Name, s))
			}
			if seen[s+"."+k.Name] {
				wrong = append(wrong, fmt.Errorf("profiles.yaml: knob %s: twice for %s", k.Name, s))
			}
			seen[s+"."+k.Name] = true
		}
		if given := slices.Sorted(maps.Keys(k.Set)); !slices.Equal(given, slices.Sorted(slices.Values(t.names))) {
			wrong = append(wrong, fmt.Errorf("profiles.yaml: knob %s: set for %v, want %v", k.Name, given, t.names))
		}
		for _, p := range t.names {
			if err := k.allows(k.Set[p]); err != nil {
				wrong = append(wrong, fmt.Errorf("profiles.yaml: knob %s: %s: %w", k.Name, p, err))
			}
		}
	}
	return t, errors.Join(append(wrong, t.checkFaults())...)
}

// Profiles lists the profiles in the order they cure.
func Profiles() []string {
	t, err := readTable(profilesFile)
	if err != nil { // a defect of the embedded file, which a test rules out
		return nil
	}
	return t.names
}

// CheckKnobs says everything that is wrong with a profile and the knobs set on top of it; each mistake is a *KnobError.
// A key is "knob" (every service it makes sense for) or "service.knob", or "fault" for a named fault.
func CheckKnobs(profile string, set map[string]string) error {
	t, err := readTable(profilesFile)
	if err != nil {
		return err
	}
	return t.check(profile, set)
}

func (t *table) check(profile string, set map[string]string) error {
	var wrong []error
	if !slices.Contains(t.names, profile) {
		wrong = append(wrong, &KnobError{
			Setting: "profile=" + profile, Meant: nearest(profile, t.names),
			Problem: fmt.Sprintf("no such profile; there are %s", strings.Join(t.names, ", ")),
		})
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if err := t.checkOne(key, set[key]); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

func (t *table) checkOne(key, value string) error {
	if key == faultKey {
		return t.checkFault(value)
	}
	return t.checkKnob(key, value)
}

func (t *table) checkKnob(key, value string) error {
	fail := func(meant, problem string, args ...any) error {
		return &KnobError{Setting: key + "=" + value, Problem: fmt.Sprintf(problem, args...), Meant: meant}
	}
	service, name, prefixed := strings.Cut(key, ".")
	if !prefixed {
		service, name = "", key
	}
	if prefixed && !slices.Contains(Names(), service) {
		if near := nearest(service, Names()); near != "" {
			return fail(near+"."+name, "no service %q", service)
		}
		return fail("", "no service %q; there are %s", service, strings.Join(Names(), ", "))
	}
	var names, elsewhere []string
	var allowed []error
	for _, k := range t.Knobs {
		fits := !prefixed || slices.Contains(k.For, service)
		switch {
		case k.Name == name && !fits:
			elsewhere = k.For
		case k.Name == name:
			if err := k.allows(value); err != nil {
				meant := nearest(value, k.words())
				if meant != "" {
					meant = key + "=" + meant
				}
				allowed = append(allowed, fail(meant, "%s", err.Error()))
				continue
			}
			return nil
		case fits:
			names = append(names, k.Name)
		}
	}
	switch {
	case len(allowed) > 0:
		return allowed[0]
	case elsewhere != nil:
		return fail("", "%s has no such knob; it makes sense for %s", service, strings.Join(elsewhere, ", "))
	}
	meant := nearest(name, names)
	if meant != "" && prefixed {
		meant = service + "." + meant
	}
	return fail(meant, "no knob %q", name)
}

// settings are the knobs in force for one service, by name.
type settings map[string]string

// resolve gives a service's knobs: its profile's, then those of a named fault, then those that are set, each time first
// those for all services, then those for this one.
func (t *table) resolve(service, profile string, set map[string]string) (settings, error) {
	if err := t.check(profile, set); err != nil {
		return nil, err
	}
	planted, _ := t.fault(set[faultKey])
	s := settings{}
	for _, k := range t.Knobs {
		if !slices.Contains(k.For, service) {
			continue
		}
		s[k.Name] = k.Set[profile]
		for _, given := range []map[string]string{planted.Set, set} {
			for _, key := range []string{k.Name, service + "." + k.Name} {
				if v, ok := given[key]; ok && k.allows(v) == nil {
					s[k.Name] = v
				}
			}
		}
	}
	return s, nil
}

// Setting is what a knob of one service stands at under a profile and the knobs set on top of it; false when the service has no
// such knob, or the settings do not pass CheckKnobs.
func Setting(service, profile string, set map[string]string, knob string) (value string, ok bool) {
	t, err := readTable(profilesFile)
	if err != nil {
		return "", false
	}
	s, err := t.resolve(service, profile, set)
	if err != nil {
		return "", false
	}
	value, ok = s[knob]
	return value, ok
}

// KnobHelp is the table for people: each knob with its services, allowed values, meaning and value in each profile.
func KnobHelp() string {
	t, err := readTable(profilesFile)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	b.WriteString("Profiles:\n")
	for _, p := range t.names {
		fmt.Fprintf(&b, "  %-8s %s\n", p, t.about[p])
	}
	b.WriteString("\nKnobs (--set knob=value for every service named, --set service.knob=value for one):\n")
	for _, k := range t.Knobs {
		fmt.Fprintf(&b, "\n  %s: %s\n    %s\n   ", k.Name, strings.Join(strings.Split(k.Values, "|"), " | "), k.Means)
		for _, p := range t.names {
			fmt.Fprintf(&b, " %s=%s", p, k.Set[p])
		}
		fmt.Fprintf(&b, "  (%s)\n", strings.Join(k.For, ", "))
	}
	b.WriteString("\nFaults (--set fault=NAME plants one cause; a knob set beside it wins over the fault's own):\n")
	for _, f := range t.Faults {
		fmt.Fprintf(&b, "\n  %s\n    %s\n    %s\n", f.Name, f.Means, settingsText(f.Set))
	}
	return b.String()
}
