package record

import "slices"

// Change is what a person did to a run in progress.
type Change struct {
	OffsetS float64 `json:"offset_s"`
	What    string  `json:"what"`   // users, rate (per second), held (1 while it is, else 0), mark (a moment, nothing changed)
	Before  float64 `json:"before"` // old value
	After   float64 `json:"after"`  // new one
}

// PhaseHeld is the phase of the frames in which a load was held: it has no load of its own.
const PhaseHeld = "held"

// What a Change changed.
const (
	ChangedUsers = "users"
	ChangedRate  = "rate"
	ChangedHold  = "held"
	ChangedMark  = "mark"
)

// mostChanges bounds what a result lists: a person pressed each of them.
const mostChanges = 1_000

// change notes what a person did to the run.
func (s *summary) change(e *Event, r *Result) {
	c := Change{What: ChangedMark}
	if e.Kind == EventKey {
		var key struct {
			Key string `json:"key"`
		}
		if !s.decode(e, &key) || key.Key != ChangedMark {
			return
		}
	} else if !s.decode(e, &c) {
		return
	}
	c.OffsetS = e.OffsetS
	if len(r.Changes) < mostChanges {
		r.Changes = append(r.Changes, c)
	}
}

// warnOfChanges says that figures over a whole trial mix loads. Marks change nothing.
func (s *summary) warnOfChanges(all []Change) {
	n := 0
	for _, c := range all {
		if c.What != ChangedMark {
			n++
		}
	}
	switch {
	case n == 1:
		s.warn("the load was changed by hand while it ran: the figures mix what came before and after")
	case n > 1:
		s.warn("the load was changed by hand while it ran, %d times: the figures mix different loads", n)
	}
}

// ChangedByHand says whether a person changed the load while it ran.
func (r *Result) ChangedByHand() bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.What != ChangedMark })
}
