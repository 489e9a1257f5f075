package diagnose

// deltaOfWorkers is delta of a service of which several processes answer in turn, each with counters of its own: what one
// shows less what another showed is no growth. Each one's rate is taken between its own first and last answer; the mean over
// those with two answers stands for all that answered in the window. ok is false where nobody answered twice.
//
// Gauges are left as they come, those of the process that answered: in use and limit are of the same one.
func (w window) deltaOfWorkers(service, name string, from, to float64, pairs []pair) (total float64, ok bool) {
	d := w.index.by[service]
	sums, shown := map[float64]float64{}, false
	for _, s := range w.index.matching(service, name, pairs) {
		for i, at := range s.at {
			sums[at] += s.v[i]
			shown = shown || at >= from && at <= to
		}
	}
	first, last := map[int]float64{}, map[int]float64{}
	workers := 0
	for i, at := range d.at {
		if at < from || at > to || d.worker[i] < 0 {
			continue
		}
		if _, seen := first[d.worker[i]]; !seen {
			first[d.worker[i]] = at
			workers++
		}
		last[d.worker[i]] = at
	}
	rates, known := 0.0, 0
	for id := range d.worker { // in order: floating-point sums depend on it
		if t := last[id] - first[id]; t > 0 {
			rates += max(0, sums[last[id]]-sums[first[id]]) / t
			known++
		}
	}
	if !shown || known == 0 {
		return 0, false
	}
	return rates / float64(known) * float64(workers) * (to - from), true
}
