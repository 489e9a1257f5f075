package report

import (
	"math"
	"strconv"
)

// chart is one diagram over time: drawn twice, as SVG in Go and by uPlot when scripts run. NaN is unknown and leaves a gap.
type chart struct {
	ID, Title string
	Unit      string // of the values: "ms", "/s", "%" or "" for counts
	Alt       string // what a reader who cannot see it should know
	X         []float64
	Series    []series
	Marks     []float64 // instants at which the reading failed
}

type series struct {
	Name  string
	Color int // 1…6, a place in the palette
	Dash  bool
	Y     []float64
}

// pointsMax bounds a series on the page: k6 and Gatling draw no more either, and no screen shows more.
const pointsMax = 1000

// svgPointsMax bounds the static drawing, which is 720 units wide.
const svgPointsMax = 360

// thin reduces all series of a chart to at most limit points each, by bucket: every bucket of neighbouring seconds gives two
// points, its lowest and its highest value in the order they came. Peaks and dips survive, unlike with averages. The series
// stay aligned: two points of one bucket share the times of the bucket's first and last second.
func thin(c chart, limit int) chart {
	n := len(c.X)
	if n <= limit {
		return c
	}
	buckets := limit / 2
	out := c
	out.X = make([]float64, 0, 2*buckets)
	out.Series = make([]series, len(c.Series))
	for i, s := range c.Series {
		s.Y = make([]float64, 0, 2*buckets)
		out.Series[i] = s
	}
	for b := range buckets {
		from, to := b*n/buckets, (b+1)*n/buckets
		out.X = append(out.X, c.X[from], c.X[to-1])
		for i, s := range c.Series {
			first, second := extremes(s.Y[from:to])
			out.Series[i].Y = append(out.Series[i].Y, first, second)
		}
	}
	return out
}

// extremes gives the lowest and the highest value in the order they occur; NaN twice when there is no value.
func extremes(y []float64) (first, second float64) {
	lo, hi := -1, -1
	for i, v := range y {
		if math.IsNaN(v) {
			continue
		}
		if lo < 0 || v < y[lo] {
			lo = i
		}
		if hi < 0 || v > y[hi] {
			hi = i
		}
	}
	switch {
	case lo < 0:
		return math.NaN(), math.NaN()
	case lo <= hi:
		return y[lo], y[hi]
	default:
		return y[hi], y[lo]
	}
}

// top is the highest value of all series, 0 without any.
func (c chart) top() float64 {
	m := 0.0
	for _, s := range c.Series {
		for _, v := range s.Y {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				m = max(m, v)
			}
		}
	}
	return m
}

// floats writes numbers as compact JSON: four significant digits, NaN and infinities as null.
type floats []float64

// MarshalJSON implements json.Marshaler.
func (f floats) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(f)+2)
	b = append(b, '[')
	for i, v := range f {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			b = append(b, "null"...)
		case math.Abs(v) >= 1000 && math.Abs(v) < 1e15:
			b = strconv.AppendFloat(b, v, 'f', 0, 64)
		default:
			b = strconv.AppendFloat(b, v, 'g', 4, 64)
		}
	}
	return append(b, ']'), nil
}
