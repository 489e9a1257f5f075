package yamlfile

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// Map reads the fields of a mapping. Each getter says whether the field is there and right; what is there and wrong is
// recorded. Done, called last, reports every field nobody asked for.
type Map struct {
	Value
	keys   map[string]*yaml.Node
	values map[string]*yaml.Node
	asked  []string
}

func newMap(v Value) *Map {
	n := v.resolved()
	m := &Map{Value: v, keys: make(map[string]*yaml.Node), values: make(map[string]*yaml.Node)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := m.keys[key.Value]; key.Kind == yaml.ScalarNode && !twice {
			m.keys[key.Value], m.values[key.Value] = key, n.Content[i+1]
		}
	}
	return m
}

// Pair is a field whose name the file chooses.
type Pair struct {
	Name  string
	Key   Value // the name's place
	Value Value
}

// Pairs gives all fields in file order, for mappings whose names are free; Done has nothing to say afterwards.
func (m *Map) Pairs() []Pair {
	n := m.resolved()
	var pairs []Pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.ScalarNode && m.keys[key.Value] == key {
			pairs = append(pairs, Pair{Name: key.Value, Key: Value{m.file, key}, Value: Value{m.file, n.Content[i+1]}})
			m.asked = append(m.asked, key.Value)
		}
	}
	return pairs
}

// Get gives a field's value.
func (m *Map) Get(name string) (Value, bool) {
	m.asked = append(m.asked, name)
	n, ok := m.values[name]
	return Value{m.file, n}, ok
}

// Has says whether the field is there, without asking for it.
func (m *Map) Has(name string) bool { return m.values[name] != nil }

// Key gives the place of a field's name; the mapping's own when the field is not there.
func (m *Map) Key(name string) Value {
	if n, ok := m.keys[name]; ok {
		return Value{m.file, n}
	}
	return m.Value
}

// Need is Get for a field that must be there.
func (m *Map) Need(name string) (Value, bool) {
	v, ok := m.Get(name)
	if !ok {
		m.Errorf("field %q is missing", name)
	}
	return v, ok
}

// Str gives a text field.
func (m *Map) Str(name string) (string, bool) {
	v, ok := m.Get(name)
	if !ok {
		return "", false
	}
	return v.Str()
}

// Int gives a whole number within the bounds.
func (m *Map) Int(name string, low, high int64) (int64, bool) {
	v, ok := m.Get(name)
	if !ok {
		return 0, false
	}
	return v.Int(low, high)
}

// Bool gives a field that is true or false.
func (m *Map) Bool(name string) (value, ok bool) {
	v, ok := m.Get(name)
	if !ok {
		return false, false
	}
	return v.Bool()
}

// Duration gives a time within the bounds.
func (m *Map) Duration(name string, low, high time.Duration) (time.Duration, bool) {
	v, ok := m.Get(name)
	if !ok {
		return 0, false
	}
	return v.Duration(low, high)
}

// Map gives a field that has fields itself.
func (m *Map) Map(name string) (*Map, bool) {
	v, ok := m.Get(name)
	if !ok {
		return nil, false
	}
	return v.Map()
}

// List gives a field that is a list.
func (m *Map) List(name string) ([]Value, bool) {
	v, ok := m.Get(name)
	if !ok {
		return nil, false
	}
	return v.List()
}

// Done reports the fields nobody asked for. Those asked for are the known ones, so it is called last.
func (m *Map) Done() {
	var known []string
	for _, name := range m.asked {
		if !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	n := m.resolved()
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Kind == yaml.ScalarNode && key.Tag != "!!merge" && !slices.Contains(known, key.Value) {
			Value{m.file, key}.Errorf("%s", Unknown("field", key.Value, unused(known, m.values)))
		}
	}
}

// unused leaves out the known fields that are present already: nobody meant those twice.
func unused(known []string, present map[string]*yaml.Node) []string {
	var rest []string
	for _, name := range known {
		if present[name] == nil {
			rest = append(rest, name)
		}
	}
	return rest
}
