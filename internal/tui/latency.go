package tui

import (
	"github.com/captest/captest/internal/record"
)

// latency is the view of response times: in numbers for the whole journey and each step, and over time.
func latency(p page) []line {
	steps := block{rank: 2, min: min(len(p.s.Steps), 3), max: len(p.s.Steps), eager: true, draw: func(rows int) []line {
		return stepRows(p.s, p.w)[:rows]
	}}
	return stack(p.h,
		fixed(1, quantileTable(p.s, p.w)...),
		steps,
		latencyChart(p, 3),
		throughputChart(p, 5))
}

// column is one column of a table of quantiles.
type column struct {
	name string
	of   func(record.Quantiles) string
}

// quantileColumns are those that fit, in reading order. n always does: a percentile says nothing without it.
func quantileColumns(w int) []column {
	ms := func(pick func(record.Quantiles) float64) func(record.Quantiles) string {
		return func(q record.Quantiles) string { return quantile(q, pick(q)) }
	}
	n := column{"n", func(q record.Quantiles) string {
		if q.N == 0 {
			return unknown
		}
		return count(q.N)
	}}
	mean := column{"mean", ms(func(q record.Quantiles) float64 { return q.MeanMs })}
	p50 := column{"p50", ms(func(q record.Quantiles) float64 { return q.P50Ms })}
	p90 := column{"p90", ms(func(q record.Quantiles) float64 { return q.P90Ms })}
	p95 := column{"p95", ms(func(q record.Quantiles) float64 { return q.P95Ms })}
	p99 := column{"p99", ms(func(q record.Quantiles) float64 { return q.P99Ms })}
	maximum := column{"max", ms(func(q record.Quantiles) float64 { return q.MaxMs })}
	switch room := (w - nameWidth) / cellWidth; {
	case room >= 7:
		return []column{n, mean, p50, p90, p95, p99, maximum}
	case room >= 5:
		return []column{n, p50, p95, p99, maximum}
	case room >= 4:
		return []column{n, p50, p95, p99}
	default:
		return []column{n, p50, p95}
	}
}

// Widths of a table of quantiles: 14 + 7 × 9 = 77 columns.
const (
	nameWidth = 14
	cellWidth = 9
)

func quantileRow(name string, q record.Quantiles, w int, r role) line {
	l := line{{left(name, nameWidth), label}}
	for _, c := range quantileColumns(w) {
		l = l.add(span{right(c.of(q), cellWidth), r})
	}
	return l
}

// quantileTable is the response time of the last second and of the trial so far.
func quantileTable(s *record.Snapshot, w int) []line {
	heading := line{{left("response time", nameWidth), plain}}
	for _, c := range quantileColumns(w) {
		heading = heading.add(span{right(c.name, cellWidth), label})
	}
	return []line{
		heading,
		quantileRow("last second", s.Latency, w, plain),
		quantileRow("this trial", s.TrialLatency, w, strong),
	}
}

// stepRows are the trial's response times step by step, with the failures where there is room.
func stepRows(s *record.Snapshot, w int) []line {
	var out []line
	for _, step := range s.Steps {
		l := quantileRow(clean(step.Name), step.Latency, w, plain)
		if failed := step.N - min(step.OK, step.N); failed > 0 && w-l.width() >= 16 {
			l = l.add(span{right(count(failed), 7) + " failed", bad})
		}
		out = append(out, l)
	}
	return out
}
