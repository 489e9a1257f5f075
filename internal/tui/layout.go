package tui

// block is a part of a view. draw gives exactly the number of rows asked for, which lies between min and max.
type block struct {
	rank     int // who goes first when there is not room for all: the highest rank; 0 never goes
	min, max int
	eager    bool // takes all it can use before the others (charts) share what is left
	draw     func(rows int) []line
}

// fixed is a block of a size of its own.
func fixed(rank int, rows ...line) block {
	return block{rank, len(rows), len(rows), false, func(int) []line { return rows }}
}

// stack lays blocks one under the other into h rows: drops the least important until the rest fits, then shares out
// the rows that are left. It never returns more than h lines.
func stack(h int, blocks ...block) []line {
	need := 0
	for _, b := range blocks {
		need += b.min
	}
	for need > h {
		worst := -1
		for i, b := range blocks {
			if b.min > 0 && b.rank > 0 && (worst < 0 || b.rank >= blocks[worst].rank) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		need -= blocks[worst].min
		blocks[worst].min, blocks[worst].max = 0, 0
	}

	rows := make([]int, len(blocks))
	spare := h - need
	for i, b := range blocks {
		rows[i] = b.min
		if b.eager && spare > 0 {
			more := min(spare, b.max-b.min)
			rows[i], spare = rows[i]+more, spare-more
		}
	}
	for grown := true; grown && spare > 0; {
		grown = false
		for i, b := range blocks {
			if spare > 0 && rows[i] > 0 && rows[i] < b.max {
				rows[i], spare, grown = rows[i]+1, spare-1, true
			}
		}
	}

	var out []line
	for i, b := range blocks {
		if rows[i] > 0 {
			out = append(out, b.draw(rows[i])...)
		}
	}
	return out[:min(len(out), max(0, h))]
}

// columns lays items out in as many columns as fit, filled from the top; every cell is exactly cell columns wide.
func columns(items []line, w, cell, rows int) []line {
	if rows <= 0 || cell <= 0 {
		return nil
	}
	n := max(1, w/cell)
	var out []line
	for r := range rows {
		var l line
		for c := range n {
			if i := c*rows + r; i < len(items) {
				l = l.pad(c * cell).add(items[i].cut(cell - 2)...)
			}
		}
		out = append(out, l)
	}
	return out
}

// rule is a heading: words on a thin line across the screen.
func rule(title, note string, w int) line {
	l := line{{"── ", label}, {title, plain}, {" ", plain}}
	tail := line{}
	if note != "" {
		tail = line{{" " + note + " ", label}, {"──", label}}
	}
	room := w - l.width() - tail.width()
	if room < 0 {
		return l.cut(w)
	}
	return l.add(span{repeat("─", room), label}).add(tail...)
}
