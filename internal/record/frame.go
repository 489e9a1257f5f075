package record

// Frame is one second of everything (shorter at a trial's boundary): one line of frames.jsonl.
type Frame struct {
	OffsetS float64 `json:"offset_s"` // start, seconds since the run began
	Seconds float64 `json:"seconds"`  // length
	Trial   int     `json:"trial"`    // index into the run's trials; -1 between trials
	Phase   string  `json:"phase"`    // baseline, ramp, level, fixed, rungs-up, overload, abort, release, recovery, rungs-down, cycle, cool …
	Warmup  bool    `json:"warmup,omitempty"`

	Users         int     `json:"users,omitempty"`           // closed load in force
	RatePerSecond float64 `json:"rate_per_second,omitempty"` // open load in force

	InFlight     int     `json:"in_flight"`         // at the frame's end
	InFlightMean float64 `json:"in_flight_mean"`    // time average over the frame (integral of the gauge ÷ length)
	Started      uint64  `json:"started,omitempty"` // requests begun within the frame
	Dropped      uint64  `json:"dropped,omitempty"`
	Late         *uint64 `json:"late,omitempty"`    // arrivals that had to wait for a user; nil in closed loads
	Clamped      uint64  `json:"clamped,omitempty"` // times outside 1 µs … 10 min, or that ran backwards

	Steps       map[string]*StepFrame `json:"steps,omitempty"`
	Connections ConnectionFrame       `json:"connections"`
	Lag         string                `json:"lag,omitempty"` // schedule lag (started − intended), encoded histogram, µs; open loads
}

// StepFrame counts one step's completed requests within a frame.
type StepFrame struct {
	N       uint64            `json:"n"`  // completed, good or bad (dropped arrivals are not among them)
	OK      uint64            `json:"ok"` // expected status and body
	Errors  map[string]uint64 `json:"errors,omitempty"`
	Status  map[string]uint64 `json:"status,omitempty"` // by HTTP status code
	BytesIn uint64            `json:"bytes_in,omitempty"`
	// Encoded HDR histograms (V2 compressed, base64), µs, 3 significant digits, of every completed request, failed ones too.
	Response string `json:"response,omitempty"` // from the intended start
	Service  string `json:"service,omitempty"`  // from the actual send
}

// ConnectionFrame is the client's side of its connections within a frame.
type ConnectionFrame struct {
	Opened uint64            `json:"opened,omitempty"`
	Reused uint64            `json:"reused,omitempty"`
	Closed uint64            `json:"closed,omitempty"`
	Open   int               `json:"open"` // at the frame's end
	Peak   int               `json:"peak"` // highest within the frame
	Errors map[string]uint64 `json:"errors,omitempty"`
	// Encoded histograms, µs.
	Dial      string `json:"dial,omitempty"`
	TLS       string `json:"tls,omitempty"`
	Wait      string `json:"wait,omitempty"`       // from asking for a connection to having one, dial included
	ConnWait  string `json:"conn_wait,omitempty"`  // the same less dial and TLS
	Write     string `json:"write,omitempty"`      // from connection in hand to the last byte of the request written
	FirstByte string `json:"first_byte,omitempty"` // from connection in hand to first byte
	Body      string `json:"body,omitempty"`       // from first byte to last
	// Told of when a connection ends and every 1024th request of one, so that a frame has what was told in it. nil: nothing was.
	BytesIn  *uint64           `json:"bytes_in,omitempty"` // on TCP connections: heads, framing and TLS included
	BytesOut *uint64           `json:"bytes_out,omitempty"`
	Ended    *EndedConnections `json:"ended,omitempty"`
	TCP      *TCPFrame         `json:"tcp,omitempty"` // Linux
}

// EndedConnections are those of the client that ended within a frame.
type EndedConnections struct {
	N            uint64            `json:"n"`
	By           map[string]uint64 `json:"by"`            // who closed first: ClosedBy names
	Requests     uint64            `json:"requests"`      // that they carried
	RequestsEach string            `json:"requests_each"` // encoded histogram of a count, not of µs
}

// TCPFrame is what the kernel said of the client's connections (TCP_INFO).
type TCPFrame struct {
	Samples     uint64 `json:"samples"`
	Retransmits uint64 `json:"retransmits"` // segments sent once more since the samples before
	Lost        uint64 `json:"lost"`        // segments believed lost at the instant of a sample, all samples together
	// Encoded histograms, µs.
	RTT    string `json:"rtt,omitempty"` // smoothed
	RTTVar string `json:"rttvar,omitempty"`
}
