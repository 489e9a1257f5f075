package search

// BinSeconds is the length of a trial's bins (measurement 3.3).
const BinSeconds = 0.2

// Window is what was measured of a trial, warm-up left out. Values that a caller does not know stay zero.
type Window struct {
	Seconds   float64
	Offered   float64 // arrivals: begun or dropped
	Dropped   float64 // of them: not begun, because too many were in flight already
	Unsent    float64 // of Offered missing, because failed journeys did not come to all their requests
	Completed float64
	OK        float64
	MeanMs    float64 // response time, from the intended start in an open load
	SDMs      float64 // its standard deviation
	P50Ms     float64
	P95Ms     float64
	Broken    []string // the limits that did not hold, in words: "p95<1s: 1.2 s"
	Excess    float64  // the largest ratio of a measured latency to its limit; 0 without a latency limit
	AllowedMs float64  // the smallest latency limit; 0 without one
	Bins      []Bin

	// What the numbers may be worth nothing for.
	LagP99Ms    float64 // schedule lag; open loads
	CPU         float64 // of the generator, as a share of its cores
	LocalErrors float64 // descriptors or ports of our own that ran out
	ConnWaitMs  float64 // p99 of waiting for a connection of our own pool
	PauseP99Ms  float64 // of the generator's garbage collection
	PausedMs    float64 // spent in pauses of it that are too long: see PauseAllowedMs
	Stalled     float64 // longest time in seconds in which the generator did nothing although it had to
	Ended       string  // why the trial ended before its time; "" when it did not
	Skipped     bool    // a person ended it: what follows goes on without it
}

// Bin is BinSeconds of a trial.
type Bin struct {
	Completed float64
	OK        float64
	InFlight  float64 // requests inside at its end, those of the warm-up among them
	MeanMs    float64 // of what completed in it; 0 when nothing did
}

// Goodput per second.
func (w *Window) Goodput() float64 {
	if w.Seconds <= 0 {
		return 0
	}
	return w.OK / w.Seconds
}

// errorRatio of everything asked for, drops among it.
func (w *Window) errorRatio() float64 {
	all := w.Completed + w.Dropped
	if all <= 0 {
		return 0
	}
	return (all - w.OK) / all
}

func (w *Window) inFlight() []float64 {
	out := make([]float64, len(w.Bins))
	for i := range w.Bins {
		out[i] = w.Bins[i].InFlight
	}
	return out
}

// latency per bin; a bin in which nothing completed repeats the one before.
func (w *Window) latency() []float64 {
	out := make([]float64, 0, len(w.Bins))
	for i := range w.Bins {
		switch {
		case w.Bins[i].Completed > 0:
			out = append(out, w.Bins[i].MeanMs)
		case len(out) > 0:
			out = append(out, out[len(out)-1])
		}
	}
	return out
}

// counts of good answers per whole second.
func (w *Window) counts() []float64 {
	const per = 5 // bins
	var out []float64
	for i := 0; i+per <= len(w.Bins); i += per {
		sum := 0.0
		for _, b := range w.Bins[i : i+per] {
			sum += b.OK
		}
		out = append(out, sum)
	}
	return out
}
