package record

import (
	"fmt"
	"math"
)

// Little's law as a check of the measurement itself: over any time that begins and ends with nothing in flight N·T = Σ R, whatever
// the target does (Little 1961; Denning & Buzen 1978). So a trial is checked with its warm-up and its drain, where no request
// straddles an end and those that hung have ended: a gap means dropped timers, lost requests or wrong windows, never a slow
// target.
const (
	littleTolerance = 0.05  // relative
	littleScatter   = 1.0   // ÷ √n: what counts of whole seconds and three digits may do to a short trial
	littleRequests  = 20    // fewer say nothing
	littleClockS    = 20e-6 // a request: times are kept in µs
)

// Vegeta times a request from before its goroutine runs and counts it in flight from when it is sent: on a busy machine the two
// differ by whatever the scheduler takes, so that the law says nothing of it.
const engineVegeta = "vegeta"

// frameWork is what the requests that ended within a frame took, from send to end.
type frameWork struct {
	n       uint64
	seconds float64
	unknown bool // a histogram is damaged
}

func workOf(d *decoded) (w frameWork) {
	for name, x := range d.steps {
		n := d.Frame.Steps[name].N
		w.n += n
		if n == 0 {
			continue
		}
		if x.service.N() != n {
			w.unknown = true
			continue
		}
		w.seconds += float64(n) * x.service.MeanMs() / 1000
	}
	return w
}

// checkLittle makes trials invalid whose requests in flight and service times contradict each other, and the run with them: the
// fault is captest's, and nobody knows what else it spoilt.
func (s *summary) checkLittle(r *Result) {
	frames := s.run.Frames
	other := r.Run.Engine == engineVegeta
	before := 0 // in flight at the end of the frame before
	for i := 0; i < len(frames); {
		trial := frames[i].Trial
		if trial < 0 || trial >= len(r.Trials) {
			before = frames[i].InFlight
			i++
			continue
		}
		integral, sum, sound := 0.0, frameWork{}, before == 0
		for ; i < len(frames) && frames[i].Trial == trial || i < len(frames) && frames[i].Trial < 0 && before > 0; i++ {
			f := &frames[i]
			before = f.InFlight
			integral += f.InFlightMean * f.Seconds
			sum.n += s.work[i].n
			sum.seconds += s.work[i].seconds
			sound = sound && !s.work[i].unknown && f.Seconds >= 0
		}
		if other || !sound || before != 0 || sum.n < littleRequests {
			continue // it was not seen from rest to rest
		}
		allowed := (littleTolerance+littleScatter/math.Sqrt(float64(sum.n)))*integral + littleClockS*float64(sum.n)
		if math.Abs(integral-sum.seconds) <= allowed {
			continue
		}
		why := fmt.Sprintf("captest's own figures contradict each other (Little's law): %.4g request-seconds in flight, but %d requests took %.4g s in all", integral, sum.n, sum.seconds)
		t := &r.Trials[trial]
		t.Verdict, t.Reasons = "invalid", append(t.Reasons, why)
		r.Validity.Valid = false
		r.Validity.Reasons = append(r.Validity.Reasons, fmt.Sprintf("trial %d: %s", trial+1, why))
	}
	if s.endReason == "done" && before > 0 {
		s.warn("%d requests began and were never seen to end", before)
	}
}
