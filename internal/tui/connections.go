package tui

import "fmt"

// connections is the view of both ends: captest's own connections, and the target from inside.
func connections(p page) []line {
	s := p.s
	name := func(n string) span { return span{left(n, 22), label} }
	c := s.Connections
	value := func(known bool, v string) span {
		if !known {
			v = unknown
		}
		return span{v, strong}
	}
	any := c.Opened > 0
	client := []line{
		rule("captest's connections", "", p.w),
		{name("open now"), value(any, amount(float64(c.Open)))},
		{name("open at most"), value(any, amount(float64(c.Peak)))},
		{name("opened so far"), value(any, count(c.Opened))},
		{name("requests reusing one"), value(any, reused(s))},
		line{name("generator")}.add(generatorSummary(s)...),
	}
	blocks := []block{fixed(2, client...)}
	if len(s.Health) > 0 {
		blocks = append(blocks, probeBlock(s, p.w, 1))
	}
	return stack(p.h, append(blocks, allGauges(p))...)
}

// allGauges lists every reading, as many as fit.
func allGauges(p page) block {
	if len(p.s.Gauges) == 0 {
		return gaugeBlock(p.s, p.w, 3)
	}
	cell := p.w
	if p.w >= 110 || p.h < len(p.s.Gauges)+9 {
		cell = gaugeCell(p.w)
	}
	per := max(1, p.w/cell)
	need := (len(p.s.Gauges) + per - 1) / per
	return block{rank: 3, min: 2, max: 1 + need, eager: true, draw: func(rows int) []line {
		shown, hidden := choose(p.s.Gauges, (rows-1)*per)
		note := ""
		if hidden > 0 {
			note = fmt.Sprintf("%d more need a larger window", hidden)
		}
		return append([]line{rule("target", note, p.w)}, columns(gaugeRows(shown, cell-2), p.w, cell, rows-1)...)
	}}
}
