package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/captest/captest/internal/yamlfile"
)

// Limit is one expression a run is judged by: `[step.]metric op value`.
//
//	register.p95<1s     p(95)<1000      mean<300ms     errors<1%
//	goodput>400/min     n>=200          capacity>=8/s  recovery<10s
type Limit struct {
	Expr string // as written
	Step string // "" for all steps together
	// Metric is the normalised name: "p95", "p99.9", "mean", "min", "max", "errors", "goodput", "n", "capacity", "recovery".
	Metric string
	// Quantile is in percent for the percentiles (99.9 for p99.9) and 0 for every other metric.
	Quantile float64
	Op       string // "<", "<=", ">", ">="
	// Value is normalised: ms for latencies, percent for errors, per second for goodput and capacity, seconds for
	// recovery, a count for n.
	Value float64
	Unit  string // "ms", "%", "/s", "s" or "" (a count): the unit of Value
}

// limitMax bounds an expression; the longest sensible one is under forty characters.
const limitMax = 200

// metricUnits holds the metrics besides the percentiles and the unit their values are normalised to.
var metricUnits = map[string]string{
	"mean": "ms", "min": "ms", "max": "ms",
	"errors": "%", "goodput": "/s", "n": "",
	"capacity": "/s", "recovery": "s",
}

// metricNames are offered when a metric is not known.
var metricNames = []string{
	"p50", "p75", "p90", "p95", "p99", "p99.9", "mean", "avg", "med", "min", "max", "errors", "goodput", "n", "capacity", "recovery",
}

// LimitError is an expression that could not be read.
type LimitError struct {
	Expr   string
	Column int // in characters, from 1
	Msg    string
}

// Error names the column.
func (e *LimitError) Error() string {
	return fmt.Sprintf("limit %q: column %d: %s", e.Expr, e.Column, e.Msg)
}

// Hint shows the grammar by example.
func (e *LimitError) Hint() string {
	return "write [step.]metric op value, such as register.p95<1s, errors<1%, goodput>400/min, capacity>=8/s or recovery<10s"
}

// ParseLimit reads one expression. The error is a *LimitError.
func ParseLimit(expr string) (Limit, error) {
	fail := func(byteAt int, format string, args ...any) (Limit, error) {
		shown := expr
		if len(shown) > limitMax {
			shown = strings.ToValidUTF8(shown[:limitMax], "") + "…"
		}
		return Limit{}, &LimitError{Expr: shown, Column: utf8.RuneCountInString(expr[:byteAt]) + 1, Msg: fmt.Sprintf(format, args...)}
	}
	if len(expr) > limitMax {
		return fail(0, "longer than %d characters", limitMax)
	}
	if strings.TrimSpace(expr) == "" {
		return fail(0, "empty")
	}
	at := strings.IndexAny(expr, "<>=!≤≥")
	if at < 0 {
		return fail(len(expr), "no comparison; one of <, <=, >, >= must follow the metric")
	}
	_, width := utf8.DecodeRuneInString(expr[at:])
	op := expr[at : at+width]
	if width == 1 && at+1 < len(expr) && expr[at+1] == '=' {
		op = expr[at : at+2]
	}
	switch op {
	case "<", "<=", ">", ">=":
	default:
		return fail(at, "%q is not a comparison for a limit; use <, <=, > or >=", op)
	}

	l := Limit{Expr: strings.TrimSpace(expr), Op: op}
	left, leftAt := trimAt(expr[:at], 0)
	if left == "" {
		return fail(at, "no metric before %s", op)
	}
	name, nameAt := left, leftAt
	metric, quantile, known := parseMetric(name)
	if dot := strings.IndexByte(left, '.'); !known && dot >= 0 && !looksLikePercentile(left) {
		l.Step = left[:dot]
		if !validName(l.Step) {
			return fail(leftAt, "%q is not a step name", l.Step)
		}
		name, nameAt = left[dot+1:], leftAt+dot+1
		metric, quantile, known = parseMetric(name)
	}
	if !known {
		if looksLikePercentile(name) {
			return fail(nameAt, "%q is not a percentile; p1 to p99.999 are, with more than 0 and less than 100", name)
		}
		if nearest := yamlfile.Nearest(name, metricNames); nearest != "" {
			return fail(nameAt, "unknown metric %q (did you mean %q?)", name, nearest)
		}
		return fail(nameAt, "unknown metric %q; there are p50…p99.9, mean, min, max, errors, goodput, n, capacity and recovery", name)
	}
	l.Metric, l.Quantile = metric, quantile
	l.Unit = "ms"
	if quantile == 0 {
		l.Unit = metricUnits[metric]
	}
	if l.Step != "" && !l.LoadLevel() {
		return fail(leftAt, "%s is judged for the whole run, not for a step", metric)
	}

	right, rightAt := trimAt(expr[at+len(op):], at+len(op))
	value, msg := parseLimitValue(right, l.Unit, metric)
	if msg != "" {
		return fail(rightAt, "%s", msg)
	}
	if op == "<" && value == 0 {
		return fail(at, "nothing is below 0; write %s<=0", left)
	}
	l.Value = value
	return l, nil
}

