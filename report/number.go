package report

import (
	"math"
	"strconv"
	"strings"
)

// Unknown values: a word in sentences, a dash in tables, never 0.
const (
	unknown = "unknown"
	dash    = "–"
)

func finite(p *float64) bool { return p != nil && !math.IsNaN(*p) && !math.IsInf(*p, 0) }

// opt formats a value that may be unknown.
func opt(p *float64, format func(float64) string, missing string) string {
	if !finite(p) {
		return missing
	}
	return format(*p)
}

// digits3 writes three significant digits, more where the integer part needs them: 0.0421, 7.46, 133, 12,345.
func digits3(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v == 0:
		return "0"
	case a >= 1e15:
		return strconv.FormatFloat(v, 'e', 2, 64)
	case a >= 99.95:
		s := strconv.FormatFloat(a, 'f', 0, 64)
		if v < 0 {
			return "-" + group(s)
		}
		return group(s)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 0.0005:
		return strconv.FormatFloat(v, 'f', 3, 64)
	default:
		return strconv.FormatFloat(v, 'e', 1, 64)
	}
}

// group puts a comma before each three digits.
func group(s string) string {
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func count(n uint64) string { return group(strconv.FormatUint(n, 10)) }

// number writes a float that is usually a count: 12 stays 12, 7.5 keeps its fraction.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		if v < 0 {
			return "-" + count(uint64(-v))
		}
		return count(uint64(v))
	}
	return digits3(v)
}

// millis writes a duration given in ms in the unit people would say it in.
func millis(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v == 0:
		return "0 ms"
	case math.Abs(v) < 999.5:
		return digits3(v) + " ms"
	case math.Abs(v) < 600e3:
		return digits3(v/1e3) + " s"
	default:
		m := math.Round(v / 1e3)
		return number(math.Floor(m/60)) + " min " + number(math.Mod(m, 60)) + " s"
	}
}

func seconds(v float64) string { return millis(v * 1e3) }

// tenths writes seconds no finer than probes twice a second can know them.
func tenths(v float64) string {
	if math.IsNaN(v) || math.Abs(v) >= 600 {
		return seconds(v)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " s"
}

// percent never rounds to the ends of the scale: 100 % and 0 % mean every one and none.
func percent(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case v == 0 || v == 100:
		return strconv.FormatFloat(v, 'f', 0, 64) + " %"
	case v > 0 && v < 0.1:
		return "<0.1 %"
	case v > 99.9 && v < 100:
		return ">99.9 %"
	default:
		return strconv.FormatFloat(v, 'f', 1, 64) + " %"
	}
}

func bytesIn(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	return digits3(v) + " " + units[i]
}

// inUnit writes a value in the unit a limit or an evidence names.
func inUnit(v float64, unit string) string {
	switch unit {
	case "ms":
		return millis(v)
	case "s", "seconds":
		return seconds(v)
	case "%", "percent":
		return percent(v)
	case "/s", "per_second":
		return digits3(v) + "/s"
	case "bytes":
		return bytesIn(v)
	case "":
		return number(v)
	default:
		return strings.TrimSpace(number(v) + " " + unit)
	}
}

// plural writes "1 user", "8 users".
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
