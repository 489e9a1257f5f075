package record

// Sample is one request from intended start to last byte. It is a fixed-size value: strings are numbered
// once (Step), everything else is a number, so recording allocates nothing.
//
// All times are nanoseconds since the run began (Clock), 0 where the event did not happen.
type Sample struct {
	Intended  int64 // when the schedule wanted it sent; equals Started in a closed load
	Started   int64 // when the engine really began it
	Connected int64 // when a connection was in hand (new or reused)
	FirstByte int64 // first byte of the response
	Wrote     int64 // last byte of the request in the kernel's hands; -1: nobody looked
	Done      int64 // last byte read, or the moment of the error

	Dial int64 // ns spent dialling (TCP), 0 when the connection was reused
	TLS  int64 // ns spent in the TLS handshake, 0 when none
	Wait int64 // ns between wanting a connection and having one, less Dial and TLS: captest's own queue, if it has one

	BytesIn uint32
	Step    uint16 // index into Recorder's step names
	Status  uint16 // HTTP status, 0 when no response came
	Error   ErrorClass
	Flags   Flags
}

// ResponseTime is what a user at the intended start would have waited, in ns. Source: wrk2 README, "coordinated omission".
func (s Sample) ResponseTime() int64 { return s.Done - s.Intended }

// ServiceTime is the time from the actual send, in ns. Its gap to ResponseTime is queueing in the generator.
func (s Sample) ServiceTime() int64 { return s.Done - s.Started }

// writeTime is from the connection in hand to the last byte written, in ns; false where there was no connection, or nobody saw
// the last byte go. A request that ended before it was written counts with the time until then: else a target that has stopped
// reading would leave no trace among the write times.
func (s *Sample) writeTime() (int64, bool) {
	switch {
	case s.Connected <= 0, s.Wrote < 0:
		return 0, false
	case s.Wrote > 0:
		return s.Wrote - s.Connected, true
	case s.Error != ErrorNone && s.FirstByte == 0:
		return s.Done - s.Connected, true
	}
	return 0, false
}

// Flags say what kind of sample this is.
type Flags uint8

// Sample flags.
const (
	NewConn    Flags = 1 << iota // a connection was opened for this request
	Reused                       // a kept-alive connection carried it
	Dropped                      // an arrival that could not start (in-flight cap); only Intended is set
	TimedOut                     // the client gave up
	TurnedAway                   // the target said no and to come back: 429 or 503 with Retry-After
)

// ErrorClass says why a request failed; ErrorNone is success.
type ErrorClass uint8

// Error classes. Their names (String) are what frames, run.json and reports carry.
const (
	ErrorNone     ErrorClass = iota
	ErrorStatus              // the status was not the expected one
	ErrorCheck               // the status was right, the body was not (201 with success:false)
	ErrorTimeout             // no complete response within the step's timeout
	ErrorRefused             // connection refused
	ErrorReset               // connection reset by the peer
	ErrorClosed              // connection closed before a complete response (EOF)
	ErrorDNS                 // name not resolved
	ErrorTLS                 // handshake failed
	ErrorLocal               // the generator's own limit: descriptors, ports
	ErrorProtocol            // what came back was not HTTP, or broke a size limit
	ErrorCanceled            // captest itself cancelled it (end of trial)
	ErrorDropped             // never started
	ErrorOther
	errorClasses // how many there are
)

var errorNames = [errorClasses]string{
	"", "status", "check", "timeout", "refused", "reset", "closed", "dns", "tls", "local", "protocol", "canceled", "dropped", "other",
}

// String is the class's fixed name, "" for success.
func (e ErrorClass) String() string {
	if int(e) < len(errorNames) {
		return errorNames[e]
	}
	return "other"
}
