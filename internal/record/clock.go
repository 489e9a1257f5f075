package record

import "time"

// Clock counts nanoseconds since the run began. It reads the monotonic clock, so a step of the wall clock moves nothing.
// It is a value: copy it freely.
type Clock struct{ start time.Time }

// NewClock starts a clock now.
func NewClock() Clock { return Clock{start: time.Now()} }

// Now is the time since the run began, in ns.
func (c Clock) Now() int64 { return int64(time.Since(c.start)) }

// At is the offset of t since the run began, in ns; negative when t was earlier.
func (c Clock) At(t time.Time) int64 { return int64(t.Sub(c.start)) }

// Start is the instant the run began.
func (c Clock) Start() time.Time { return c.start }

// seconds turns ns into seconds.
func seconds(ns int64) float64 { return float64(ns) / 1e9 }

// Clock is the run's: samples are stamped with it.
func (r *Recorder) Clock() Clock { return r.clock }
