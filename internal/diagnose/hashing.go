package diagnose

import (
	"fmt"

	"github.com/captest/captest/internal/record"
)

// hashing names cpu-bound-hashing: a bounded hash pool that is busy all the time while work waits for it.
//
// Evidence: utilisation ≥ 90 % of the workers that have a core, and a queue before them. Lookalikes told apart here: an
// event loop that hashes (then the pool is idle and the loop busy), a semaphore or pool at its limit. Not told apart: a
// machine whose cores something else takes; hence C2 and not C3.
func hashing(w window, best *record.Trial, ceilings []record.Ceiling) (record.Finding, bool) {
	for _, c := range ceilings {
		if c.Resource != "hash pool" || *c.UtilisationPercent < 90 {
			continue
		}
		queue, ok := w.mean(c.Where, "hash_pool_queue")
		if !ok || queue < 0.5 {
			continue
		}
		loop, _ := w.delta(c.Where, "event_loop_busy_seconds_total")
		if span, ok := w.span(c.Where); ok && loop/span > 0.5 {
			continue // a loop that computes so much is a cause of its own
		}
		f := record.Finding{
			Cause: "cpu-bound-hashing", Role: SlowBecause, Where: c.Where, Confidence: C2,
			Summary: fmt.Sprintf("password hashing takes %.0f ms of CPU a journey; %.0f workers that have a core allow %.3g/s, and %.3g/s were reached", c.DemandMs, c.Servers, c.PerSecond, best.GoodputPerSecond),
			Evidence: []record.Evidence{
				{What: "hash pool busy", Value: *c.UtilisationPercent, Unit: "%", Expected: "≥ 90", Source: c.Where + " hash_seconds_total"},
				{What: "hashes waiting", Value: queue, Unit: "", Expected: "≥ 0.5", Source: c.Where + " hash_pool_queue"},
			},
			RuledOut: []record.RuledOut{},
			Remedy:   "more cores for hashing, a dedicated hashing service, or a lower cost where your security policy allows it; more users, workers or connections will not help",
		}
		for _, o := range ceilings {
			if o.Resource != "hash pool" && o.UtilisationPercent != nil && *o.UtilisationPercent < 70 {
				f.RuledOut = append(f.RuledOut, record.RuledOut{Cause: "semaphore-too-small", Why: fmt.Sprintf("%s of %s is %.0f %% in use", o.Resource, o.Where, *o.UtilisationPercent)})
			}
		}
		return f, true
	}
	return record.Finding{}, false
}
