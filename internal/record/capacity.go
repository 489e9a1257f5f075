package record

// Capacity is the answer. PerSecond: a rate that the target holds, and one that it does not, by what was tried, how well trials tell loads apart, and
// where Foreseen counts by theory.
type Capacity struct {
	SLO             []string    `json:"slo"`
	PerSecond       Bounds      `json:"per_second"`
	PerMinute       Bounds      `json:"per_minute"`
	Concurrency     Concurrency `json:"concurrency"`
	MaxPerSecond    *float64    `json:"max_per_second"` // highest goodput of any trial, limits or not
	IntervalPercent *float64    `json:"interval_percent"`
	Credible90      *Bounds     `json:"credible_90"`
	LatencyAt       []LatencyAt `json:"latency_at"` // closed levels: 1, 10 and each other one
	Method          string      `json:"method"`     // one sentence: how the figure came about, and its limits
	Note            string      `json:"note,omitempty"`

	Kind              string    `json:"kind,omitempty"`             // limits, or stability when none was given
	Repeatability     string    `json:"repeatability,omitempty"`    // within-run: one search says nothing of another day
	Tried             *Bounds   `json:"tried,omitempty"`            // the open loads that held and did not hold, as they were offered
	Confirmation      bool      `json:"confirmation"`               // the lower one held a longer trial
	PromisedPercent   *float64  `json:"promised_percent,omitempty"` // ± of the effort
	PlannedPercent    *float64  `json:"planned_percent,omitempty"`  // ± open loads alone would tell in the time they had
	ResolutionPercent *float64  `json:"resolution_percent"`         // of all trials at the lower load together, at 95 %
	Foreseen          *Foreseen `json:"foreseen,omitempty"`         // where trials alone are too coarse: what theory says
	Aging             *Aging    `json:"aging,omitempty"`            // nil: it is not plain that the target lost capacity meanwhile, or cannot be told
	Collapse          *Collapse `json:"collapse,omitempty"`         // nil: the interval is not lowered for it
	MeanMs            *float64  `json:"mean_ms,omitempty"`          // response time at the lower load, from the longest trial there
	MeanHalfMs        *float64  `json:"mean_half_ms,omitempty"`     // its 95 % half-width, by batch means
	NoisyTarget       bool      `json:"noisy_target,omitempty"`     // loads held and did not in no clear order
	GeneratorLimit    string    `json:"generator_limit,omitempty"`  // the load at which captest was the limit
	Curve             *Curve    `json:"curve"`                      // nil: fewer than two closed levels
}

// Kinds of capacity.
const (
	KindLimits    = "limits"
	KindStability = "stability"
	WithinRun     = "within-run"
)

// Foreseen is what a queue that explains the target would hold: the interval rests on it too, unless something speaks against it.
type Foreseen struct {
	PerSecond     float64 `json:"per_second"`
	Percent       float64 `json:"percent"`           // ± at 95 %
	BusyPerSecond float64 `json:"busy_per_second"`   // what the target completes while it is never idle
	Variability   float64 `json:"variability"`       // variance of its work over the square of the mean, taken on the high side
	Against       string  `json:"against,omitempty"` // why it does not count
}

// Counts says whether the interval rests on it; on nil it does not.
func (f *Foreseen) Counts() bool { return f != nil && f.Against == "" }

// Aging of a target that most likely lost capacity while it was searched; the interval is for the end of the search.
type Aging struct {
	LostPercent   float64 `json:"lost_percent"` // of its capacity, in …
	Seconds       float64 `json:"seconds"`
	LikelyPercent float64 `json:"likely_percent"` // how likely it is that it lost any
}

// Collapse in the end, of a target that takes longer the more requests are inside it: the interval is lowered to what holds for ten minutes.
type Collapse struct {
	SlowerPercent  float64 `json:"slower_percent"`  // an answer, for each request inside
	LoweredPercent float64 `json:"lowered_percent"` // the lower end
	HeldSeconds    float64 `json:"held_seconds"`    // the lower load did, as tried
}

// Bounds of an interval; nil is unknown.
type Bounds struct {
	Confirmed *float64 `json:"confirmed"`
	Refuted   *float64 `json:"refuted"`
}

// Concurrency is the closed side of capacity, in users.
type Concurrency struct {
	MaxWithinSLO *int     `json:"max_within_slo"`
	Knee         *float64 `json:"knee"` // N* = R(1) · Xmax: where waiting must begin (Denning & Buzen 1978)
}
