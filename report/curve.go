package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// point is one load of the capacity curve.
type point struct {
	load       float64
	label      string
	good       float64
	mean, p95  float64 // NaN when unknown
	held, over bool    // within limits; the overload
}

// curve is throughput and latency against the load, of one family: closed levels, or open rates.
type curve struct {
	points []point
	closed bool
	knee   float64 // users, NaN when unknown
	top    float64 // most goodput of any level, NaN when unknown
}

// curveOf takes the family with more trials; a single load makes no curve.
func curveOf(r *record.Result) (curve, bool) {
	var closed, open []point
	for _, t := range r.Trials {
		if t.N == 0 || t.Verdict == "invalid" || t.Phase != "overload" && gate.Stimulus(t.Phase) {
			continue
		}
		p := point{good: t.GoodputPerSecond, mean: orNaN(t.Latency.MeanMs), p95: orNaN(t.Latency.P95Ms), held: t.Verdict == "pass", over: t.Phase == "overload"}
		switch {
		case t.Load.Users > 0:
			p.load, p.label = float64(t.Load.Users), strconv.Itoa(t.Load.Users)
			closed = append(closed, p)
		case t.Load.RatePerSecond > 0:
			p.load, p.label = t.Load.RatePerSecond, digits3(t.Load.RatePerSecond)
			open = append(open, p)
		}
	}
	c := curve{points: closed, closed: true, knee: orNaN(r.Capacity.Concurrency.Knee), top: orNaN(r.Capacity.MaxPerSecond)}
	if len(open) > len(closed) {
		c = curve{points: open, knee: math.NaN(), top: math.NaN()}
	}
	slices.SortStableFunc(c.points, func(a, b point) int { return cmp.Compare(a.load, b.load) })
	if len(c.points) < 2 || c.points[0].load == c.points[len(c.points)-1].load || len(c.points) > rowsMax {
		return curve{}, false
	}
	return c, true
}

// Frame of the two small diagrams: a phone shows them at this very size.
const (
	curveWidth, curveHeight = 360.0, 250.0
	curveLeft, curveRight   = 50.0, 14.0
	curveTop, curveBottom   = 16.0, 40.0
)

// plot is the empty diagram with its scales. Loads double, so the x axis is logarithmic.
func (c curve) plot(title string, top float64, unit string) (d *drawing, x, y func(float64) float64) {
	d = newDrawing(curveWidth, curveHeight, title)
	lo, hi := math.Log(c.points[0].load), math.Log(c.points[len(c.points)-1].load)
	bottom := curveHeight - curveBottom
	x = func(v float64) float64 {
		return curveLeft + 10 + (math.Log(v)-lo)/(hi-lo)*(curveWidth-curveLeft-curveRight-20)
	}
	tk := ticks(top)
	y = func(v float64) float64 { return bottom - v/tk[len(tk)-1]*(bottom-curveTop) }
	for _, v := range tk {
		d.line(curveLeft, y(v), curveWidth-curveRight, y(v), "grid", 1, "")
		d.text(curveLeft-6, y(v)+4, axisLabel(v, unit), "end", "text")
	}
	last := math.Inf(-1)
	for _, p := range c.points {
		if at := x(p.load); at-last >= 3+6*float64(len(p.label)) {
			d.text(at, bottom+16, p.label, "middle", "text")
			last = at
		}
	}
	label := "users at once (log scale)"
	if !c.closed {
		label = "arrivals a second (log scale)"
	}
	d.text((curveLeft+curveWidth-curveRight)/2, curveHeight-6, label, "middle", "text")
	return d, x, y
}

// bounded says whether the asymptotic bounds are known.
func (c curve) bounded() bool { return c.closed && c.knee > 0 && c.top > 0 } // NaN is neither

// throughputSVG draws goodput against load, with the bound no closed system can beat: N/R(1) up to the knee, then Xmax
// (Denning & Buzen 1978).
func (c curve) throughputSVG() template.HTML {
	top := 0.0
	for _, p := range c.points {
		top = max(top, p.good)
	}
	d, x, y := c.plot(c.describe(), top*1.12, "/s")
	if c.bounded() {
		var xs, ys []float64
		lo, hi := c.points[0].load, c.points[len(c.points)-1].load
		for i := range 61 {
			n := lo * math.Pow(hi/lo, float64(i)/60)
			xs, ys = append(xs, x(n)), append(ys, y(min(c.top, c.top*n/c.knee)))
		}
		d.path(xs, ys, "c4", true)
		if c.knee > lo && c.knee < hi {
			d.line(x(c.knee), curveTop, x(c.knee), curveHeight-curveBottom, "axis", 1, "2 3")
			d.text(x(c.knee)+5, curveHeight-curveBottom-7, "knee "+digits3(c.knee), "start", "text")
		}
	}
	c.draw(d, x, y, func(p point) float64 { return p.good }, "c1", false)
	return d.html()
}

// latencySVG draws response times against load, with the bound no closed system can beat: R(1) up to the knee, then N/Xmax (Denning
// & Buzen 1978).
func (c curve) latencySVG() template.HTML {
	top := 0.0
	for _, p := range c.points {
		for _, v := range []float64{p.mean, p.p95} {
			if !math.IsNaN(v) {
				top = max(top, v)
			}
		}
	}
	d, x, y := c.plot(fmt.Sprintf("Response time against load: at most %s. The trials table has every number.", millis(top)), top*1.05, "ms")
	if c.bounded() {
		var xs, ys []float64
		lo, hi := c.points[0].load, c.points[len(c.points)-1].load
		for i := range 61 {
			n := lo * math.Pow(hi/lo, float64(i)/60)
			xs, ys = append(xs, x(n)), append(ys, y(min(top*1.05, 1000*max(c.knee, n)/c.top)))
		}
		d.path(xs, ys, "c4", true)
	}
	c.draw(d, x, y, func(p point) float64 { return p.p95 }, "c3", true)
	c.draw(d, x, y, func(p point) float64 { return p.mean }, "c1", false)
	return d.html()
}

// draw joins the points; a filled one held the limits, a hollow one did not.
func (c curve) draw(d *drawing, x, y func(float64) float64, value func(point) float64, class string, dash bool) {
	xs, ys := make([]float64, len(c.points)), make([]float64, len(c.points))
	for i, p := range c.points {
		xs[i], ys[i] = x(p.load), y(value(p))
	}
	d.path(xs, ys, class, dash)
	for i, p := range c.points {
		if !math.IsNaN(ys[i]) {
			d.dot(xs[i], ys[i], class, p.held)
		}
	}
}

func (c curve) describe() string {
	best := c.points[0]
	for _, p := range c.points {
		if p.good > best.good {
			best = p
		}
	}
	unit := " users"
	if !c.closed {
		unit = "/s offered"
	}
	return fmt.Sprintf("Good answers a second against load: most, %s/s, at %s%s. The trials table has every number.", digits3(best.good), best.label, unit)
}
