package record

import (
	"encoding/json"
	"fmt"
)

// Event is one line of events.jsonl: something that happened at an instant of the run.
type Event struct {
	OffsetS float64         `json:"offset_s"`
	Kind    EventKind       `json:"kind"`
	Trial   int             `json:"trial"`          // -1 when it belongs to none
	Text    string          `json:"text,omitempty"` // for people
	Data    json.RawMessage `json:"data,omitempty"` // the kind's own structure, below
}

// EventKind is a fixed word.
type EventKind string

// Event kinds, and what Data holds.
const (
	EventRun        EventKind = "run"         // RunInfo: first line of every folder
	EventPhase      EventKind = "phase"       // {"phase":…}
	EventTrialStart EventKind = "trial-start" // TrialStart
	EventTrialEnd   EventKind = "trial-end"   // TrialEnd
	EventTarget     EventKind = "target"      // {"service":…,"state":"started|ready|exited|restarted|unreachable","pid":…}
	EventKey        EventKind = "key"         // {"key":…,"refused":…}: a person pressed something
	EventLoad       EventKind = "load"        // Change: a person changed the load while it ran
	EventBrake      EventKind = "brake"       // Brake: the target was in distress, so the load was ended
	EventWarning    EventKind = "warning"     // Text only: must reach the reader of the report
	EventCapacity   EventKind = "capacity"    // Capacity
	EventRecovery   EventKind = "recovery"    // Recovery
	EventBaseline   EventKind = "baseline"    // Baseline
	EventValidity   EventKind = "validity"    // Validity
	EventTest       EventKind = "test"        // Test: a test made to tell causes apart
	EventSetting    EventKind = "setting"     // Setting: a test changes one of the target's settings, or puts it back
	EventLimits     EventKind = "limits"      // []string: the expressions in force
	EventEnd        EventKind = "end"         // {"reason":"done|interrupted|error|…"}; missing: the run was cut short
)

// TrialStart announces a trial at one load.
type TrialStart struct {
	Phase string `json:"phase"`
	Load  Load   `json:"load"`
	// Planned length in seconds, warm-up included; 0 for a load that ends by count.
	Seconds float64 `json:"seconds"`
}

// TrialEnd says what the experiment made of a trial. Its numbers are recomputed from the frames.
type TrialEnd struct {
	Verdict string   `json:"verdict"` // pass, fail, invalid
	Reasons []string `json:"reasons,omitempty"`
	// ResolutionPercent is how finely an open trial tells loads apart; nil where the search did not say.
	ResolutionPercent *float64 `json:"resolution_percent,omitempty"`
}

// Test is what came of a test that was made to tell causes apart. It names no cause: whose prediction the figures meet is for the
// diagnosis to say.
type Test struct {
	Name    string             `json:"name"`              // burst, coupling, elasticity, short-circuit, connections, knob, tiers
	Where   string             `json:"where,omitempty"`   // the service it was made at
	Skipped string             `json:"skipped,omitempty"` // why there are no values
	Values  map[string]float64 `json:"values,omitempty"`  // by name, the unit at its end (…_ms, …_per_second)
	Words   map[string]string  `json:"words,omitempty"`   // what is no number: the knob's name, the path that was asked
}

// Setting is one setting of the target that a test changes; putting it back is another. What comes after the first of them
// was measured at another target.
type Setting struct {
	Service string `json:"service"`
	Name    string `json:"name"` // as `captest diagnose --what-if` names it, without its service: workers, pool.kill-bill
	From    string `json:"from"`
	To      string `json:"to"`
}

// PhaseTests is the phase of every load that a test holds. Its trials say nothing of the capacity.
const PhaseTests = "tests"

// Names of tests.
const (
	TestBurst        = "burst"         // T1: a staircase of answers to requests that came at once
	TestCoupling     = "coupling"      // T2: a trivial endpoint, asked while another is loaded
	TestElasticity   = "elasticity"    // T3: throughput when a downstream takes longer
	TestShortCircuit = "short-circuit" // T4: the same endpoint with input it refuses at once
	TestConnections  = "connections"   // T5: a load on fresh connections, beside the same on kept ones
	TestKnob         = "knob"          // T6: throughput when one setting is doubled
	TestTiers        = "tiers"         // the same identities, pushed straight at an inner service
)

// Tests are all names of tests, in the order they are made in.
func Tests() []string {
	return []string{TestBurst, TestCoupling, TestShortCircuit, TestConnections, TestTiers, TestElasticity, TestKnob}
}

