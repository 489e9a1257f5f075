package record

import (
	"slices"
	"strings"
)

// Label of a scraped value.
type Label struct{ Name, Value string }

// MetricKey is how Scrape.Values names a value: the name alone, or `name{a="x",b="y"}` with labels in order of name and
// values escaped as in Prometheus text (\\, \", \n).
func MetricKey(name string, labels ...Label) string {
	if len(labels) == 0 {
		return name
	}
	sorted := slices.Clone(labels)
	slices.SortFunc(sorted, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	b.WriteString(name)
	for i, l := range sorted {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(l.Name)
		b.WriteString(`="`)
		b.WriteString(labelEscapes.Replace(l.Value))
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// ParseMetric splits a key of Scrape.Values; false when it is not one. Labels is nil when it has none.
func ParseMetric(key string) (name string, labels map[string]string, ok bool) {
	name, rest, has := strings.Cut(key, "{")
	if !has {
		return name, nil, name != ""
	}
	labels = make(map[string]string)
	for {
		label, tail, found := strings.Cut(rest, `="`)
		if !found {
			return "", nil, false
		}
		value, after, closed := unquote(tail)
		if !closed || after == "" {
			return "", nil, false
		}
		labels[label] = value
		switch rest = after[1:]; after[0] {
		case '}':
			return name, labels, name != "" && rest == ""
		case ',':
		default:
			return "", nil, false
		}
	}
}

// unquote reads an escaped value up to its closing quote.
func unquote(s string) (value, after string, closed bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
