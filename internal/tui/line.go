package tui

import (
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
)

// span is a piece of one line with one role. Text must be clean (see clean): lines are measured, cut and padded
// as plain text and styled only at the very end, so no escape sequence can ever be cut in half.
type span struct {
	text string
	role role
}

// line is one row of the screen.
type line []span

// text makes a line of one span.
func text(s string, r role) line { return line{{s, r}} }

// width is how many columns the line takes.
func (l line) width() int {
	w := 0
	for _, s := range l {
		w += lipgloss.Width(s.text)
	}
	return w
}

// cut shortens the line to w columns and marks the cut with an ellipsis.
func (l line) cut(w int) line {
	if l.width() <= w {
		return l
	}
	if w <= 0 {
		return nil
	}
	out, room := line{}, w-1 // one column for the ellipsis
	for _, s := range l {
		sw := lipgloss.Width(s.text)
		if sw <= room {
			out, room = append(out, s), room-sw
			continue
		}
		return append(out, span{head(s.text, room) + "…", s.role})
	}
	return out
}

// pad fills the line with spaces up to w columns; a longer one is cut.
func (l line) pad(w int) line {
	l = l.cut(w)
	if n := w - l.width(); n > 0 {
		return append(l[:len(l):len(l)], span{strings.Repeat(" ", n), plain})
	}
	return l
}

// add appends without touching the receiver's array.
func (l line) add(more ...span) line { return append(l[:len(l):len(l)], more...) }

// join puts right at the right edge of w columns; left gives way when there is not room for both.
func join(left, right line, w int) line {
	rw := right.width()
	if rw == 0 || rw+4 > w {
		return left.cut(w)
	}
	return left.pad(w - rw - 1).add(span{" ", plain}).add(right...)
}

// head is the longest prefix of s that takes at most w columns.
func head(s string, w int) string {
	used := 0
	for i, r := range s {
		rw := lipgloss.Width(string(r))
		if used+rw > w {
			return s[:i]
		}
		used += rw
	}
	return s
}

// left and right pad text to w columns; longer text is cut.
func left(s string, w int) string {
	if n := w - lipgloss.Width(s); n >= 0 {
		return s + strings.Repeat(" ", n)
	}
	if w <= 0 {
		return ""
	}
	s = head(s, w-1) + "…"
	return s + strings.Repeat(" ", max(0, w-lipgloss.Width(s)))
}

func right(s string, w int) string {
	if n := w - lipgloss.Width(s); n >= 0 {
		return strings.Repeat(" ", n) + s
	}
	return left(s, w)
}

// maxName is the longest name or sentence taken over from outside, in characters.
const maxName = 300

// clean makes text from outside (names, notes, warnings) safe for a terminal and measurable: control and format
// characters (escape sequences, line breaks, text-direction overrides) and anything whose width terminals disagree
// about become "?", combining marks are dropped.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxName {
			b.WriteString("…")
			break
		}
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r < 0x7f && r >= ' ':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r) || emoji(r) || lipgloss.Width(string(r)) < 1:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// emoji says whether r is a pictograph: symbols that take two columns, and everything in the pictograph planes.
func emoji(r rune) bool {
	return r >= 0x1f000 && r <= 0x1ffff || unicode.Is(unicode.So, r) && lipgloss.Width(string(r)) > 1
}
