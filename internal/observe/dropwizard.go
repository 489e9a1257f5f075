package observe

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/captest/captest/internal/record"
)

// dropwizard is the JSON of a Dropwizard metrics servlet, which Kill Bill serves at /1.0/metrics.
type dropwizard struct {
	Gauges     map[string]map[string]json.RawMessage `json:"gauges"`
	Counters   map[string]map[string]json.RawMessage `json:"counters"`
	Histograms map[string]map[string]json.RawMessage `json:"histograms"`
	Meters     map[string]map[string]json.RawMessage `json:"meters"`
	Timers     map[string]map[string]json.RawMessage `json:"timers"`
}

// What is kept of a distribution. Times become seconds, whatever unit they were shown in.
var (
	rateStats     = []string{"count", "mean_rate", "m1_rate"}
	durationStats = []string{"mean", "min", "max", "p50", "p95", "p99", "p999"}
)

// parseDropwizard flattens it: gauges and counters to `name`, the rest to `name{stat="p95"}`. A timer that never ran is left
// out, and so is a gauge that is no number.
func parseDropwizard(body []byte) (map[string]float64, error) {
	var d dropwizard
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, fmt.Errorf("not Dropwizard JSON: %w", err)
	}
	values := make(map[string]float64)
	put := func(name string, v float64, labels ...record.Label) {
		values[record.MetricKey(plainName(name), labels...)] = v
	}
	stats := func(name string, from map[string]json.RawMessage, scale float64, list []string) {
		for _, stat := range list {
			if v, ok := number(from[stat]); ok {
				put(name, v*scale, record.Label{Name: "stat", Value: stat})
			}
		}
	}
	for name, g := range d.Gauges {
		if v, ok := number(g["value"]); ok && wanted(name) {
			put(name, v)
		}
	}
	for name, c := range d.Counters {
		if v, ok := number(c["count"]); ok {
			put(name, v)
		}
	}
	for name, m := range d.Meters {
		stats(name, m, 1, rateStats)
	}
	for name, h := range d.Histograms {
		stats(name, h, 1, rateStats[:1])
		stats(name, h, 1, durationStats)
	}
	for name, t := range d.Timers {
		if n, ok := number(t["count"]); !ok || n == 0 {
			continue
		}
		stats(name, t, 1, rateStats)
		if scale, ok := unitSeconds(t["duration_units"]); ok {
			stats(name, t, scale, durationStats)
		}
	}
	return values, nil
}

// plainName keeps a name from looking as if it had labels.
func plainName(name string) string { return braces.Replace(name) }

var braces = strings.NewReplacer("{", "(", "}", ")")

// number reads a finite JSON number.
func number(raw json.RawMessage) (float64, bool) {
	var v *float64
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil || v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return 0, false
	}
	return *v, true
}

// unitSeconds is how many seconds one unit of a timer is; false when the unit is unknown.
func unitSeconds(raw json.RawMessage) (float64, bool) {
	var unit string
	if len(raw) == 0 {
		return 1, true // Dropwizard's default
	}
	if json.Unmarshal(raw, &unit) != nil {
		return 0, false
	}
	switch strings.ToLower(unit) {
	case "nanoseconds":
		return 1e-9, true
	case "microseconds":
		return 1e-6, true
	case "milliseconds":
		return 1e-3, true
	case "seconds":
		return 1, true
	case "minutes":
		return 60, true
	}
	return 0, false
}
