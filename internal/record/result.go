package record

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// SchemaVersion is run.json's version number.
const SchemaVersion = 1

// Result is run.json. Units stand in the keys; a pointer that is nil is unknown and is written as null, never as 0.
type Result struct {
	SchemaVersion int                  `json:"schema_version"`
	Run           RunInfo              `json:"run"`
	Validity      Validity             `json:"validity"`
	Capacity      Capacity             `json:"capacity"`
	Trials        []Trial              `json:"trials"`
	Steps         map[string]StepStats `json:"steps"`
	Recovery      *Recovery            `json:"recovery"`
	Connections   Connections          `json:"connections"`
	Tests         []Test               `json:"tests,omitempty"` // made to tell causes apart, in order
	Findings      []Finding            `json:"findings"`
	Ceilings      []Ceiling            `json:"ceilings"`
	Remarks       []string             `json:"remarks"` // about the ceilings, for people
	Hops          []Hop                `json:"hops"`
	Baseline      *Baseline            `json:"baseline"`
	Limits        []LimitResult        `json:"limits"`
	Changes       []Change             `json:"changes,omitempty"` // by hand, in order of time
	Brakes        []Brake              `json:"brakes,omitempty"`  // each time the safety brake was pulled
	Warnings      []string             `json:"warnings"`
	Verdict       string               `json:"verdict"` // pass, fail, inconclusive
	ExitCode      int                  `json:"exit_code"`
}

// RunInfo heads a run.
type RunInfo struct {
	ID       string `json:"id"`
	Scenario string `json:"scenario"`
	Target   string `json:"target"`
	Profile  string `json:"profile,omitempty"`
	// Set is what was set on top of the profile of the bundled services, as in --set; {"fault":"lock-contention"} plants a
	// named fault.
	Set            map[string]string `json:"set,omitempty"`
	Plan           string            `json:"plan"` // capacity, fixed
	Effort         string            `json:"effort"`
	Engine         string            `json:"engine"`
	EngineWhy      string            `json:"engine_why,omitempty"` // for people
	Insecure       bool              `json:"insecure,omitempty"`   // certificates were not verified
	NoBrake        bool              `json:"no_brake,omitempty"`   // the safety brake was switched off
	Seed           uint64            `json:"seed,string"`
	Started        time.Time         `json:"started"`
	Ended          *time.Time        `json:"ended"`
	LoadSeconds    *float64          `json:"load_seconds"` // time under load, all trials
	CaptestVersion string            `json:"captest_version"`
	Host           Host              `json:"host"`
	Interrupted    bool              `json:"interrupted"` // ended early on request
	CutShort       bool              `json:"cut_short"`   // captest was killed: rebuilt from what was on disk
	Steps          []string          `json:"steps"`       // in journey order
}

// SettingsText is the profile and what was set on top of it, in a fixed order with a named fault first: "phase2,
// fault=lock-contention". "" for services that captest did not start.
func (r *RunInfo) SettingsText() string {
	parts := []string{}
	for _, key := range slices.Sorted(maps.Keys(r.Set)) {
		if key == "fault" {
			parts = slices.Insert(parts, 0, key+"="+r.Set[key])
			continue
		}
		parts = append(parts, key+"="+r.Set[key])
	}
	if r.Profile != "" {
		parts = slices.Insert(parts, 0, r.Profile)
	}
	return strings.Join(parts, ", ")
}

// Host fingerprints the machine that generated the load.
type Host struct {
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel,omitempty"`
	CPUModel    string `json:"cpu_model,omitempty"`
	CPUs        int    `json:"cpus"`
	GOMAXPROCS  int    `json:"gomaxprocs"`
	MemoryBytes uint64 `json:"memory_bytes,omitempty"`
	GoVersion   string `json:"go_version"`
	Colocated   bool   `json:"colocated"` // the target shared this machine's cores
}

