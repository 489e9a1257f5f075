package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// strip is the probes of one kind over one kind of connection, in order of time.
type strip struct {
	name   string
	probes []record.Probe
}

// stripsOf sorts probes into rows: functional before health, fresh before kept.
func stripsOf(probes []record.Probe) []strip {
	probes = slices.DeleteFunc(slices.Clone(probes), func(p record.Probe) bool { return !(p.OffsetS >= 0 && p.OffsetS < latest) })
	services := map[string]map[string]bool{}
	for _, p := range probes {
		if services[p.Probe] == nil {
			services[p.Probe] = map[string]bool{}
		}
		services[p.Probe][p.Service] = true
	}
	rows := map[string]*strip{}
	for _, p := range probes {
		name := clean(p.Probe) + ", " + clean(p.Connection)
		if len(services[p.Probe]) > 1 {
			name = clean(p.Service) + " " + name
		}
		name = cut(name, nameMax)
		if rows[name] == nil {
			if len(rows) == stripsMax {
				continue
			}
			rows[name] = &strip{name: name}
		}
		rows[name].probes = append(rows[name].probes, p)
	}
	var out []strip
	for _, name := range sortedKeys(rows) {
		r := rows[name]
		slices.SortStableFunc(r.probes, func(a, b record.Probe) int {
			switch {
			case a.OffsetS < b.OffsetS:
				return -1
			case a.OffsetS > b.OffsetS:
				return 1
			}
			return 0
		})
		out = append(out, *r)
	}
	slices.SortStableFunc(out, func(a, b strip) int { return rank(a.name) - rank(b.name) })
	return out
}

// stripsMax bounds the rows: four services with four probes each.
const stripsMax = 16

func rank(name string) int {
	if strings.Contains(name, "functional") {
		return 0
	}
	return 1
}

// overloadedAt is when the first overload began and ended: the probes after it decide the recovery class.
func overloadedAt(bands []band) (from, to float64, ok bool) {
	for _, b := range bands {
		if b.Tone == "overload" {
			return b.From, b.To, true
		}
	}
	return 0, 0, false
}

// releasedAt is when the first overload ended.
func releasedAt(bands []band) (float64, bool) {
	_, at, ok := overloadedAt(bands)
	return at, ok
}

// release is the end of one overload, and when the target was good again after it; NaN when it was not, or is not known.
type release struct{ at, good float64 }

// releasesOf reads them off the triggers, or, in a run of an older captest, off the bands.
func releasesOf(r *record.Recovery, bands []band) []release {
	good := func(at float64, seconds *float64) float64 {
		if finite(seconds) && *seconds > 0 {
			return at + *seconds
		}
		return math.NaN()
	}
	var out []release
	if r != nil {
		for _, t := range r.Triggers {
			if at := t.ReleasedS; at > 0 && at < latest && len(out) < stripsMax {
				out = append(out, release{at, good(at, t.Seconds)})
			}
		}
	}
	if at, ok := releasedAt(bands); ok && len(out) == 0 {
		var seconds *float64
		if r != nil {
			seconds = r.Seconds
		}
		out = append(out, release{at, good(at, seconds)})
	}
	return out
}

// A cell of the strip covers this many units; several probes in one cell show the worst of them.
const (
	stripLeft, stripRow = 140.0, 24.0
	stripCell           = 2.0
)

