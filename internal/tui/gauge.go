package tui

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/captest/captest/internal/record"
)

// gaugeBlock is the target from inside.
func gaugeBlock(s *record.Snapshot, w, rank int) block {
	n := len(s.Gauges)
	if n == 0 {
		return fixed(rank, rule("target", "", w), text("no readings of its own metrics", label))
	}
	cell := gaugeCell(w)
	per := max(1, w/cell)
	need := (n + per - 1) / per
	return block{rank: rank, min: 1 + min(3, need), max: 1 + min(12, need), eager: true, draw: func(rows int) []line {
		shown, hidden := choose(s.Gauges, (rows-1)*per)
		note := ""
		if hidden > 0 {
			note = fmt.Sprintf("%d more under connections", hidden)
		}
		return append([]line{rule("target", note, w)}, columns(gaugeRows(shown, cell-2), w, cell, rows-1)...)
	}}
}

// gaugeCell is the width of one gauge.
func gaugeCell(w int) int {
	switch {
	case w < 78:
		return w
	case w < 150:
		return w / 2
	default:
		return w / (w / 50)
	}
}

// choose picks n gauges and keeps their order: those at their limit are always among them.
func choose(all []record.Gauge, n int) (shown []record.Gauge, hidden int) {
	if len(all) <= n {
		return all, 0
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rankOf(all[a]), rankOf(all[b])) })
	order = order[:max(0, n)]
	slices.Sort(order)
	for _, i := range order {
		shown = append(shown, all[i])
	}
	return shown, len(all) - len(shown)
}

// rankOf is 0 for a gauge at its limit, 1 for any other.
func rankOf(g record.Gauge) int {
	if full(g) {
		return 0
	}
	return 1
}

// full says that 90 % or more of a resource is in use.
func full(g record.Gauge) bool { return g.Max > 0 && g.Value >= 0.9*g.Max }

// gaugeRows draws gauges w columns wide: service (when it changes), name, bar, value.
func gaugeRows(all []record.Gauge, w int) []line {
	serviceWidth, nameWidth, valueWidth := 8, 12, 7
	for _, g := range all {
		serviceWidth = max(serviceWidth, min(12, text(clean(g.Service), plain).width()))
		nameWidth = max(nameWidth, text(clean(g.Name), plain).width())
		valueWidth = max(valueWidth, text(gaugeValue(g), plain).width())
	}
	barWidth := max(4, min(16, w-serviceWidth-nameWidth-valueWidth-3))
	nameWidth = max(1, min(nameWidth, w-serviceWidth-valueWidth-barWidth-3))
	var out []line
	for i, g := range all {
		service := clean(g.Service)
		if i > 0 && all[i-1].Service == g.Service {
			service = ""
		}
		how, value := plain, plain
		if full(g) {
			how, value = warn, warn
		}
		if g.Stale {
			how, value = label, label
		}
		l := line{{left(service, serviceWidth) + " ", label}, {left(clean(g.Name), nameWidth) + " ", plain}}
		if g.Max > 0 && known(g.Value) && known(g.Max) {
			a, b := bar(g.Value/g.Max, barWidth)
			l = l.add(span{a, how}, span{b, label})
		} else {
			l = l.add(span{repeat(" ", barWidth), plain})
		}
		out = append(out, l.add(span{" " + right(gaugeValue(g), valueWidth), value}))
	}
	return out
}

// gaugeValue is "3/10", "98 %", "1.2M B"; a reading the last scrape could not renew is marked.
func gaugeValue(g record.Gauge) string {
	v := amount(g.Value)
	switch {
	case v == unknown:
	case g.Unit == "%":
		v = percent(g.Value)
	case g.Max > 0 && known(g.Max):
		v += "/" + amount(g.Max)
	case g.Unit == "ms":
		v = millis(g.Value)
	case g.Unit != "":
		v += " " + clean(g.Unit)
	}
	if g.Stale {
		v += "?"
	}
	return v
}
