package record

// Curve is the model of throughput over users that the closed levels support: the simplest of four that fits, by the corrected
// Akaike criterion.
type Curve struct {
	Shape            *string          `json:"shape"`              // hard bound, server station, amdahl, universal scalability law; nil: none can be chosen
	Sentence         string           `json:"sentence,omitempty"` // what it says, in one line
	CeilingPerSecond *float64         `json:"ceiling_per_second"` // what it tends to, or its peak; nil: no end in sight
	SingleMs         *float64         `json:"single_ms"`          // a lone user's time for a request
	ErrorPercent     *float64         `json:"error_percent"`      // root mean square of the relative error of throughput
	Servers          *int             `json:"servers"`            // of a server station
	DemandMs         *float64         `json:"demand_ms"`          // a request of each of them
	LambdaPerSecond  *CurveInterval   `json:"lambda_per_second"`  // of the scalability law: throughput of one user …
	Sigma            *CurveInterval   `json:"sigma"`              // … serial part …
	Kappa            *CurveInterval   `json:"kappa"`              // … cost of each pair
	PeakUsers        *CurveInterval   `json:"peak_users"`
	Peaked           bool             `json:"peaked"`            // a peak was identified; else only peak_users.low means something
	Refused          string           `json:"refused,omitempty"` // why there is no scalability law, or no curve at all
	Reason           string           `json:"reason,omitempty"`  // the same in one fixed word
	Next             string           `json:"next,omitempty"`    // what to do to have one
	Levels           int              `json:"levels"`            // closed levels it rests on
	Candidates       []CurveCandidate `json:"candidates"`        // best first
	Warnings         []string         `json:"warnings"`
}

// CurveCandidate is one of the shapes compared.
type CurveCandidate struct {
	Shape        string   `json:"shape"`
	AICc         *float64 `json:"aicc"` // only differences mean something
	ErrorPercent *float64 `json:"error_percent"`
}

// CurveInterval is an estimate with its 95 % bounds; High nil: none.
type CurveInterval struct {
	Low   float64  `json:"low"`
	Value float64  `json:"value"`
	High  *float64 `json:"high"`
}