// Validity says whether the numbers are about the target at all.
type Validity struct {
	Valid               bool     `json:"valid"`
	Reasons             []string `json:"reasons"`
	ScheduleLagP99Ms    *float64 `json:"schedule_lag_p99_ms"`
	GeneratorCPUPercent *float64 `json:"generator_cpu_percent"`  // mean over the load, of one core
	ConnectionWaitP99Ms *float64 `json:"connection_wait_p99_ms"` // less dial and TLS, all trials: near 0, or captest queued
	GCPauseP99Ms        *float64 `json:"gc_pause_p99_ms"`        // of captest, over the run; nil: it never collected
	Warnings            []string `json:"warnings,omitempty"`     // what lowers the figures without making them wrong
}

// LatencyAt is the response time at one closed level.
type LatencyAt struct {
	Users     int     `json:"users"`
	N         uint64  `json:"n"`
	MeanMs    float64 `json:"mean_ms"`
	P50Ms     float64 `json:"p50_ms"`
	P95Ms     float64 `json:"p95_ms"`
	PerSecond float64 `json:"per_second"`
}

// Trial is one load held for a while, warm-up left out of every number.
type Trial struct {
	Phase             string   `json:"phase"`
	Load              Load     `json:"load"`
	StartS            float64  `json:"start_s"` // seconds since the run began
	Seconds           float64  `json:"seconds"` // measured part
	OfferedPerSecond  float64  `json:"offered_per_second"`
	GoodputPerSecond  float64  `json:"goodput_per_second"`
	InFlightMean      float64  `json:"in_flight_mean"`
	ErrorPercent      *float64 `json:"error_percent"`
	N                 uint64   `json:"n"`
	Dropped           uint64   `json:"dropped"`
	Late              *uint64  `json:"late"`    // arrivals that had to wait for a user; nil in closed loads
	Latency           Latency  `json:"latency"` // response time, all steps of the journey together
	Verdict           string   `json:"verdict"`
	Reasons           []string `json:"reasons,omitempty"`
	ResolutionPercent *float64 `json:"resolution_percent"`
	OtherWorkPercent  *float64 `json:"other_work_percent"` // of the machine, by what was neither captest nor the target, warm-up included
}

// Latency in ms; N says how many requests stand behind it.
type Latency struct {
	MeanMs *float64 `json:"mean_ms"`
	P50Ms  *float64 `json:"p50_ms"`
	P90Ms  *float64 `json:"p90_ms"`
	P95Ms  *float64 `json:"p95_ms"`
	P99Ms  *float64 `json:"p99_ms"`
	P999Ms *float64 `json:"p999_ms"`
	MaxMs  *float64 `json:"max_ms"`
}

// StepStats is one step over the whole run, warm-up included.
type StepStats struct {
	N          uint64            `json:"n"`
	OK         uint64            `json:"ok"`
	Errors     map[string]uint64 `json:"errors"`
	Status     map[string]uint64 `json:"status"`
	ResponseMs Percentiles       `json:"response_ms"`
	ServiceMs  Percentiles       `json:"service_ms"`
}

