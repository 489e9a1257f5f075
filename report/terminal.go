package report

import (
	"fmt"
	"slices"
	"strings"
)

// ANSI colours of the basic sixteen: they follow the reader's own theme.
var tones = map[string]string{"good": "32", "bad": "31", "dim": "2"}

// paint wraps already scrubbed text in a colour.
func (t *terminal) paint(s, tone string, bold bool) string {
	code := tones[tone]
	if bold {
		code = join("1", ";", code)
	}
	if !t.o.Color || s == "" || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *terminal) heading(s string) { fmt.Fprintln(t.w, t.paint(strings.ToUpper(s), "", true)) }

// wrapped writes text after a head, broken at the width, continued under its own beginning.
func (t *terminal) wrapped(head, text, tone string) {
	left := width(head)
	if left > t.o.Width/2 { // a head this long keeps its own line
		fmt.Fprintln(t.w, cut(head, t.o.Width))
		head, left = "      ", 6
	}
	for i, line := range wrap(text, t.o.Width-left) {
		if i > 0 {
			head = strings.Repeat(" ", left)
		}
		fmt.Fprintln(t.w, head+t.paint(line, tone, false))
	}
}

// wrappedAfter writes head, a painted figure, and the rest; figure is the unpainted text of painted.
func (t *terminal) wrappedAfter(head, figure, painted, rest string) {
	left := width(head)
	if left > t.o.Width-20 { // too long to stand beside anything
		fmt.Fprintln(t.w, strings.TrimRight(head, " "))
		head, left = "      ", 6
	}
	lines := wrap(join(figure, " ", rest), t.o.Width-left)
	for i, line := range lines {
		if i == 0 && figure != "" && strings.HasPrefix(line, figure) {
			line = painted + line[len(figure):]
		}
		if i > 0 {
			head = strings.Repeat(" ", left)
		}
		fmt.Fprintln(t.w, strings.TrimRight(head+line, " "))
	}
}

// table writes a table when it has rows. Columns too wide for the terminal lose the end of their longest texts, never a number.
func (t *terminal) table(x table) {
	if len(x.Rows) == 0 {
		return
	}
	t.heading(x.Title)
	var cols []int
	for i, c := range x.Columns {
		if !c.Wide { // the terminal has no room for those
			cols = append(cols, i)
		}
	}
	widths := make(map[int]int, len(cols))
	total := 0
	for _, i := range cols {
		widths[i] = width(x.Columns[i].Head)
		for _, row := range x.Rows {
			widths[i] = max(widths[i], width(row[i].Text))
		}
		total += widths[i] + 2
	}
	for total > t.o.Width { // narrow the widest text column
		widest := -1
		for _, i := range cols {
			if !x.Columns[i].Number && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 || widths[widest] <= 4 {
			break
		}
		widths[widest]--
		total--
	}
	var line strings.Builder
	for _, i := range cols {
		line.WriteString("  " + pad(cut(x.Columns[i].Head, widths[i]), widths[i], x.Columns[i].Number))
	}
	fmt.Fprintln(t.w, t.paint(strings.TrimRight(line.String(), " "), "dim", false))
	for _, row := range x.Rows {
		line.Reset()
		for _, i := range cols {
			text := pad(cut(row[i].Text, max(4, widths[i])), widths[i], x.Columns[i].Number)
			line.WriteString("  " + t.paint(text, row[i].Tone, false))
		}
		fmt.Fprintln(t.w, strings.TrimRight(line.String(), " "))
	}
	if x.Note != "" {
		t.wrapped("  ", x.Note, "dim")
	}
	fmt.Fprintln(t.w)
}

// pad fills to n columns, on the left for numbers.
func pad(s string, n int, right bool) string {
	gap := strings.Repeat(" ", max(0, n-width(s)))
	if right {
		return gap + s
	}
	return s + gap
}

// cut shortens to n columns.
func cut(s string, n int) string {
	if width(s) <= n {
		return s
	}
	return fit(s, n-1) + "…"
}

// fit is the longest beginning of at most n columns, at least one character.
func fit(s string, n int) string {
	used := 0
	for i, r := range s {
		used += width(string(r))
		if used > n && i > 0 {
			return s[:i]
		}
	}
	return s
}

// wrap breaks at spaces, and inside words that are longer than a line. A number and its unit stay together.
func wrap(s string, n int) []string {
	n = max(10, n)
	var lines []string
	line := ""
	for _, word := range words(s) {
		if line != "" && width(line)+1+width(word) <= n {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for width(word) > n {
			head := fit(word, n)
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	return append(lines, line)
}

// units never begin a line.
var units = []string{"%", "ms", "s", "min", "users", "user", "B", "KiB", "MiB", "GiB"}

func words(s string) []string {
	var out []string
	for _, w := range strings.Fields(s) {
		if n := len(out); n > 0 && slices.Contains(units, strings.TrimRight(w, ".,;:)")) {
			if last := out[n-1]; last[len(last)-1] >= '0' && last[len(last)-1] <= '9' {
				out[n-1] += " " + w
				continue
			}
		}
		out = append(out, w)
	}
	return out
}
