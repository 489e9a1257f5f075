package experiment

import (
	"testing"

	"github.com/captest/captest/internal/record"
)

// Workers that answer in turn are no restarts; a process that is gone for good was replaced.
func TestARandomWorkerIsNoRestart(t *testing.T) {
	for name, c := range map[string]struct {
		starts []float64
		want   int
	}{
		"one process": {[]float64{100, 100, 100}, 0},
		"replaced":    {[]float64{100, 100, 160, 160}, 1},
		"in turn":     {[]float64{100, 160, 100, 160}, 0},
	} {
		r := &readings{started: map[string]float64{}}
		for i, at := range c.starts {
			r.add(record.Scrape{OffsetS: float64(i), Service: "user", Values: map[string]float64{"process_start_time_seconds": at}})
			r.add(record.Scrape{OffsetS: float64(i), Service: "billing", Values: map[string]float64{"process_start_time_seconds": 7}})
		}
		if got := r.seenRestarts(); len(got) != c.want {
			t.Errorf("%s: restarts %+v", name, got)
		}
	}
}
