package record

// Recovery classes (measurement of what happens after the load is gone).
const (
	SelfHealing  = "SELF_HEALING"
	Slow         = "SLOW"
	Degraded     = "DEGRADED"
	Metastable   = "METASTABLE"
	Stuck        = "STUCK"
	StuckRestart = "STUCK_NEEDS_RESTART"
	Crashed      = "CRASHED"
	NotTested    = "NOT_TESTED"
)

// Recovery says whether the service came back after the overload. With several triggers it is the worst of them.
type Recovery struct {
	Class                  string   `json:"class"`
	SubClass               string   `json:"sub_class,omitempty"` // total, deceptive, connection-scoped, endpoint-scoped; restarted
	Seconds                *float64 `json:"seconds"`             // from the last request sent to the start of the first good window
	ExpectedDrainSeconds   *float64 `json:"expected_drain_seconds"`
	HealthDeceptionSeconds *float64 `json:"health_deception_seconds"`
	Leaks                  []Leak   `json:"leaks"`
	WatchedSeconds         float64  `json:"watched_seconds"`
	Summary                string   `json:"summary"` // one sentence for people

	DrainSeconds       *float64      `json:"drain_seconds"`      // from the last request sent to nothing in flight
	ResolutionSeconds  *float64      `json:"resolution_seconds"` // seconds is known to within this: the time between two probes
	Timer              *Timer        `json:"timer"`              // of SLOW: the timer whose length it took
	Health             *HealthStates `json:"health"`
	Triggers           []Trigger     `json:"triggers"`
	Restart            *Restart      `json:"restart"`             // null: not tried
	Hysteresis         *Hysteresis   `json:"hysteresis"`          // null: not tested
	RecoverablePercent *Bounds       `json:"recoverable_percent"` // load kept up, in percent of capacity, under which it still recovers; null: not tested
	CooledSeconds      *float64      `json:"cooled_seconds"`      // without load before the leak verdicts
	Undecided          []Undecided   `json:"undecided"`           // what could not be said, and why
}

// Trigger is one overload with what came after it.
type Trigger struct {
	Clients           string   `json:"clients"`            // patient, aborting
	TimeoutSeconds    *float64 `json:"timeout_seconds"`    // after which aborting clients gave up
	BackgroundPercent *float64 `json:"background_percent"` // of capacity, kept up after the trigger; null: none
	Users             int      `json:"users"`
	Requests          uint64   `json:"requests"`
	Failed            uint64   `json:"failed"`
	Aborted           uint64   `json:"aborted"` // of the failed: the client gave up and closed the connection
	ReleasedS         float64  `json:"released_s"`

	Class                  string        `json:"class"`
	SubClass               string        `json:"sub_class,omitempty"`
	Seconds                *float64      `json:"seconds"`
	ExpectedDrainSeconds   *float64      `json:"expected_drain_seconds"`
	DrainSeconds           *float64      `json:"drain_seconds"`
	HealthDeceptionSeconds *float64      `json:"health_deception_seconds"`
	Health                 *HealthStates `json:"health"`
	Timer                  *Timer        `json:"timer"`
	WatchedSeconds         float64       `json:"watched_seconds"`
	Summary                string        `json:"summary"`
}

// Timer is a well-known length of time that a recovery took.
type Timer struct {
	Seconds float64 `json:"seconds"`
	What    string  `json:"what"`
}

// HealthStates are the seconds after the load in each combination of health check and function.
type HealthStates struct {
	BothOK    float64 `json:"both_ok_seconds"`
	Deceptive float64 `json:"deceptive_seconds"` // healthy face, no function
	KillRisk  float64 `json:"kill_risk_seconds"` // works, but an orchestrator would kill it
	BothBad   float64 `json:"both_bad_seconds"`
	Deceived  bool    `json:"deceived"` // for 10 s or more on end no check failed while the function did
}

// Restart says whether restarting cured a stuck target.
type Restart struct {
	Services []string `json:"services"` // restarted together when it was cured, or last of all
	Cured    bool     `json:"cured"`
	Seconds  *float64 `json:"seconds"`            // from the restart to answers as they should be
	Observed bool     `json:"observed,omitempty"` // not by captest: somebody else restarted it
	Note     string   `json:"note,omitempty"`
}

// Hysteresis compares the same loads on the way up and, after the trigger, on the way down.
type Hysteresis struct {
	Found  bool              `json:"found"`
	P      *float64          `json:"p"`    // one-sided, stratified by level: the chance of such a difference without a cause
	Area   *float64          `json:"area"` // Σ|down − up| ÷ Σ up, of the response times
	Levels []HysteresisLevel `json:"levels"`
}

// HysteresisLevel is one load, up and down.
type HysteresisLevel struct {
	Percent          float64  `json:"percent"` // of capacity
	OfferedPerSecond float64  `json:"offered_per_second"`
	UpPerSecond      float64  `json:"up_per_second"`
	DownPerSecond    float64  `json:"down_per_second"`
	UpMs             *float64 `json:"up_ms"`
	DownMs           *float64 `json:"down_ms"`
	LatencyRatio     *float64 `json:"latency_ratio"`
	ThroughputRatio  *float64 `json:"throughput_ratio"`
	Worse            bool     `json:"worse"`
}

// Leak is something that did not return to its baseline after the load.
type Leak struct {
	What    string   `json:"what"`
	Where   string   `json:"where"`
	Before  float64  `json:"before"`
	After   float64  `json:"after"`
	Per1000 *float64 `json:"per_1000_requests"`

	PerFailed         *float64 `json:"per_failed_request"`       // null: not the failed requests, or not known
	Per               string   `json:"per,omitempty"`            // what it grows with: request, failed request, aborted request; "" unknown
	Limit             *float64 `json:"limit"`                    // of the resource
	ExhaustedSeconds  *float64 `json:"exhausted_after_seconds"`  // at the pace of the overload
	ExhaustedRequests *float64 `json:"exhausted_after_requests"` // of the kind in per
}

// Undecided is a question that a run could not answer.
type Undecided struct {
	What  string `json:"what"`
	Where string `json:"where,omitempty"`
	Why   string `json:"why"`
}

// fill makes empty lists of missing ones: an event written by an older captest lacks what came later.
func (r *Recovery) fill() {
	if r.Leaks == nil {
		r.Leaks = []Leak{}
	}
	if r.Triggers == nil {
		r.Triggers = []Trigger{}
	}
	if r.Undecided == nil {
		r.Undecided = []Undecided{}
	}
	if h := r.Hysteresis; h != nil && h.Levels == nil {
		h.Levels = []HysteresisLevel{}
	}
	if r.Restart != nil && r.Restart.Services == nil {
		r.Restart.Services = []string{}
	}
}
