package targets

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// notesMax bounds a baseline's notes; every report prints them all.
const notesMax = 20

// Baselines names the built-in baselines in alphabetical order.
func Baselines() []string { return []string{"killbill"} }

// LoadBaseline reads a built-in baseline by its name; another name gives a *NotFoundError.
func LoadBaseline(name string) (*Baseline, error) {
	for _, known := range Baselines() {
		if name == known {
			data, err := builtin.ReadFile(name + ".yaml")
			if err != nil {
				return nil, fmt.Errorf("baseline %s: %w", name, err)
			}
			return ParseBaseline(name+".yaml (built-in)", data)
		}
	}
	return nil, &NotFoundError{What: "baseline", Name: name, Known: Baselines()}
}

// ParseBaseline reads the text of a baseline file. Mistakes give an *yamlfile.Errors.
func ParseBaseline(file string, data []byte) (*Baseline, error) {
	doc, err := yamlfile.Parse(file, data)
	if err != nil {
		return nil, err
	}
	m := doc.Root()
	b := &Baseline{}
	if v, ok := m.Need("name"); ok {
		b.Name = readName(v)
	}
	if v, ok := m.Need("provenance"); ok {
		if b.Provenance, ok = v.Str(); ok && strings.TrimSpace(b.Provenance) == "" {
			v.Errorf("say where the figures come from")
		}
	}
	if v, ok := m.Need("service"); ok {
		b.Service = readName(v)
	}
	if v, ok := m.Need("claimed"); ok {
		if claimed, ok := v.Map(); ok {
			if v, ok := claimed.Need("per_second"); ok {
				b.PerSecond, _ = v.Float(0, 1e9)
			}
			if v, ok := claimed.Need("mean_ms"); ok {
				b.MeanMs, _ = v.Float(0, 1e9)
			}
			claimed.Done()
		}
	}
	notes, _ := m.List("notes")
	for i, v := range notes {
		if i == notesMax {
			v.Errorf("more than %d notes", notesMax)
			break
		}
		if note, ok := v.Str(); ok {
			b.Notes = append(b.Notes, note)
		}
	}
	m.Done()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return b, nil
}
