package diagnose

import (
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/record"
)

// index is a run's scrapes by service and metric, so that nothing depends on the order of a map: one folder, one diagnosis.
type index struct {
	services []string // in order of first appearance
	by       map[string]*scraped
}

// scraped is what one service showed.
type scraped struct {
	at     []float64 // offsets of the scrapes that succeeded, s
	tried  []float64 // of all
	ms     []float64 // of all: how long each took
	failed []bool
	worker []int                // of the scrapes that succeeded: which of several processes answered; nil: one at a time
	series map[string][]*series // by metric name, in order of key
	byKey  map[string]*series
}

// series is one value over time.
type series struct {
	key    string
	labels map[string]string
	at, v  []float64
}

func indexOf(run *record.Run) *index {
	x := &index{by: map[string]*scraped{}}
	good := map[string][]*record.Scrape{}
	for i := range run.Scrapes {
		s := &run.Scrapes[i]
		d := x.by[s.Service]
		if d == nil {
			d = &scraped{series: map[string][]*series{}, byKey: map[string]*series{}}
			x.by[s.Service] = d
			x.services = append(x.services, s.Service)
		}
		d.tried, d.ms, d.failed = append(d.tried, s.OffsetS), append(d.ms, s.Ms), append(d.failed, s.Error != "")
		if s.Error != "" {
			continue
		}
		d.at = append(d.at, s.OffsetS)
		good[s.Service] = append(good[s.Service], s)
		for key, v := range s.Values {
			if finite(v) {
				d.add(key, s.OffsetS, v)
			}
		}
	}
	for name, d := range x.by {
		if worker, several := record.Workers(good[name]); several {
			d.worker = worker
		}
		for _, all := range d.series {
			slices.SortFunc(all, func(a, b *series) int { return strings.Compare(a.key, b.key) })
		}
	}
	return x
}

func (d *scraped) add(key string, at, v float64) {
	s := d.byKey[key]
	if s == nil {
		name, labels, ok := record.ParseMetric(key)
		if !ok {
			return
		}
		s = &series{key: key, labels: labels}
		d.byKey[key] = s
		d.series[name] = append(d.series[name], s)
	}
	s.at, s.v = append(s.at, at), append(s.v, v)
}

// matching are a service's series of a name whose labels hold all given pairs.
func (x *index) matching(service, name string, pairs []pair) []*series {
	d := x.by[service]
	if d == nil {
		return nil
	}
	var out []*series
	for _, s := range d.series[name] {
		if s.has(pairs) {
			out = append(out, s)
		}
	}
	return out
}

// pair is a label and its value.
type pair struct{ key, value string }

func label(key, value string) pair { return pair{key, value} }

func (s *series) has(pairs []pair) bool {
	for _, p := range pairs {
		if s.labels[p.key] != p.value {
			return false
		}
	}
	return true
}

// values of a label of a metric, sorted.
func (x *index) values(service, name, key string) []string {
	var out []string
	for _, s := range x.matching(service, name, nil) {
		if v := s.labels[key]; v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// has says whether a service shows a metric at all.
func (x *index) has(service, name string, pairs ...pair) bool {
	return len(x.matching(service, name, pairs)) > 0
}

// answered says whether any service ever showed metrics: an address that never does is as good as none.
func (x *index) answered() bool {
	return slices.ContainsFunc(x.services, func(name string) bool { return len(x.by[name].at) > 0 })
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
