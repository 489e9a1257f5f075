package diagnose

import (
	"fmt"

	"github.com/captest/captest/internal/record"
)

// compare fills in what was measured at the hop a published baseline is about: the highest rate of any level, and the
// mean duration of a call there, seen from its caller and from itself.
func compare(run *record.Run, res *record.Result) {
	b := res.Baseline
	if b == nil {
		return
	}
	// Notes and claims come from the file; measured values from this run only.
	b.Measured, b.Ratio, b.CallerMs, b.CalleeMs = record.BaselineFigure{}, nil, nil, nil
	best := bestTrial(res.Trials)
	if best == nil {
		best = fixedTrial(res.Trials)
	}
	if best == nil {
		return
	}
	w := window{run: run, from: best.StartS, to: best.StartS + best.Seconds}
	// One journey creates one account, so the hop's rate is the journeys'. A scrape-based count would be coarser: one scrape a second.
	x := best.GoodputPerSecond
	n := float64(best.N)
	b.Measured.PerSecond, b.Measured.N = &x, &n
	if b.Claimed.PerSecond != nil && *b.Claimed.PerSecond > 0 {
		r := x / *b.Claimed.PerSecond
		b.Ratio = &r
	}
	for _, s := range w.services() {
		d := label("downstream", b.Service)
		if ms, ok := w.meanMs(s, "http_client_request_duration_seconds", d); ok {
			b.CallerMs = &ms
		}
	}
	if ms, ok := w.meanMs(b.Service, "http_request_duration_seconds", `accounts"`); ok {
		b.CalleeMs = &ms
	}
	b.Measured.MeanMs = b.CallerMs
	if b.CalleeMs != nil {
		b.Measured.MeanMs = b.CalleeMs
	}
	if b.CallerMs != nil && b.Claimed.MeanMs != nil && *b.CallerMs < 2**b.Claimed.MeanMs && b.Ratio != nil && *b.Ratio < 0.5 {
		b.Notes = append(b.Notes, fmt.Sprintf("calls to %s took %.0f ms, near the claim: the rate is limited before that hop, not by it", b.Service, *b.CallerMs))
	}
}

func fixedTrial(trials []record.Trial) *record.Trial {
	for i := range trials {
		if trials[i].Phase == "fixed" && trials[i].N > 0 {
			return &trials[i]
		}
	}
	return nil
}

// meanMs of a Prometheus histogram over the window: Δsum ÷ Δcount.
func (w window) meanMs(service, name string, labels ...string) (float64, bool) {
	sum, ok1 := w.delta(service, name+"_sum", labels...)
	n, ok2 := w.delta(service, name+"_count", labels...)
	if !ok1 || !ok2 || n <= 0 {
		return 0, false
	}
	return 1000 * sum / n, true
}
