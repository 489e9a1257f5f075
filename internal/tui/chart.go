package tui

import (
	"math"
	"strings"

	"github.com/captest/captest/internal/record"
)

// A braille cell is two dots wide and four high, so a chart of w × h cells has 2w × 4h dots.
// Unicode numbers the dots of a cell in this order, from U+2800 on:
//
//	1 4      bits  0x01 0x08
//	2 5            0x02 0x10
//	3 6            0x04 0x20
//	7 8            0x40 0x80
var dotBits = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// series is one line of a chart.
type series struct {
	points []point
	role   role
}

// point is one value at a dot column. joined: a line connects it to the one before (nothing unknown lies between).
type point struct {
	x      int
	y      float64
	joined bool
}

// window is the last so many seconds of a run's history.
type window struct {
	seconds int
	ticks   []record.Tick // at most that many, oldest first
}

// last cuts the newest seconds out of the history.
func last(history []record.Tick, seconds int) window {
	return window{seconds, history[max(0, len(history)-seconds):]}
}

// place is the position of tick i on an axis of n columns; the newest second always stands at the right edge.
func (w window) place(i, n int) int {
	return min(n-1, (w.seconds-len(w.ticks)+i)*n/w.seconds+n/w.seconds/2)
}

// line takes one value of every tick onto an axis of n dots. Seconds that fall on one dot are merged:
// the worst of them when worst is set (a mean would hide a spike), else their mean. Unknown values leave a gap.
func (w window) line(n int, worst bool, pick func(record.Tick) float64) []point {
	var out []point
	merged, gap := 0.0, true
	for i, t := range w.ticks {
		y := pick(t)
		if !known(y) {
			gap = true
			continue
		}
		x := w.place(i, n)
		if k := len(out) - 1; k >= 0 && out[k].x == x {
			if merged++; worst {
				out[k].y = max(out[k].y, y)
			} else {
				out[k].y += (y - out[k].y) / merged
			}
			gap = false
			continue
		}
		out = append(out, point{x, y, !gap})
		merged, gap = 1, false
	}
	return out
}

// top is the highest value of all series, rounded up to 1, 2, 2.5 or 5 times a power of ten, so that the axis stays
// put while values move; at least floor.
func top(floor float64, all ...series) float64 {
	high := floor
	for _, s := range all {
		for _, p := range s.points {
			high = max(high, p.y)
		}
	}
	if !(high > 0) || high > 1e15 {
		return max(floor, 1)
	}
	base := math.Pow(10, math.Floor(math.Log10(high)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if high <= m*base*(1+1e-9) {
			return m * base
		}
	}
	return 10 * base
}

// plot draws the series into w × h cells, y from 0 at the bottom to top. A cell that several series cross takes the
// colour of the last one.
func plot(w, h int, top float64, all ...series) []line {
	if w <= 0 || h <= 0 {
		return nil
	}
	dots, owner := make([]rune, w*h), make([]role, w*h)
	for _, s := range all {
		dot := func(x, y int) {
			if x < 0 || x >= 2*w || y < 0 || y >= 4*h {
				return
			}
			row := 4*h - 1 - y
			i := row/4*w + x/2
			dots[i] |= dotBits[row%4][x%2]
			owner[i] = s.role
		}
		height := func(y float64) int {
			return int(math.Round(min(1, y/top) * float64(4*h-1)))
		}
		for i, p := range s.points {
			x, y := p.x, height(p.y)
			dot(x, y)
			if p.joined && i > 0 {
				stroke(s.points[i-1].x, height(s.points[i-1].y), x, y, dot)
			}
		}
	}
	rows := make([]line, h)
	for r := range rows {
		for c := range w {
			cell, who := ' ', plain
			if d := dots[r*w+c]; d != 0 {
				cell, who = 0x2800+d, owner[r*w+c]
			}
			if k := len(rows[r]) - 1; k >= 0 && rows[r][k].role == who {
				rows[r][k].text += string(cell)
			} else {
				rows[r] = append(rows[r], span{string(cell), who})
			}
		}
	}
	return rows
}

// stroke draws a straight line between two dots (Bresenham 1965).
func stroke(x0, y0, x1, y1 int, dot func(x, y int)) {
	dx, dy := abs(x1-x0), -abs(y1-y0)
	sx, sy := sign(x1-x0), sign(y1-y0)
	for e := dx + dy; ; {
		dot(x0, y0)
		if x0 == x1 && y0 == y1 {
			return
		}
		e2 := 2 * e
		if e2 >= dy {
			e, x0 = e+dy, x0+sx
		}
		if e2 <= dx {
			e, y0 = e+dx, y0+sy
		}
	}
}

func abs(x int) int { return max(x, -x) }

func sign(x int) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// spark draws one row of blocks, the worst value under each cell out of the highest of all; nothing for 0 and unknown.
func (w window) spark(cells int, pick func(record.Tick) float64) (row string, high float64) {
	worst := make([]float64, max(0, cells))
	for i, t := range w.ticks {
		from := (w.seconds - len(w.ticks) + i) * cells / w.seconds
		to := max(from+1, (w.seconds-len(w.ticks)+i+1)*cells/w.seconds)
		y := pick(t)
		if !known(y) {
			continue
		}
		high = max(high, y)
		for c := from; c < to && c < cells; c++ {
			worst[c] = max(worst[c], y)
		}
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, y := range worst {
		if y <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(blocks[min(len(blocks)-1, int(y/high*float64(len(blocks))))])
	}
	return b.String(), high
}

// axis is the row under a chart: a rule with a tick where each phase began, and its name where there is room for it.
func (w window) axis(cells int) string {
	row := []rune(strings.Repeat("─", max(0, cells)))
	type begin struct {
		at   int
		name string
	}
	var begins []begin
	for i, t := range w.ticks {
		if i == 0 || t.Phase != w.ticks[i-1].Phase {
			begins = append(begins, begin{(w.seconds - len(w.ticks) + i) * cells / w.seconds, clean(t.Phase)})
		}
	}
	for i, b := range begins {
		end := cells
		if i+1 < len(begins) {
			end = begins[i+1].at
		}
		if i > 0 && b.at < cells { // the first phase in sight may have begun before
			row[b.at] = '┴'
			b.at++
		}
		name := []rune(b.name)
		if b.at+len(name) < end && len(name) == text(b.name, plain).width() {
			copy(row[b.at:], name)
		}
	}
	return string(row)
}

// bar fills part of w cells; a part that is not nothing shows at least one cell.
func bar(part float64, w int) (full, empty string) {
	if w <= 0 {
		return "", ""
	}
	n := 0
	if known(part) {
		n = int(math.Round(min(1, part) * float64(w)))
		if part > 0 {
			n = max(1, n)
		}
	}
	return strings.Repeat("━", n), strings.Repeat("─", w-n)
}
