package record

// Outcomes are how the requests of a run ended so far, all loads and warm-ups together.
type Outcomes struct {
	OK         uint64
	Failed     uint64            // by the target's doing: neither captest's own limit nor its own cancelling
	TurnedAway uint64            // of the failed: 429 or 503 with Retry-After
	Errors     map[string]uint64 // the failed by class; nil when there are none
}

// Less gives what came after another count.
func (o Outcomes) Less(before Outcomes) Outcomes {
	out := Outcomes{OK: o.OK - before.OK, Failed: o.Failed - before.Failed, TurnedAway: o.TurnedAway - before.TurnedAway}
	for class, n := range o.Errors {
		if n -= before.Errors[class]; n > 0 {
			if out.Errors == nil {
				out.Errors = map[string]uint64{}
			}
			out.Errors[class] = n
		}
	}
	return out
}

// Outcomes up to now. It ends no frame, so it may be called as often as somebody needs to know.
func (r *Recorder) Outcomes() Outcomes {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drain(r.clock.Now())
	t := r.totals
	t.add(r.frame)
	t.errors[ErrorLocal], t.errors[ErrorCanceled] = 0, 0
	o := Outcomes{OK: t.ok, TurnedAway: t.turnedAway, Errors: errorCounts(&t.errors)}
	for _, n := range o.Errors {
		o.Failed += n
	}
	return o
}
