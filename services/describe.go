package services

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// describeWidth is the width of a terminal that nobody has widened.
const describeWidth = 80

// Describe says under what the bundled services run, in a block of lines per service: what was set on top of the profile
// first, then every knob that is in force. The settings must have passed CheckKnobs.
//
//	fault lock-contention: every request holds one lock for 250 ms, 4 registrations a second
//	user, set: hot_lock=250ms
//	  workers=4 hash=pool hash_cost=12 …
func Describe(profile string, set map[string]string, names ...string) string {
	t, err := readTable(profilesFile)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	fill(&b, "profile "+profile+": ", "  ", strings.Fields(t.about[profile]))
	if f, ok := t.fault(set[faultKey]); ok {
		fill(&b, "fault "+f.Name+": ", "  ", strings.Fields(f.Means+" (cause "+f.Cause+", in "+f.Service+")"))
	}
	for _, service := range slices.Backward(Names()) { // the entry first
		if len(names) > 0 && !slices.Contains(names, service) {
			continue
		}
		now, err := t.resolve(service, profile, set)
		if err != nil {
			return err.Error() + "\n"
		}
		plain, err := t.resolve(service, profile, nil)
		if err != nil {
			return err.Error() + "\n"
		}
		var changed, rest []string
		for _, k := range t.Knobs {
			value, has := now[k.Name]
			switch {
			case !has:
			case value != plain[k.Name]:
				changed = append(changed, k.Name+"="+value)
			case value != "none" && value != "default": // not there, not told
				rest = append(rest, k.Name+"="+value)
			}
		}
		if len(changed) == 0 {
			changed = []string{"as the profile says"}
		} else {
			changed[0] = "set " + changed[0]
		}
		fill(&b, fmt.Sprintf("%-10s", service), strings.Repeat(" ", 10), changed)
		fill(&b, "  ", "  ", rest)
	}
	return b.String()
}

// settingsText is settings in one line, in a fixed order.
func settingsText(set map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, key+"="+set[key])
	}
	return strings.Join(parts, ", ")
}

// fill writes words in lines of at most describeWidth, the first after head, the others after indent.
func fill(b *strings.Builder, head, indent string, words []string) {
	line := head
	start := true
	for _, w := range words {
		if !start && len(line)+1+len(w) > describeWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, start = indent, true
		}
		if !start {
			line += " "
		}
		line += w
		start = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