// Percentiles as run.json's steps write them (the unit stands in the parent key).
type Percentiles struct {
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P90  *float64 `json:"p90"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
	P999 *float64 `json:"p999"`
	Max  *float64 `json:"max"`
}

// Connections of both sides.
type Connections struct {
	Client          ClientConnections            `json:"client"`
	Target          map[string]TargetConnections `json:"target"`
	ListenOverflows *float64                     `json:"listen_overflows"` // during the run, this machine (network namespace)
}

// ClientConnections are captest's own.
type ClientConnections struct {
	Opened        uint64            `json:"opened"`
	Reused        uint64            `json:"reused"`
	ReusedPercent *float64          `json:"reused_percent"`
	PeakOpen      int               `json:"peak_open"`
	DialMs        Percentiles       `json:"dial_ms"`
	TLSMs         Percentiles       `json:"tls_ms"`
	FirstByteMs   Percentiles       `json:"first_byte_ms"`
	Errors        map[string]uint64 `json:"errors"`

	// Not in folders of a captest that did not count them: nil.

	WaitMs                Percentiles       `json:"wait_ms"`  // for a connection, less dial and TLS: captest's own queue, and near 0
	WriteMs               Percentiles       `json:"write_ms"` // from connection in hand to the last byte of the request written
	BodyMs                Percentiles       `json:"body_ms"`  // from first byte to last
	RequestsPerConnection PerConnection     `json:"requests_per_connection"`
	ClosedBy              map[string]uint64 `json:"closed_by"` // captest, target, target_idle, reset: who closed first
	BytesIn               *uint64           `json:"bytes_in"`  // on TCP connections: heads, framing and TLS included
	BytesOut              *uint64           `json:"bytes_out"`
	TCP                   *ClientTCP        `json:"tcp"` // Linux; nil elsewhere
}

// PerConnection is how many requests connections carried, from being opened to being closed.
type PerConnection struct {
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	Max  *float64 `json:"max"`
}

// ClientTCP is what the kernel said of captest's connections (TCP_INFO): at the end of each, and at every 1024th request of one.
type ClientTCP struct {
	Samples       uint64      `json:"samples"`
	RTTMs         Percentiles `json:"rtt_ms"`          // smoothed round-trip time
	RTTVarianceMs Percentiles `json:"rtt_variance_ms"` // its mean deviation (RFC 6298, RTTVAR)
	Retransmits   uint64      `json:"retransmits"`     // segments sent more than once
	Lost          uint64      `json:"lost"`            // segments believed lost at the instant of a sample, all samples together
}

// TargetConnections are one service's, from its own metrics and, in Kernel, from the kernel; nil is unknown.
type TargetConnections struct {
	OpenFDsBefore *float64                         `json:"open_fds_before"`
	OpenFDsPeak   *float64                         `json:"open_fds_peak"`
	OpenFDsAfter  *float64                         `json:"open_fds_after"`
	MaxFDs        *float64                         `json:"max_fds"`
	ScrapesFailed int                              `json:"scrapes_failed"`
	Scrapes       int                              `json:"scrapes"`
	Restarts      int                              `json:"restarts"` // later start times seen during the run
	Downstream    map[string]DownstreamConnections `json:"downstream"`
	Kernel        *KernelConnections               `json:"kernel"` // nil: it does not run on captest's machine, or not on Linux
}

// KernelConnections are one service's as the kernel of captest's own machine sees it, once a second or more rarely; sums are over
// its processes. What is shorter than the time between two readings may have gone unseen.
type KernelConnections struct {
	Readings       int      `json:"readings"`
	ReadingsFailed int      `json:"readings_failed"`
	OutboundUnread int      `json:"outbound_unread"` // readings in which it had too many descriptors to look at each: Outbound's peaks are at least that
	Processes      *float64 `json:"processes"`       // most at once

	Inbound  map[string]Sockets            `json:"inbound"`  // TCP state → sockets at its own port
	Outbound map[string]map[string]Sockets `json:"outbound"` // service or "port N" → TCP state → sockets it holds

	AcceptQueuePeak      *float64 `json:"accept_queue_peak"` // connections that nobody had accepted yet
	TimeWaitCallersPeak  *float64 `json:"time_wait_callers_peak"`
	TimeWaitCallersAfter *float64 `json:"time_wait_callers_after"` // at the callers' end: they closed first

	FDsBefore *float64 `json:"fds_before"`
	FDsPeak   *float64 `json:"fds_peak"`
	FDsAfter  *float64 `json:"fds_after"`
	FDLimit   *float64 `json:"fd_limit"` // of the process with the lowest

	BusiestThreadPeakPercent *float64 `json:"busiest_thread_peak_percent"` // of one core, between two readings
	CPUSeconds               *float64 `json:"cpu_seconds"`                 // used during the run
	RSSPeakBytes             *float64 `json:"rss_peak_bytes"`
}

// Sockets in one TCP state.
type Sockets struct {
	Peak  int  `json:"peak"`
	After *int `json:"after"` // at the last reading after the load; nil: there was none
}

// DownstreamConnections are one service's connections to another.
type DownstreamConnections struct {
	Opened           *float64 `json:"opened"`   // during the run
	Requests         *float64 `json:"requests"` // during the run
	OpenedPerRequest *float64 `json:"opened_per_request"`
	PeakInUse        *float64 `json:"peak_in_use"`
	PoolWaitMs       *float64 `json:"pool_wait_ms"` // mean per request
	MeanMs           *float64 `json:"mean_ms"`      // caller-side duration of a call
}

// Finding names a cause, or "unknown".
type Finding struct {
	Cause      string     `json:"cause"`
	Role       string     `json:"role"` // slow-because, or-because, stuck-because, next
	Where      string     `json:"where"`
	Confidence string     `json:"confidence"` // C1 consistent, C2 likely, C3 confirmed
	Summary    string     `json:"summary"`
	Evidence   []Evidence `json:"evidence"`
	RuledOut   []RuledOut `json:"ruled_out"`
	// Lookalikes are causes that the evidence does not tell apart from this one, and Contradictions what speaks against it;
	// either keeps confidence down.
	Lookalikes     []string    `json:"lookalikes"`
	Contradictions []string    `json:"contradictions"`
	Remedy         string      `json:"remedy"`
	Prediction     *Prediction `json:"prediction"`
}

// Evidence is one measured fact.
type Evidence struct {
	What     string  `json:"what"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Expected string  `json:"expected"`
	Source   string  `json:"source"`
}

