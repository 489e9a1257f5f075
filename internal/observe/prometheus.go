package observe

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/captest/captest/internal/record"
)

// parsePrometheus reads the Prometheus text format into `name{label="v",…}` → value. Histograms and summaries give their _sum
// and _count; buckets, quantiles and the runtime's internals are left out, they would be most of the folder.
func parsePrometheus(body []byte) (values map[string]float64, err error) {
	defer func() { // the text is a stranger's: nothing in it may end the run
		if p := recover(); p != nil {
			values, err = nil, fmt.Errorf("not metrics: %v", p)
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("not metrics: %w", err)
	}
	values = make(map[string]float64)
	for name, family := range families {
		if !wanted(name) {
			continue
		}
		for _, m := range family.GetMetric() {
			flatten(values, name, m)
		}
	}
	return values, nil
}

func flatten(values map[string]float64, name string, m *dto.Metric) {
	labels := make([]record.Label, 0, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		labels = append(labels, record.Label{Name: l.GetName(), Value: l.GetValue()})
	}
	put := func(name string, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			values[record.MetricKey(name, labels...)] = v
		}
	}
	switch {
	case m.GetCounter() != nil:
		put(name, m.GetCounter().GetValue())
	case m.GetGauge() != nil:
		put(name, m.GetGauge().GetValue())
	case m.GetHistogram() != nil:
		put(name+"_sum", m.GetHistogram().GetSampleSum())
		put(name+"_count", float64(m.GetHistogram().GetSampleCount()))
	case m.GetSummary() != nil:
		put(name+"_sum", m.GetSummary().GetSampleSum())
		put(name+"_count", float64(m.GetSummary().GetSampleCount()))
	case m.GetUntyped() != nil && !strings.HasSuffix(name, "_bucket"):
		put(name, m.GetUntyped().GetValue())
	}
}

// wanted says whether a metric is worth keeping: everything but the internals of the runtime and of the metrics library.
func wanted(name string) bool {
	for _, prefix := range []string{"promhttp_", "python_info", "scrape_"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	if !strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "go_sql_") {
		return true
	}
	switch name {
	case "go_goroutines", "go_threads", "go_gc_duration_seconds", "go_memstats_heap_inuse_bytes",
		"go_sync_mutex_wait_total_seconds_total", "go_cpu_classes_gc_total_cpu_seconds_total", "go_sched_gomaxprocs_threads":
		return true
	}
	return false
}

// trim removes all but the first most values, in the order: names captest knows, then by name. It returns how many went.
func trim(values map[string]float64, most int) (dropped int) {
	if len(values) <= most {
		return 0
	}
	keys := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		if ka, kb := understood(a), understood(b); ka != kb {
			if ka {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys[most:] {
		delete(values, key)
	}
	return len(keys) - most
}
