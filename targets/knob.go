package targets

import (
	"regexp"
	"slices"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// KnobNames are the settings that captest knows what to do with. Those that end in a dot go on with the downstream's name.
func KnobNames() []string {
	return []string{"workers", "hash", "hash_cost", "hash_pool", "db_pool", "slots", "lock", "time", "client", "pool.", "semaphore."}
}

// knobValue is what a value may be, now and changed: it becomes part of a command.
var knobValue = regexp.MustCompile(`^[A-Za-z0-9._+-]{1,40}$`)

// readKnobs reads the settings of a service that commands can change.
func readKnobs(v yamlfile.Value) []Knob {
	m, ok := v.Map()
	if !ok {
		return nil
	}
	var out []Knob
	for _, p := range m.Pairs() {
		k := Knob{Name: p.Name}
		switch {
		case p.Name == "pool." || p.Name == "semaphore.":
			p.Key.Errorf("name the downstream after the dot")
		case !knownKnob(p.Name):
			p.Key.Errorf("%s", yamlfile.Unknown("knob", p.Name, KnobNames()))
		}
		if fields, ok := p.Value.Map(); ok {
			readKnob(fields, &k)
		}
		out = append(out, k)
	}
	return out
}

func knownKnob(name string) bool {
	return slices.ContainsFunc(KnobNames(), func(known string) bool {
		if rest, ok := strings.CutPrefix(name, known); ok && strings.HasSuffix(known, ".") {
			return validName(rest)
		}
		return name == known
	})
}

func readKnob(m *yamlfile.Map, k *Knob) {
	if v, ok := m.Need("value"); ok {
		if k.Value, ok = v.Scalar(); ok && !knobValue.MatchString(k.Value) {
			v.Errorf("%q is no value to change: letters, digits, and . _ + - only, such as 4 or 200ms", k.Value)
		}
	}
	if v, ok := m.Need("command"); ok {
		if k.Command, ok = v.Str(); ok && !strings.Contains(k.Command, KnobValue) {
			v.Errorf("the command does not say where the value goes: write %s where it stands", KnobValue)
		}
	}
	m.Done()
}

// Setting is the command that gives the knob a value. A value that is not plain is refused, since a shell reads the command.
func (k Knob) Setting(value string) (command string, ok bool) {
	return strings.ReplaceAll(k.Command, KnobValue, value), knobValue.MatchString(value)
}
