package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// drawing builds an SVG with presentation attributes only, so that it shows even where a policy forbids every style and
// script (Jenkins does). Its classes let the page's own style sheet take the colours over in a dark theme.
type drawing struct {
	b    strings.Builder
	w, h float64
}

// Colours of the light theme, by class; page.css has the same ones and the dark theme's.
var ink = map[string]string{
	"c1": "#0b62c4", "c2": "#c4321c", "c3": "#a15c00", "c4": "#68727d", "c5": "#0f766e", "c6": "#7c3aed",
	"axis": "#66707b", "grid": "#e3e7eb", "text": "#4d5761", "load": "#eef3f9", "overload": "#fbeee4", "good": "#1a7f4b", "bad": "#c4321c",
}

func newDrawing(w, h float64, title string) *drawing {
	d := &drawing{w: w, h: h}
	fmt.Fprintf(&d.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="100%%" role="img" font-family="system-ui, sans-serif"><title>%s</title>`,
		num(w), num(h), html.EscapeString(clean(title)))
	return d
}

func (d *drawing) html() template.HTML {
	return template.HTML(d.b.String() + "</svg>") //nolint:gosec // every text went through html.EscapeString
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string, width float64, dash string) {
	fmt.Fprintf(&d.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s" stroke="%s" stroke-width="%s"`, num(x1), num(y1), num(x2), num(y2), "k-"+class, ink[class], num(width))
	if dash != "" {
		fmt.Fprintf(&d.b, ` stroke-dasharray="%s"`, dash)
	}
	d.b.WriteString("/>")
}

func (d *drawing) rect(x, y, w, h float64, class string) {
	fmt.Fprintf(&d.b, `<rect x="%s" y="%s" width="%s" height="%s" class="%s" fill="%s"/>`, num(x), num(y), num(w), num(h), "f-"+class, ink[class])
}

func (d *drawing) dot(x, y float64, class string, filled bool) {
	fill := `fill="none"`
	if filled {
		fill = fmt.Sprintf(`fill="%s"`, ink[class])
	}
	cls := "k-" + class + " hollow"
	if filled {
		cls = "k-" + class + " f-" + class
	}
	fmt.Fprintf(&d.b, `<circle cx="%s" cy="%s" r="4" class="%s" stroke="%s" stroke-width="1.8" %s/>`, num(x), num(y), cls, ink[class], fill)
}

// text writes at a baseline; anchor is start, middle or end.
func (d *drawing) text(x, y float64, s, anchor, class string) {
	fmt.Fprintf(&d.b, `<text x="%s" y="%s" text-anchor="%s" font-size="11" class="%s" fill="%s">%s</text>`,
		num(x), num(y), anchor, "f-"+class, ink[class], html.EscapeString(clean(s)))
}

// path draws a line through points; NaN leaves a gap.
func (d *drawing) path(xs, ys []float64, class string, dash bool) {
	var p strings.Builder
	open, alone := false, false
	flush := func() { // a lone point between two gaps would be invisible as a line of no length
		if alone {
			p.WriteString("h1")
		}
		alone = false
	}
	for i := range xs {
		if math.IsNaN(ys[i]) || math.IsInf(ys[i], 0) {
			flush()
			open = false
			continue
		}
		switch {
		case open:
			p.WriteString("L")
			alone = false
		default:
			p.WriteString("M")
			alone = true
		}
		p.WriteString(num(xs[i]) + " " + num(ys[i]))
		open = true
	}
	flush()
	if p.Len() == 0 {
		return
	}
	fmt.Fprintf(&d.b, `<path d="%s" fill="none" class="%s" stroke="%s" stroke-width="1.6" stroke-linejoin="round"`, p.String(), "k-"+class, ink[class])
	if dash {
		d.b.WriteString(` stroke-dasharray="5 3"`)
	}
	d.b.WriteString("/>")
}