// Holds says whether a measured value, in the limit's Unit, keeps the limit. A value that is not a number never does.
func (l Limit) Holds(value float64) bool {
	switch l.Op {
	case "<":
		return value < l.Value
	case "<=":
		return value <= l.Value
	case ">":
		return value > l.Value
	case ">=":
		return value >= l.Value
	}
	return false
}

// LoadLevel says whether the metric is measured at each load; capacity and recovery belong to the whole run.
func (l Limit) LoadLevel() bool { return l.Metric != "capacity" && l.Metric != "recovery" }

// parseMetric normalises a metric name; quantile is in percent, 0 for what is not a percentile.
func parseMetric(name string) (metric string, quantile float64, ok bool) {
	switch name {
	case "avg":
		return "mean", 0, true
	case "med", "median":
		return "p50", 50, true
	}
	if _, ok := metricUnits[name]; ok {
		return name, 0, true
	}
	if !looksLikePercentile(name) {
		return "", 0, false
	}
	digits := name[1:]
	if strings.HasPrefix(digits, "(") && strings.HasSuffix(digits, ")") {
		digits = strings.TrimSpace(digits[1 : len(digits)-1])
	}
	if digits == "" || len(digits) > 8 || strings.Trim(digits, "0123456789.") != "" {
		return "", 0, false
	}
	q, err := strconv.ParseFloat(digits, 64)
	if err != nil || q <= 0 || q >= 100 {
		return "", 0, false
	}
	return "p" + strconv.FormatFloat(q, 'f', -1, 64), q, true
}

// looksLikePercentile tells "p99.9" and "p(95)" from a step and its metric.
func looksLikePercentile(name string) bool {
	return len(name) > 1 && name[0] == 'p' && (name[1] == '(' || name[1] >= '0' && name[1] <= '9') &&
		strings.Trim(name[1:], "(). 0123456789") == ""
}

// parseLimitValue reads the right-hand side in the metric's unit; msg says what is wrong with it.
func parseLimitValue(text, unit, metric string) (value float64, msg string) {
	if text == "" {
		return 0, "no value after the comparison"
	}
	cut := len(text)
	for i, r := range text {
		if r != '.' && r != '+' && r != '-' && (r < '0' || r > '9') {
			cut = i
			break
		}
	}
	number, suffix := text[:cut], strings.TrimSpace(text[cut:])
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, fmt.Sprintf("%q is not a number", text)
	}
	if v < 0 {
		return 0, "a limit cannot be negative"
	}
	wrong := func(want string) (float64, string) {
		return 0, fmt.Sprintf("%s is compared with %s, not with %q", metric, want, text)
	}
	switch unit {
	case "ms", "s":
		if suffix == "" {
			return v, "" // a bare number has the metric's own unit
		}
		d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			return wrong("a time such as 800ms or 1s")
		}
		if unit == "s" {
			return d.Seconds(), ""
		}
		return float64(d) / float64(time.Millisecond), ""
	case "%":
		if suffix != "%" && suffix != "" {
			return wrong("a percentage such as 1%")
		}
		if suffix == "" && v != 0 {
			// 0.01 could mean a hundredth or a hundredth of a percent: k6 writes rate<0.01, people say 1 %.
			return 0, fmt.Sprintf("errors are a percentage: write %s%%", number)
		}
		if v > 100 {
			return 0, "more than 100%"
		}
		return v, ""
	case "/s":
		per, ok := perSecond(suffix)
		if !ok {
			return wrong("a rate such as 8/s or 400/min")
		}
		return v * per, ""
	default:
		if suffix != "" {
			return wrong("a plain number")
		}
		return v, ""
	}
}

// perSecond gives the factor of a rate's unit; a bare number is per second.
func perSecond(suffix string) (factor float64, ok bool) {
	switch strings.ReplaceAll(suffix, " ", "") {
	case "", "/s", "/sec", "/second":
		return 1, true
	case "/m", "/min", "/minute":
		return 1.0 / 60, true
	case "/h", "/hour":
		return 1.0 / 3600, true
	}
	return 0, false
}

// trimAt cuts white space off both ends and says where the rest starts in the whole.
func trimAt(s string, offset int) (trimmed string, at int) {
	left := strings.TrimLeft(s, " \t")
	return strings.TrimRight(left, " \t"), offset + len(s) - len(left)
}
