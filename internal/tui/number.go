package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/captest/captest/internal/record"
)

// unknown stands wherever there is no value: never 0.
const unknown = "–"

// known says whether x is a number that can be shown: rates, times and counts are never negative.
func known(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) && x >= 0 }

// number writes x with about three digits.
func number(x float64) string {
	switch {
	case !known(x):
		return unknown
	case x >= 999.5e9:
		return ">1T"
	case x >= 999.5e6:
		return short(x/1e9) + "G"
	case x >= 999.5e3:
		return short(x/1e6) + "M"
	case x >= 99_999.5:
		return short(x/1e3) + "k"
	case x == 0 || x >= 99.95 || x == math.Trunc(x) && x >= 10:
		return strconv.FormatFloat(x, 'f', 0, 64)
	default:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
}

// short writes 1.2, 12, 120.
func short(x float64) string {
	if x < 9.95 {
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// rate is per second.
func rate(x float64) string {
	if !known(x) {
		return unknown
	}
	return number(x) + "/s"
}

// amount writes a value that is usually whole (gauges): 3, 2.5, 120k.
func amount(x float64) string {
	if known(x) && x == math.Trunc(x) && x < 99_999.5 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return number(x)
}

// count writes how many.
func count(n uint64) string {
	if n < 100_000 {
		return strconv.FormatUint(n, 10)
	}
	return number(float64(n))
}

// millis writes a time given in ms with its unit.
func millis(ms float64) string {
	switch {
	case !known(ms):
		return unknown
	case ms >= 999_950:
		return number(ms/1e3) + " s"
	case ms >= 9_995:
		return strconv.FormatFloat(ms/1e3, 'f', 1, 64) + " s"
	case ms >= 999.5:
		return strconv.FormatFloat(ms/1e3, 'f', 2, 64) + " s"
	case ms >= 99.95:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case ms >= 9.995:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	}
}

// quantile is millis, or unknown when nothing stands behind q.
func quantile(q record.Quantiles, ms float64) string {
	if q.N == 0 {
		return unknown
	}
	return millis(ms)
}

// percent of a whole, without a decimal above 10.
func percent(x float64) string {
	switch {
	case !known(x):
		return unknown
	case x > 0 && x < 0.1:
		return "<0.1 %"
	case x >= 9.95 || x == 0:
		return strconv.FormatFloat(x, 'f', 0, 64) + " %"
	default:
		return strconv.FormatFloat(x, 'f', 1, 64) + " %"
	}
}

// clock writes a stretch of time as 01:05 or 1:02:03.
func clock(d time.Duration) string {
	s := max(0, int64(d/time.Second))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// left to go: 1:40, rounded up so that it never says 0:00 while something is still going on; unknown when it is 0.
func timeLeft(d time.Duration) string {
	if d <= 0 {
		return unknown
	}
	s := int64((d + time.Second - 1) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// load writes the load in force: "8 users", "120/s".
func load(l record.Load) string {
	switch {
	case l.Users == 1:
		return "1 user"
	case l.Users > 0:
		return amount(float64(l.Users)) + " users"
	case l.RatePerSecond > 0:
		return rate(l.RatePerSecond)
	default:
		return unknown
	}
}
