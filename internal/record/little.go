package record

// Little's law as a check of the measurement itself: over any window N = X·R, whatever the target does (Little 1961;
// Denning & Buzen 1978). A gap means dropped timers, lost requests or wrong windows.
const (
	littleTolerance = 0.05 // relative
	littleRequests  = 100  // fewer say nothing
)

// checkLittle compares a trial's time average of requests in flight with throughput × mean service time. Requests that
// straddle an end of the window count in one of the two and not wholly in the other: each may shift N by up to the longest
// service time ÷ the window's length.
func (s *summary) checkLittle(trial int, m *merged) {
	measured := m.integral
	if m.seconds <= 0 || m.n < littleRequests || measured <= 0 || m.service.N() != m.n {
		return
	}
	product := float64(m.n) * m.service.MeanMs() / 1000 // X·R·T, request·s
	straddling := float64(s.startInFlight[trial]+m.inFlightAtEnd) * m.service.MaxMs() / 1000
	gap := measured - product
	if gap < 0 {
		gap = -gap
	}
	if gap > littleTolerance*measured+straddling {
		s.warn("trial %d: measured %.2f requests in flight, but throughput × service time is %.2f (Little's law): the measurement is at fault",
			trial, measured/m.seconds, product/m.seconds)
	}
}
