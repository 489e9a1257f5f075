package record

// Workers numbers the processes that answered a service's scrapes, from 0, in the order given; -1 where a scrape tells no
// start time. several is false where one process answered at a time, each a restart of the one before.
//
// Several workers behind one port, each with counters of its own (prometheus_client without multiprocess mode), answer in
// turn: a start time comes back after another. Where start times are a second apart or less, as of workers forked at once, the
// CPU time must fall as well, for some clients compute the start anew and get the same twice by chance.
func Workers(scrapes []*Scrape) (worker []int, several bool) {
	ids := map[float64]int{}
	worker = make([]int, len(scrapes))
	last, cpu := 0.0, 0.0
	for i, x := range scrapes {
		started, used := x.Values[metricStarted], x.Values["process_cpu_seconds_total"]
		if worker[i] = -1; started <= 0 {
			continue
		}
		id, back := ids[started]
		if !back {
			id = len(ids)
			ids[started] = id
		}
		worker[i] = id
		if last > 0 && started != last {
			several = several || started < last-startTolerance || back && used < cpu
		}
		last, cpu = started, used
	}
	return worker, several
}
