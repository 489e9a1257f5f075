package record

// Hop is one call inward, and whose time it is. Times are means in ms of a single call; nil is unknown.
type Hop struct {
	Caller   string     `json:"caller"` // captest, or a service; "": nobody shows that it calls the callee
	Callee   string     `json:"callee"`
	Alone    *HopTimes  `json:"alone"`    // under the lightest load
	Best     *HopTimes  `json:"best"`     // under the load with the highest goodput
	Overload *HopTimes  `json:"overload"` // under the first overload
	Direct   *HopDirect `json:"direct"`   // nil: nothing was sent straight at the callee
	Judged   string     `json:"judged"`   // which of the loads the verdict is about: best, overload; "": none
	Whose    string     `json:"whose"`    // one of the words below
	// Exonerated: the callee works a small part of what its caller waits, by its own account and by what was sent straight at it, as
	// far as there is either.
	Exonerated bool   `json:"exonerated"`
	Verdict    string `json:"verdict"` // for people
}

// Whose time a hop is.
const (
	WhoseCaller  = "caller"  // its queue, pool or loop
	WhoseBetween = "between" // the network, a proxy, or the callee's accept queue
	WhoseCallee  = "callee"
	WhoseShared  = "shared"  // neither's alone
	WhoseNobody  = "nobody"  // it takes no time to speak of
	WhoseUnclear = "unclear" // what was measured contradicts itself
	WhoseUnknown = "unknown" // too little was measured
)

// HopTimes are both sides of a call under one load.
type HopTimes struct {
	Load     Load     `json:"load"`
	CallerMs *float64 `json:"caller_ms"` // the caller's wait: for a permit, a connection and the answer
	QueueMs  *float64 `json:"queue_ms"`  // of it: for a permit and a connection
	CalleeMs *float64 `json:"callee_ms"` // by the callee's own account
}

// HopDirect is what the same identities met that were pushed straight at the callee, past its caller.
type HopDirect struct {
	AloneMs       float64  `json:"alone_ms"` // one at a time
	MeanMs        float64  `json:"mean_ms"`  // by so many users
	P95Ms         float64  `json:"p95_ms"`
	Users         int      `json:"users"`
	PerSecond     float64  `json:"per_second"` // journeys of the direct steps
	N             float64  `json:"n"`          // requests
	ErrorsPercent float64  `json:"errors_percent"`
	ProfiledMs    *float64 `json:"profiled_ms"`          // a Kill Bill's own account of such a request (X-Killbill-Profiling-Resp)
	DatabaseMs    *float64 `json:"profiled_database_ms"` // of it: its database's part
}
