package tui

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// role is what a piece of text is, not how it looks.
type role uint8

const (
	plain   role = iota
	label        // names of things, rules, axes: there when looked for
	strong       // the numbers people came for
	accent       // where we are: the phase, the open view
	good         // works
	warn         // look here
	bad          // does not work
	seriesA      // first line of a chart
	seriesB
	seriesC
	roles // how many there are
)

// theme turns lines into text. The zero theme writes no escape sequence at all.
type theme struct {
	color  bool
	styles [roles]lipgloss.Style
}

// newTheme uses the terminal's own sixteen colours, so it fits light and dark backgrounds alike.
func newTheme(color bool) theme {
	t := theme{color: color}
	if !color {
		return t
	}
	fg := func(n string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(n)) }
	t.styles[label] = lipgloss.NewStyle().Faint(true)
	t.styles[strong] = lipgloss.NewStyle().Bold(true)
	t.styles[accent] = fg("6").Bold(true)
	t.styles[good] = fg("2")
	t.styles[warn] = fg("3")
	t.styles[bad] = fg("1").Bold(true)
	t.styles[seriesA] = fg("6")
	t.styles[seriesB] = fg("3")
	t.styles[seriesC] = fg("5")
	return t
}

// render writes one line.
func (t theme) render(l line) string {
	var b strings.Builder
	for _, s := range l {
		if t.color && s.role != plain && strings.TrimSpace(s.text) != "" {
			b.WriteString(t.styles[s.role].Render(s.text))
		} else {
			b.WriteString(s.text)
		}
	}
	if t.color {
		return b.String()
	}
	return strings.TrimRight(b.String(), " ")
}
