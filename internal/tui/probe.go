package tui

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/record"
)

// probeBlock is the watch during recovery.
func probeBlock(s *record.Snapshot, w, rank int) block {
	cell := w
	if w >= 78 {
		cell = w / 2
	}
	per := max(1, w/cell)
	need := (len(s.Health) + per - 1) / per
	failing := 0
	for _, h := range s.Health {
		if !h.OK {
			failing++
		}
	}
	note := "all answer"
	if failing > 0 {
		note = fmt.Sprintf("%d of %d fail", failing, len(s.Health))
	}
	return block{rank: rank, min: 1 + min(3, need), max: 1 + min(8, need), eager: true, draw: func(rows int) []line {
		return append([]line{rule("probes", note, w)}, columns(probeRows(s.Health, cell-2), w, cell, rows-1)...)
	}}
}

func probeRows(all []record.ProbeNow, w int) []line {
	var out []line
	for _, h := range all {
		verdict := span{"ok   ", good}
		if !h.OK {
			verdict = span{"FAILS", bad}
		}
		ms := unknown
		if h.Ms > 0 {
			ms = millis(h.Ms)
		}
		name, room := clean(h.Name), max(10, w-16)
		if len(name) > room {
			name = strings.TrimSuffix(name, " connection")
		}
		out = append(out, line{{left(name, room) + " ", plain}, verdict, {right(ms, 9), plain}})
	}
	return out
}
