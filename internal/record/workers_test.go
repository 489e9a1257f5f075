package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorkersAreToldFromRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		starts, cpu []float64
		worker      []int
		several     bool
	}{
		"one process":                   {[]float64{100, 100, 100}, []float64{1, 2, 3}, []int{0, 0, 0}, false},
		"a restart":                     {[]float64{100, 100, 150, 150}, []float64{1, 2, .1, .2}, []int{0, 0, 1, 1}, false},
		"a restart within a second":     {[]float64{100, 100.9, 100.9}, []float64{2, .1, .2}, []int{0, 1, 1}, false},
		"two in turn":                   {[]float64{100, 150, 100, 150}, []float64{1, 9, 2, 10}, []int{0, 1, 0, 1}, true},
		"the younger first":             {[]float64{150, 100}, []float64{1, 9}, []int{0, 1}, true},
		"forked at once":                {[]float64{100.01, 100.02, 100.01, 100.02}, []float64{9, 1, 10, 2}, []int{0, 1, 0, 1}, true},
		"one that computes it anew":     {[]float64{100.01, 100.02, 100.01, 100.03}, []float64{1, 2, 3, 4}, []int{0, 1, 0, 2}, false},
		"none of them tells its start":  {[]float64{0, 0}, []float64{9, 1}, []int{-1, -1}, false},
		"one of the answers without it": {[]float64{100, 0, 100}, []float64{1, 2, 3}, []int{0, -1, 0}, false},
	} {
		var scrapes []*Scrape
		for i := range c.starts {
			values := map[string]float64{"process_cpu_seconds_total": c.cpu[i]}
			if c.starts[i] > 0 {
				values[metricStarted] = c.starts[i]
			}
			scrapes = append(scrapes, &Scrape{Values: values})
		}
		worker, several := Workers(scrapes)
		if diff := cmp.Diff(c.worker, worker); diff != "" || several != c.several {
			t.Errorf("%s: several %v, workers (-want +got):\n%s", name, several, diff)
		}
	}
}
