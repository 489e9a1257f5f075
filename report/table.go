package report

// table is what both the terminal and the page print: cells are finished text, already scrubbed.
type table struct {
	ID      string
	Title   string
	Caption string // what the numbers are, for the page; the terminal prints the title only
	Columns []column
	Rows    [][]cell
	Note    string
}

// column heads a table. Wide columns appear only on the page: 80 characters have no room for them. Narrow ones stand in for
// them in the terminal.
type column struct {
	Head   string
	Number bool // right-aligned
	Wide   bool
	Narrow bool // only in the terminal
}

// cell is one value. Tone is "", "good", "bad" or "dim": never the only carrier of a meaning.
type cell struct {
	Text string
	Tone string
}

func plainCells(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i, t := range texts {
		cells[i] = cell{Text: t}
		if t == dash || t == unknown {
			cells[i].Tone = "dim"
		}
	}
	return cells
}

// rowsMax bounds a table; a run of a day has fewer trials than this, a hostile run.json may have more.
const rowsMax = 400

func (t *table) add(cells ...cell) {
	if len(t.Rows) == rowsMax {
		t.Note = "Only the first " + count(rowsMax) + " rows are shown; run.json has all of them."
		return
	}
	t.Rows = append(t.Rows, cells)
}
