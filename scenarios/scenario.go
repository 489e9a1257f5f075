// Package scenarios says WHAT is sent: the steps of a journey, the data made for each one, what a right answer
// looks like, and the limits it is judged by.
//
// It stands first in the line: drive sends what a Scenario describes, gate judges its limits. It never sends anything itself.
package scenarios

import "time"

// Scenario is one file: the journey a user takes, step by step.
type Scenario struct {
	Name        string
	Description string
	File        string // where it came from, for messages; "built-in" names included
	// Origin is what the absolute URLs of a vegeta target file share (scheme, host and port); "" for scenario files, whose
	// target stands elsewhere.
	Origin string
	// Data are fields made anew for each journey, in file order (a later one may use an earlier one).
	Data []Field
	// Rows is a CSV file whose rows feed {{row.column}}, resolved against the scenario file's folder.
	Rows string
	// Table is what Rows held; nil without Rows.
	Table *Table
	// Setup runs once for each virtual user before its first journey, outside every measurement. It has data fields of its
	// own making; what it captures stays with the user for all its journeys.
	Setup []Step
	Steps []Step
	// Direct are the services behind the entry that the same identities can be pushed at, in file order.
	Direct []Direct
	// Limits judge the run, or define "within limits" in a capacity search.
	Limits   []Limit
	Baseline string
	Load     *FixedLoad // fixed in the file; nil: the command line or the default plan decides
}

// Field is a named template.
type Field struct {
	Name  string
	Value *Template
}

// Step is one request and what must come back.
type Step struct {
	Name    string
	Service string // of the target; "" is the target's entry
	Request Request
	Expect  Expect
	Capture []Capture
	Think   time.Duration // pause after the step
	Timeout time.Duration // whole exchange; 0 means DefaultTimeout
	// Timeouts of its parts, each shorter than Timeout; 0: none of their own.
	Timeouts Timeouts
	Weight   float64 // > 0: one of several alternatives, chosen in proportion; 0: always. Alternatives stand together
}

// Timeouts of parts of an exchange.
type Timeouts struct {
	Connect   time.Duration // until a new connection can be used: TCP and TLS
	FirstByte time.Duration // from when a connection is in hand to the first byte of the answer
}

// DefaultTimeout of a step, as long as the reference services' own read timeout.
const DefaultTimeout = 30 * time.Second

// Request is what a step sends. At most one of JSON, Form and Body is set. Path and JSON escape what is filled in, header
// values refuse line breaks; Form and Body are filled in raw (the sender encodes a form).
type Request struct {
	Method  string
	Path    *Template // starts with "/", or a full path with query
	Headers []Field
	Basic   *BasicAuth
	JSON    *Template // the JSON text, templates inside it still open
	Form    []Field
	Body    *Template
}

// BasicAuth credentials; templates, so that {{env "NAME"}} can carry them.
type BasicAuth struct{ User, Password *Template }

// Expect is what makes an answer a success.
type Expect struct {
	Status   []int             // any of; empty means any 2xx
	JSON     []JSONCheck       // all of
	Contains string            // in the body
	Headers  map[string]string // exact values
}

// JSONCheck wants the value at Path (dots and [n], "success", "customer.id") to equal Want (string, float64, bool or nil).
type JSONCheck struct {
	Path string
	Want any

	path []pathPart // Path compiled by the loader
}

// Capture takes a value from an answer for later steps of the same journey.
type Capture struct {
	Name string
	From string // "json.customer.id", "header.Location", or "regex:…" with one group on the body

	source *captureSource // From compiled by the loader
}

// FixedLoad fixes the load in the file.
type FixedLoad struct {
	Users    int
	Total    uint64  // journeys in all
	Rate     float64 // arrivals per second
	For      time.Duration
	Arrivals string // constant, slotted (default), poisson
	Stages   []LoadStage
}

// LoadStage moves linearly from the previous stage's load (at first none) to this one's. All stages of a load count Users,
// or all set a Rate.
type LoadStage struct {
	Users int
	Rate  float64 // arrivals per second
	For   time.Duration
}