// RuledOut is a lookalike and the fact against it.
type RuledOut struct {
	Cause string `json:"cause"`
	Why   string `json:"why"`
}

// Prediction is what the remedy should bring.
type Prediction struct {
	PerSecond *float64 `json:"per_second"`
	Interval  *Bounds  `json:"interval,omitempty"`
	Limit     string   `json:"limit"`           // what limits next
	Needs     []string `json:"needs,omitempty"` // what else that throughput takes
}

// Ceiling is the throughput one resource allows: servers ÷ demand.
type Ceiling struct {
	Resource           string   `json:"resource"`
	Where              string   `json:"where"`
	Servers            float64  `json:"servers"`
	DemandMs           float64  `json:"demand_ms"`
	PerSecond          float64  `json:"per_second"`
	Interval           *Bounds  `json:"interval"`         // lower and upper bound of per_second
	Method             string   `json:"method,omitempty"` // how the demand was found
	UtilisationPercent *float64 `json:"utilisation_percent"`
}

// Baseline compares a published claim with what was measured at the same hop.
type Baseline struct {
	Name       string         `json:"name"`
	Provenance string         `json:"provenance"`
	Service    string         `json:"service"` // the hop the claim is about
	Claimed    BaselineFigure `json:"claimed"`
	Measured   BaselineFigure `json:"measured"`
	Ratio      *float64       `json:"ratio"` // measured ÷ claimed rate
	// Caller-side and callee-side mean duration of the same call: a caller that waits 5 s for a callee that works 0.2 s exonerates the callee.
	CallerMs *float64 `json:"caller_ms"`
	CalleeMs *float64 `json:"callee_ms"`
	// Direct is what the hop did when the run's identities were pushed straight at it, by DirectUsers at a time; nil: they were not.
	Direct      *BaselineFigure `json:"direct"`
	DirectUsers *int            `json:"direct_users"`
	// NeedsInFlight is the claim's own concurrency by Little's law: rate × latency.
	NeedsInFlight *float64 `json:"needs_in_flight"`
	Notes         []string `json:"notes"`
}

// BaselineFigure is a rate and a latency.
type BaselineFigure struct {
	PerSecond *float64 `json:"per_second"`
	MeanMs    *float64 `json:"mean_ms"`
	N         *float64 `json:"n,omitempty"`
}

// LimitResult is one judged limit; Value is nil when there was nothing to judge.
type LimitResult struct {
	Expr  string   `json:"expr"`
	Value *float64 `json:"value"`
	Unit  string   `json:"unit"`
	At    string   `json:"at"` // which load it was judged at
	OK    bool     `json:"ok"`
}
