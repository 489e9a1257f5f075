package record

import "time"

// Snapshot is what the screen sees: immutable once published, of bounded size, never more than a second old.
type Snapshot struct {
	Scenario, Target, Profile string
	Elapsed                   time.Duration
	Left                      time.Duration // of the whole run, 0 when unknown

	Phase     string // baseline, ramp, level, overload, release, recovery, fixed …
	PhaseNote string // one short sentence for people: "16 users, closed"
	PhaseLeft time.Duration
	Trial     int
	Load      Load
	Held      bool   // by hand: nothing new begins
	Steer     string // what keys can change of the load: users, rate; "": nothing
	SteerWhy  string // why not

	// The last full second.
	OfferedPerSecond float64
	GoodputPerSecond float64
	ErrorsPerSecond  float64
	InFlight         int
	Latency          Quantiles // response time of the last second that completed anything
	TrialLatency     Quantiles // of the trial so far

	Total       uint64 // completed so far in the run
	TotalOK     uint64
	TotalErrors uint64
	Dropped     uint64
	Late        uint64  // arrivals that had to wait for a user
	Errors      []Count // by class, most frequent first, whole run
	Steps       []StepNow

	Connections ConnectionsNow
	Gauges      []Gauge // target gauges, in a fixed order
	Health      []ProbeNow

	LagP99Ms            float64
	GeneratorCPUPercent float64

	History  []Tick // oldest first, at most 600 seconds
	Warnings []string
	Done     bool
}

// Quantiles of a histogram, in ms; N is how many values stand behind them.
type Quantiles struct {
	N                                         uint64
	MeanMs, P50Ms, P90Ms, P95Ms, P99Ms, MaxMs float64
}

// Count is a name and how often.
type Count struct {
	Name string
	N    uint64
}

// StepNow is one step's line on the screen (whole trial so far).
type StepNow struct {
	Name    string
	N, OK   uint64
	Latency Quantiles
}

// ConnectionsNow is the client's side.
type ConnectionsNow struct {
	Open, Peak    int
	Opened        uint64
	ReusedPercent float64
}

// Gauge is one reading of the target: value out of max (0: no maximum).
type Gauge struct {
	Service, Name string
	Value, Max    float64
	Unit          string
	Stale         bool // the last scrape failed
}

// ProbeNow is the state of one probe during recovery.
type ProbeNow struct {
	Name string // "health, fresh connection"
	OK   bool
	Ms   float64
}

// Tick is one second of history.
type Tick struct {
	Goodput, Errors     float64 // per second
	P50Ms, P95Ms, P99Ms float64
	InFlight            float64
	Phase               string
}