// stripSVG draws one row per kind of probe. A success is a low bar, a failure a high one, so that colour is not needed to read it.
func stripSVG(rows []strip, bands []band, releases []release) template.HTML {
	from, to := math.Inf(1), math.Inf(-1)
	for _, r := range rows {
		from, to = min(from, r.probes[0].OffsetS), max(to, r.probes[len(r.probes)-1].OffsetS)
	}
	began, released, overloaded := overloadedAt(bands)
	if overloaded && released < to { // the quiet probes before the overload are in the timeline's numbers already
		from = max(from, began-5)
	}
	if to-from < 1 {
		to = from + 1
	}
	top := 24.0
	height := top + stripRow*float64(len(rows)) + 28
	d := newDrawing(timeWidth, height, "Probes over time. "+stripText(rows, released))
	span := timeWidth - stripLeft - timeRight
	x := func(t float64) float64 { return stripLeft + (min(max(t, from), to)-from)/(to-from)*span }
	bottom := top + stripRow*float64(len(rows))
	for _, b := range bands {
		if b.Tone == "overload" && x(b.To) > x(b.From) {
			d.rect(x(b.From), top, x(b.To)-x(b.From), bottom-top, "overload")
			if w := x(b.To) - x(b.From); w > 60 {
				d.text((x(b.From)+x(b.To))/2, top-8, b.Label, "middle", "text")
			}
		}
	}
	for i, r := range rows {
		base := top + stripRow*float64(i+1) - 4
		d.text(stripLeft-10, base-3, cut(r.name, 22), "end", "text")
		d.line(stripLeft, base+0.5, timeWidth-timeRight, base+0.5, "grid", 1, "")
		d.cells(r, x, from, base)
	}
	for _, v := range releases {
		if !(v.at > from && v.at < to) {
			continue
		}
		d.line(x(v.at), top-4, x(v.at), bottom, "axis", 1.2, "")
		d.text(x(v.at)+4, bottom+22, "load ends", "start", "text")
		if v.good < to {
			d.line(x(v.good), top-4, x(v.good), bottom, "good", 1.2, "3 2")
			d.text(x(v.good)+4, top-8, "good again after "+tenths(v.good-v.at), "start", "good")
		}
	}
	for _, t := range clockTicks(from, to) {
		d.text(x(t), bottom+11, clock(t), "middle", "text")
	}
	return d.html()
}

// cells merges probes that fall into the same place and neighbours of the same kind, so that an hour of probes stays small.
func (d *drawing) cells(r strip, x func(float64) float64, from, base float64) {
	type run struct {
		x1, x2 float64
		ok     bool
	}
	var runs []run
	for _, p := range r.probes {
		if p.OffsetS < from {
			continue
		}
		at := math.Floor(x(p.OffsetS)/stripCell) * stripCell
		if n := len(runs); n > 0 {
			last := &runs[n-1]
			switch {
			case at < last.x2 && last.ok && !p.OK: // the worse one shows
				if last.x1 == at {
					last.ok = false
					continue
				}
				last.x2 = at
			case at < last.x2:
				continue
			case last.ok == p.OK && at-last.x2 < 4*stripCell:
				last.x2 = at + stripCell
				continue
			}
		}
		runs = append(runs, run{at, at + stripCell, p.OK})
	}
	for _, s := range runs {
		if s.ok {
			d.rect(s.x1, base-5, s.x2-s.x1, 5, "good")
		} else {
			d.rect(s.x1, base-16, s.x2-s.x1, 16, "bad")
		}
	}
}

// stripText tells the strip in words, for whoever cannot see it.
func stripText(rows []strip, after float64) string {
	var parts []string
	for _, r := range rows {
		ok, n := 0, 0
		for _, p := range r.probes {
			if p.OffsetS >= after {
				n++
				if p.OK {
					ok++
				}
			}
		}
		parts = append(parts, fmt.Sprintf("%s: %d of %d ok after the load", r.name, ok, n))
	}
	return strings.Join(parts, "; ")
}

// probesTable counts the strip's rows after the load.
func probesTable(rows []strip, bands []band) table {
	t := table{
		ID: "probes", Title: "Probes after the load", Caption: "What single requests met once the load was gone. Fresh probes open a connection each, kept ones reuse theirs.",
		Columns: []column{
			{Head: "probe"},
			{Head: "n", Number: true},
			{Head: "ok", Number: true},
			{Head: "p50", Number: true},
			{Head: "slowest", Number: true},
			{Head: "errors"},
		},
	}
	after, _ := releasedAt(bands)
	for _, r := range rows {
		var ms []float64
		ok := 0
		classes := map[string]int{}
		for _, p := range r.probes {
			if p.OffsetS < after {
				continue
			}
			ms = append(ms, p.Ms)
			switch {
			case p.OK:
				ok++
			case p.Error != "":
				classes[clean(p.Error)]++
			default:
				classes[fmt.Sprintf("status %d", p.Status)]++
			}
		}
		if len(ms) == 0 {
			t.add(plainCells(r.name, "0", dash, dash, dash, "")...)
			continue
		}
		slices.Sort(ms)
		var errs []string
		for _, c := range sortedKeys(classes) {
			errs = append(errs, fmt.Sprintf("%s × %d", c, classes[c]))
		}
		row := plainCells(r.name, count(uint64(len(ms))), percent(100*float64(ok)/float64(len(ms))), millis(ms[len(ms)/2]), millis(ms[len(ms)-1]), strings.Join(errs, ", "))
		if ok < len(ms) {
			row[2].Tone = "bad"
		}
		t.add(row...)
	}
	return t
}
