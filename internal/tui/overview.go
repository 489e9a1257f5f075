package tui

import (
	"fmt"
	"slices"
	"time"

	"github.com/captest/captest/internal/record"
)

// overview is the default view: is it holding, how fast, what breaks, who is busy.
func overview(p page) []line {
	blocks := []block{fixed(1, figures(p.s, p.w)...)}
	if len(p.s.Warnings) > 0 {
		blocks = append(blocks, fixed(2, warning(p.s)))
	}
	if p.h >= 16 {
		blocks = append(blocks, throughputChart(p, 4))
	} else {
		blocks = append(blocks, bareChart(p, 6))
	}
	blocks = append(blocks,
		latencyChart(p, 9))
	if len(p.s.Health) == 0 || p.s.Latency.N > 0 || p.s.TrialLatency.N > 0 { // without load there is nothing to tell
		blocks = append(blocks, fixed(3, quantileTable(p.s, p.w)...))
	}
	if len(p.s.Steps) > 1 {
		blocks = append(blocks, fixed(8, stepRows(p.s, p.w)...))
	}
	if len(p.s.Health) > 0 {
		blocks = append(blocks, probeBlock(p.s, p.w, 2))
	}
	blocks = append(blocks, gaugeBlock(p.s, p.w, 7), fixed(5, facts(p.s, p.w)...))
	return stack(p.h, blocks...)
}

// figures are the numbers of the last second.
func figures(s *record.Snapshot, w int) []line {
	type figure struct {
		name, value string
		role        role
	}
	errors := figure{"errors", rate(ifMeasured(s, s.ErrorsPerSecond)), strong}
	if s.ErrorsPerSecond > 0 {
		errors.role = bad
	}
	flying := unknown
	if x := ifMeasured(s, float64(s.InFlight)); known(x) {
		flying = amount(x)
	}
	all := []figure{
		{"load", load(s.Load), strong},
		{"goodput", rate(goodput(s)), strong},
		{"offered", rate(ifMeasured(s, s.OfferedPerSecond)), strong},
		errors,
		{"in flight", flying, strong},
		{"completed", count(s.Total), strong},
	}
	if s.Total == 0 {
		all[5].value = unknown
	}
	if s.Load == (record.Load{}) && len(s.History) > 0 {
		all[0].value = "none"
	}
	if s.Held && !s.Done {
		all[0] = figure{"load, HELD", all[0].value, warn}
	}
	cell := min(16, w/len(all))
	if cell < 11 { // six do not fit: completed gives way
		all = all[:5]
		cell = w / len(all)
	}
	var names, values line
	for _, f := range all {
		names = names.add(span{left(f.name, cell), label})
		values = values.add(span{left(f.value, cell), f.role})
	}
	return []line{names, values}
}

// warning is the newest one; the log has them all.
func warning(s *record.Snapshot) line {
	l := line{{"warning  ", warn}, {clean(s.Warnings[len(s.Warnings)-1]), plain}}
	if n := len(s.Warnings) - 1; n > 0 {
		l = line{{fmt.Sprintf("warning (and %d more in the log)  ", n), warn}}.add(l[1:]...)
	}
	return l
}

// gutter is the room left of a chart for the axis.
const gutter = 9

// period is how much history the charts show.
func period(p page) int {
	if d := scales()[p.u.scale%len(scales())]; d > 0 {
		return int(d / time.Second)
	}
	for _, d := range scales()[1:] {
		if n := int(d / time.Second); n >= len(p.s.History) {
			return n
		}
	}
	return 600
}

// throughputChart is goodput as a line, errors as a row of blocks, and the phases on the axis.
func throughputChart(p page, rank int) block {
	return block{rank: rank, min: 7, max: 24, draw: func(rows int) []line {
		win, cells := last(p.s.History, period(p)), p.w-gutter
		row, high := win.spark(cells, func(t record.Tick) float64 { return t.Errors })
		title, errors := "goodput per second", text("none", label)
		switch {
		case len(win.ticks) == 0:
			errors = text(unknown, label)
		case high > 0:
			title, errors = title+", errors up to "+rate(high), text(row, bad)
		}
		out := []line{rule(title, "last "+span2(period(p)), p.w)}
		out = append(out, goodputPlot(p, rows-3)...)
		out = append(out, line{{right("errors", gutter-1) + " ", label}}.add(errors...))
		return append(out, line{{repeat(" ", gutter-1) + "└", label}, {win.axis(cells), label}})
	}}
}

// bareChart is the same for low windows: only the line.
func bareChart(p page, rank int) block {
	return block{rank: rank, min: 3, max: 4, draw: func(rows int) []line {
		return append([]line{rule("goodput per second", "last "+span2(period(p)), p.w)}, goodputPlot(p, rows-1)...)
	}}
}

func goodputPlot(p page, rows int) []line {
	win, cells := last(p.s.History, period(p)), p.w-gutter
	s := series{win.line(2*cells, false, func(t record.Tick) float64 { return t.Goodput }), seriesA}
	high := top(1, s)
	return withAxis(plot(cells, rows, high, s), amount(high), s)
}

