package services

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// faultKey is the setting that plants a named fault: not a knob of a service but of the whole stack.
const faultKey = "fault"

// Fault is a named set of knobs that plants one cause, a row of profiles.yaml.
type Fault struct {
	Name    string            `yaml:"fault"`
	Service string            `yaml:"service"` // where the cause lives
	Cause   string            `yaml:"cause"`   // what a diagnosis should come to
	Set     map[string]string `yaml:"set"`     // as for --set
	Means   string            `yaml:"means"`
}

// Faults lists the named faults in the order of profiles.yaml.
func Faults() []Fault {
	t, err := readTable(profilesFile)
	if err != nil { // a defect of the embedded file, which a test rules out
		return nil
	}
	return t.Faults
}

// checkFaults holds the table's faults to its rules: a name each, an existing service, a cause, and knobs that exist.
func (t *table) checkFaults() error {
	var wrong []error
	seen := map[string]bool{}
	for _, f := range t.Faults {
		bad := func(problem string, args ...any) {
			wrong = append(wrong, fmt.Errorf("profiles.yaml: fault %s: "+problem, append([]any{f.Name}, args...)...))
		}
		switch {
		case seen[f.Name]:
			bad("twice")
		case f.Name == "" || f.Cause == "" || f.Means == "" || len(f.Set) == 0:
			bad("needs fault, cause, means and set")
		case !slices.Contains(Names(), f.Service):
			bad("no service %q", f.Service)
		}
		seen[f.Name] = true
		for _, key := range slices.Sorted(maps.Keys(f.Set)) {
			if err := t.checkKnob(key, f.Set[key]); err != nil {
				bad("%w", err)
			}
		}
	}
	return errors.Join(wrong...)
}

func (t *table) fault(name string) (Fault, bool) {
	i := slices.IndexFunc(t.Faults, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, false
	}
	return t.Faults[i], true
}

// checkFault says whether a named fault exists.
func (t *table) checkFault(name string) error {
	if _, ok := t.fault(name); ok {
		return nil
	}
	var names []string
	for _, f := range t.Faults {
		names = append(names, f.Name)
	}
	meant := nearest(name, names)
	if meant != "" {
		meant = faultKey + "=" + meant
	}
	return &KnobError{
		Setting: faultKey + "=" + name, Meant: meant,
		Problem: "no such fault; there are " + strings.Join(names, ", "),
	}
}