// num writes a coordinate with one decimal at most.
func num(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

// ticks gives round numbers from 0 to at least top, four to six of them.
func ticks(top float64) []float64 {
	if !(top > 0) || math.IsInf(top, 0) {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(top/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if top/(step*m) <= 5 {
			step *= m
			break
		}
	}
	out := []float64{0}
	for v := step; out[len(out)-1] < top*0.999 && len(out) < 12; v += step {
		out = append(out, v)
	}
	return out
}

// axisLabel writes a tick short: "7.5", "1.5 s", "40 %".
func axisLabel(v float64, unit string) string {
	if v == 0 {
		return "0"
	}
	short := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	switch {
	case unit == "ms" && v >= 1000:
		return short(v/1000) + " s"
	case unit == "ms":
		return short(v) + " ms"
	case unit == "%":
		return short(v) + " %"
	case v >= 1e6:
		return short(v/1e6) + "M"
	case v >= 1e4:
		return short(v/1e3) + "k"
	default:
		return short(v) + unit
	}
}

// clock writes an offset into the run: "0:00", "1:45", "1:00:00".
func clock(s float64) string {
	t := int(s + 0.5)
	if t >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", t/3600, t/60%60, t%60)
	}
	return fmt.Sprintf("%d:%02d", t/60, t%60)
}

// clockTicks are round instants, at most eight.
func clockTicks(from, to float64) []float64 {
	step := 1.0
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400} {
		step = s
		if (to-from)/s <= 8 {
			break
		}
	}
	var out []float64
	for v := math.Ceil(from/step) * step; v <= to && len(out) < 12; v += step {
		out = append(out, v)
	}
	return out
}

// Frame of the time diagrams: all the same, so that they line up under each other.
const (
	timeWidth, timeHeight  = 720.0, 190.0
	timeLeft, timeRight    = 52.0, 12.0
	timeTop, timeBottom    = 22.0, 24.0
	timeSpan               = timeWidth - timeLeft - timeRight
	smallestLabelledBandPx = 7.0 // per character
)

// timeSVG draws a chart over [from, to] with the run's phases behind it.
func timeSVG(c chart, bands []band, from, to float64) template.HTML {
	d := newDrawing(timeWidth, timeHeight, c.Title+". "+c.Alt+".")
	if to <= from {
		to = from + 1
	}
	x := func(t float64) float64 { return timeLeft + (min(max(t, from), to)-from)/(to-from)*timeSpan }
	bottom := timeHeight - timeBottom
	d.bands(bands, x, timeTop, bottom)
	tk := ticks(c.top())
	y := func(v float64) float64 { return bottom - v/tk[len(tk)-1]*(bottom-timeTop) }
	for _, v := range tk {
		d.line(timeLeft, y(v), timeWidth-timeRight, y(v), "grid", 1, "")
		d.text(timeLeft-6, y(v)+4, axisLabel(v, c.Unit), "end", "text")
	}
	for _, t := range clockTicks(from, to) {
		d.text(x(t), timeHeight-7, clock(t), "middle", "text")
	}
	c = thin(c, svgPointsMax)
	for i := len(c.Series) - 1; i >= 0; i-- { // the first series lies on top
		s := c.Series[i]
		xs, ys := make([]float64, len(c.X)), make([]float64, len(c.X))
		for j, t := range c.X {
			xs[j], ys[j] = x(t), y(s.Y[j])
		}
		d.path(xs, ys, "c"+strconv.Itoa(s.Color), s.Dash)
	}
	for _, m := range c.Marks {
		d.line(x(m), bottom-6, x(m), bottom, "bad", 1.5, "")
	}
	return d.html()
}

// bands shades the phases and names those that are wide enough.
func (d *drawing) bands(bands []band, x func(float64) float64, top, bottom float64) {
	for i, b := range bands {
		x1, x2 := x(b.From), x(b.To)
		if x2 <= x1 {
			continue
		}
		switch {
		case b.Tone == "overload":
			d.rect(x1, top, x2-x1, bottom-top, "overload")
		case b.Tone == "load" && i%2 == 0:
			d.rect(x1, top, x2-x1, bottom-top, "load")
		}
		if x2-x1 >= smallestLabelledBandPx*float64(len([]rune(b.Label))) {
			d.text((x1+x2)/2, top-7, b.Label, "middle", "text")
		}
	}
}
