package report

import "github.com/captest/captest/internal/record"

// curveLine says in one line which model of throughput over users the closed levels support, or why there is none.
func curveLine(r *record.Result) string {
	c := r.Capacity.Curve
	switch {
	case c == nil:
		return ""
	case c.Sentence == "":
		return c.Refused
	}
	s := c.Sentence
	if finite(c.ErrorPercent) {
		s += ", within " + percent(max(0.1, *c.ErrorPercent)) + " over " + plural(uint64(max(0, c.Levels)), "level", "levels")
	}
	return s
}
