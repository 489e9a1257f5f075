package record

// Causes of a Brake.
const (
	BrakeErrors  = "errors"  // more than half of the requests failed
	BrakeSilence = "silence" // no health check was answered
)

// Brake is the safety brake being pulled: a load ended early because the target was in distress. Numbers are of the window
// before it; requests that captest itself failed (its own limits, its own cancelling) are not among them.
type Brake struct {
	OffsetS       float64           `json:"offset_s"`
	Trial         int               `json:"trial"`
	Phase         string            `json:"phase"` // of the trial it ended
	Load          Load              `json:"load"`
	Cause         string            `json:"cause"` // errors, silence
	Why           string            `json:"why"`   // for people
	WindowSeconds float64           `json:"window_seconds"`
	OK            uint64            `json:"ok"`
	Failed        uint64            `json:"failed"`
	TurnedAway    uint64            `json:"turned_away"`           // of the failed: 429 or 503 with Retry-After
	Errors        map[string]uint64 `json:"errors"`                // the failed by class
	SilentSeconds *float64          `json:"health_silent_seconds"` // without any answer of the health check; null: there is none
	EndedPlan     bool              `json:"ended_plan"`            // what the plan had left was not done; false: it went on as it would have
}

// mostBrakes bounds what a result lists: a run pulls it once, or once for each overload.
const mostBrakes = 100

// brake takes over one pull.
func (s *summary) brake(e *Event, r *Result) {
	var b Brake
	if !s.decode(e, &b) || len(r.Brakes) == mostBrakes || e.OffsetS > s.run.alteredS() { // with another setting it is another target
		return
	}
	b.OffsetS, b.Trial = e.OffsetS, e.Trial
	if b.Errors == nil {
		b.Errors = map[string]uint64{}
	}
	r.Brakes = append(r.Brakes, b)
}