// Load is a closed (Users) or an open (RatePerSecond) load.
type Load struct {
	Users         int     `json:"users,omitempty"`
	RatePerSecond float64 `json:"rate,omitempty"`
	Arrivals      string  `json:"arrivals,omitempty"` // constant, slotted, poisson; open loads only
}

// Probe is one recovery or health probe, a line of metrics.jsonl with kind "probe".
type Probe struct {
	OffsetS    float64 `json:"offset_s"`
	Probe      string  `json:"probe"`      // functional, health
	Connection string  `json:"connection"` // fresh, kept
	Service    string  `json:"service"`
	OK         bool    `json:"ok"`
	Status     int     `json:"status,omitempty"`
	Ms         float64 `json:"ms"`
	Error      string  `json:"error,omitempty"`     // ErrorClass name
	Redialled  bool    `json:"redialled,omitempty"` // the kept connection had broken and was opened anew for this probe
	Step       string  `json:"step,omitempty"`      // of a functional probe: which of the scenario's steps
}

// Scrape is one reading of one service's metrics, a line of metrics.jsonl with kind "scrape". A scrape that failed or hung is data.
type Scrape struct {
	OffsetS float64            `json:"offset_s"`
	Service string             `json:"service"`
	Ms      float64            `json:"ms"`               // how long the scrape took
	Error   string             `json:"error,omitempty"`  // why there are no values
	Values  map[string]float64 `json:"values,omitempty"` // `name{label="v",…}` → value; histograms as _sum, _count
}

// HostReading is the machine and captest itself, a line of metrics.jsonl with kind "host". nil is unknown.
type HostReading struct {
	OffsetS             float64  `json:"offset_s"`
	CPUPercent          *float64 `json:"cpu_percent"`           // whole machine, 100 = all cores busy
	GeneratorCPUPercent *float64 `json:"generator_cpu_percent"` // captest's own, of one core: 100 = one core
	GeneratorRSSBytes   *float64 `json:"generator_rss_bytes"`
	GeneratorFDs        *float64 `json:"generator_fds"`
	GeneratorFDLimit    *float64 `json:"generator_fd_limit"`
	Goroutines          *float64 `json:"goroutines"`
	GCPauseP99Ms        *float64 `json:"gc_pause_p99_ms"`
	ListenOverflows     *float64 `json:"listen_overflows"` // since boot, this network namespace
	TCPTimeWait         *float64 `json:"tcp_time_wait"`
	TCPInUse            *float64 `json:"tcp_in_use"`
	RetransSegs         *float64 `json:"retrans_segs"`
}

// ProcessReading is a service on captest's own machine as the kernel sees it, a line of metrics.jsonl with kind "process". nil is
// unknown; sums are over all of the service's processes.
type ProcessReading struct {
	OffsetS float64 `json:"offset_s"`
	Service string  `json:"service"`
	Name    string  `json:"name,omitempty"` // of the program
	PIDs    []int   `json:"pids,omitempty"`
	Error   string  `json:"error,omitempty"` // why the rest is unknown

	CPUSeconds           *float64 `json:"cpu_seconds"`            // since the processes began
	BusiestThreadPercent *float64 `json:"busiest_thread_percent"` // of one core, since the reading before
	RSSBytes             *float64 `json:"rss_bytes"`
	Threads              *float64 `json:"threads"`
	FDs                  *float64 `json:"fds"`
	FDLimit              *float64 `json:"fd_limit"`     // of the process with the lowest
	AcceptQueue          *float64 `json:"accept_queue"` // connections that nobody has accepted yet

	TimeWaitCallers *float64 `json:"time_wait_callers"` // sockets in TIME_WAIT at the callers' end: they closed first

	Inbound  map[string]int            `json:"inbound,omitempty"` // TCP state → sockets at the service's own port
	Outbound map[string]map[string]int `json:"outbound"`          // service or "port N" → TCP state → sockets; nil: too many descriptors to look at each
}

// NewEvent makes an event; data is the kind's own structure, nil for none. Trial is -1 when it belongs to none.
func NewEvent(offsetS float64, kind EventKind, trial int, text string, data any) (Event, error) {
	e := Event{OffsetS: offsetS, Kind: kind, Trial: trial, Text: text}
	if data == nil {
		return e, nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return e, fmt.Errorf("event %s: %w", kind, err)
	}
	e.Data = raw
	return e, nil
}
