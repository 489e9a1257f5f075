package record

import (
	"strconv"
	"strings"
)

// Value is the number a limit speaks about, for one step or ("") all of them; false when there is no data, which is never a
// zero. Metrics and units:
//
//	p (quantile in percent: 95, 99.9) or the short p95, p99.9; mean, avg; min; max   response time in ms
//	errors    percent of requests that failed, arrivals that never started included
//	goodput   successful requests per second
//	n         completed requests
func (s TrialSums) Value(step, metric string, quantile float64) (float64, bool) {
	n, ok, dropped, latency, histogram := s.N, s.OK, s.Dropped, s.Latency, s.Response
	if step != "" {
		x, found := s.Steps[step]
		if !found {
			return 0, false
		}
		n, ok, latency, histogram = x.N, x.OK, x.Latency, x.Response
		if len(s.Steps) > 1 {
			dropped = 0 // a dropped arrival belongs to the journey, not to one of its steps
		}
	}
	switch metric {
	case "n":
		return float64(n), n > 0
	case "errors":
		all := n + dropped
		if all == 0 {
			return 0, false
		}
		return 100 * float64(n-ok+dropped) / float64(all), true
	case "goodput":
		if s.Seconds <= 0 || n+dropped == 0 {
			return 0, false
		}
		return float64(ok) / s.Seconds, true
	}
	if n == 0 {
		return 0, false
	}
	switch metric {
	case "mean", "avg":
		return deref(latency.MeanMs)
	case "max":
		return deref(latency.MaxMs)
	case "min":
		if histogram.N() == 0 {
			return 0, false
		}
		return histogram.MinMs(), true
	}
	if short, isShort := strings.CutPrefix(metric, "p"); isShort && short != "" {
		q, err := strconv.ParseFloat(short, 64)
		if err != nil {
			return 0, false
		}
		metric, quantile = "p", q
	}
	if metric != "p" || !(quantile > 0 && quantile <= 100) {
		return 0, false
	}
	if histogram.N() > 0 {
		return histogram.QuantileMs(quantile / 100), true
	}
	return latency.at(quantile)
}

// at is one of the quantiles (in percent) that a Latency carries.
func (l Latency) at(quantile float64) (float64, bool) {
	switch quantile {
	case 50:
		return deref(l.P50Ms)
	case 90:
		return deref(l.P90Ms)
	case 95:
		return deref(l.P95Ms)
	case 99:
		return deref(l.P99Ms)
	case 99.9:
		return deref(l.P999Ms)
	}
	return 0, false
}

func deref(v *float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return *v, true
}