// latencyChart is p50, p95 and p99 over time.
func latencyChart(p page, rank int) block {
	return block{rank: rank, min: 6, max: 24, draw: func(rows int) []line {
		win, cells := last(p.s.History, period(p)), p.w-gutter
		quantiles := []func(record.Tick) float64{
			func(t record.Tick) float64 { return t.P99Ms },
			func(t record.Tick) float64 { return t.P95Ms },
			func(t record.Tick) float64 { return t.P50Ms },
		}
		var all []series
		for i, pick := range quantiles {
			all = append(all, series{win.line(2*cells, true, func(t record.Tick) float64 {
				if pick(t) > 0 {
					return pick(t)
				}
				return -1 // nothing completed in that second
			}), []role{seriesC, seriesB, seriesA}[i]})
		}
		high := top(1, all...)
		l := line{{"── ", label}, {"response time  ", plain}, {"p50 ", seriesA}, {"p95 ", seriesB}, {"p99 ", seriesC}}
		note := " last " + span2(period(p)) + " "
		out := []line{l.add(span{repeat("─", p.w-l.width()-len(note)-2) + note + "──", label})}
		out = append(out, withAxis(plot(cells, rows-2, high, all...), millis(high), all...)...)
		return append(out, line{{repeat(" ", gutter-1) + "└", label}, {win.axis(cells), label}})
	}}
}

// withAxis puts the scale left of a chart; an empty chart has none.
func withAxis(rows []line, high string, all ...series) []line {
	if !slices.ContainsFunc(all, func(s series) bool { return len(s.points) > 0 }) {
		high = ""
	}
	for i, r := range rows {
		tick := repeat(" ", gutter-1) + "│"
		switch {
		case i == 0:
			tick = right(high, gutter-2) + " ┤"
		case i == len(rows)-1:
			tick = right("0", gutter-2) + " ┤"
		}
		rows[i] = line{{tick, label}}.add(r...)
	}
	return rows
}

// span2 writes a chart's stretch of time.
func span2(seconds int) string {
	if seconds < 120 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min", seconds/60)
}

// facts are one line each: errors, connections, the generator.
func facts(s *record.Snapshot, w int) []line {
	const indent = nameWidth
	name := func(n string) span { return span{left(n, indent), label} }
	return []line{
		line{name("errors")}.add(errorSummary(s, w-indent)...),
		line{name("connections")}.add(connectionSummary(s)...),
		line{name("generator")}.add(generatorSummary(s)...),
	}
}

// errorSummary has the total and as many classes as fit.
func errorSummary(s *record.Snapshot, w int) line {
	var l line
	switch {
	case s.Total == 0 && s.TotalErrors == 0 && s.Dropped == 0:
		return text(unknown, plain)
	case s.TotalErrors == 0:
		l = text(fmt.Sprintf("none in %s", count(s.Total)), plain)
	default:
		part := unknown
		if s.Total > 0 {
			part = percent(100 * float64(s.TotalErrors) / float64(s.Total))
		}
		l = line{{fmt.Sprintf("%s of %s (%s)", count(s.TotalErrors), count(s.Total), part), bad}}
	}
	if s.Dropped > 0 {
		l = l.add(span{"  not started ", plain}, span{count(s.Dropped), bad})
	}
	for i, e := range s.Errors {
		next := l.add(span{"  " + clean(e.Name) + " ", plain}, span{count(e.N), strong})
		if more := fmt.Sprintf("  +%d", len(s.Errors)-i); next.width()+len(more) > w {
			return l.add(span{more, label})
		}
		l = next
	}
	return l
}

func connectionSummary(s *record.Snapshot) line {
	c := s.Connections
	if c.Opened == 0 {
		return text(unknown, plain)
	}
	return line{
		{amount(float64(c.Open)), strong},
		{" open, " + amount(float64(c.Peak)) + " at most, " + count(c.Opened) + " opened, " + reused(s) + " reused", plain},
	}
}

// reused is the share of requests that found an open connection, unknown before the first request.
func reused(s *record.Snapshot) string {
	if s.Connections.Opened == 0 || s.Total == 0 {
		return unknown
	}
	return percent(s.Connections.ReusedPercent)
}

// generatorSummary is captest's own health. A lag or CPU of exactly 0 has not been measured (closed loads have no schedule).
func generatorSummary(s *record.Snapshot) line {
	lag, cpu := span{unknown, plain}, span{unknown, plain}
	if s.LagP99Ms > 0 {
		lag = span{millis(s.LagP99Ms), plain}
	}
	if s.GeneratorCPUPercent > 0 {
		cpu = span{percent(s.GeneratorCPUPercent), plain}
	}
	if s.LagP99Ms >= 10 {
		lag.role = warn
	}
	return line{{"CPU ", plain}, cpu, {" of one core, schedule lag p99 ", plain}, lag}
}
