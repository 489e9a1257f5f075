package queueing

import (
	"cmp"
	"math"
)

// Usage is what one resource and the system it serves counted over one window of time.
type Usage struct {
	Seconds     float64 // T, length of the window
	Completions float64 // C, journeys that succeeded within it
	Busy        float64 // B, server-seconds of work, summed over the servers; never waiting time
	Servers     float64 // m; fractions are cores of a CPU quota
}

// Laws are the operational laws applied to one Usage. They hold for every window and every distribution, because they are
// identities between counts (Denning & Buzen 1978).
type Laws struct {
	Throughput  float64 // X = C/T, journeys/s
	Utilization float64 // U = B/(m·T), 0 to 1 but for measuring errors
	Demand      float64 // D = B/C = m·U/X, server-seconds a journey
	Ceiling     float64 // m/D, journeys/s that would keep every server busy; +Inf where nothing was busy
}

// Apply gives the laws of a usage. Without completions there is no demand, which is an error.
func (u Usage) Apply() (Laws, error) {
	if err := cmp.Or(positive("window's length in seconds", u.Seconds), positive("completions of the window", u.Completions),
		notNegative("busy time in seconds", u.Busy), positive("servers", u.Servers)); err != nil {
		return Laws{}, err
	}
	d := u.Busy / u.Completions
	ceiling := math.Inf(1)
	if d > 0 {
		ceiling = u.Servers / d
	}
	return Laws{Throughput: u.Completions / u.Seconds, Utilization: u.Busy / (u.Servers * u.Seconds), Demand: d, Ceiling: ceiling}, nil
}

// Visits is the forced flow law, V = X_k/X: calls at a resource per journey of the system, both in 1/s. More than the
// journey's own calls means retries or a query for each row.
func Visits(resource, system float64) (float64, error) {
	if err := cmp.Or(notNegative("throughput of the resource", resource), positive("throughput of the system", system)); err != nil {
		return 0, err
	}
	return resource / system, nil
}

// ResponseTime is the response time law of a closed load, R = N/X − Z, in seconds.
func ResponseTime(users, perSecond, think float64) (float64, error) {
	if err := cmp.Or(positive("users", users), positive("throughput", perSecond), notNegative("think time in seconds", think)); err != nil {
		return 0, err
	}
	return math.Max(0, users/perSecond-think), nil
}

// Little is Little's law N = X·R as a check of a measurement (Little 1961): whatever the target does, the time average of
// the gauge and the product of rate and time must agree. A gap means lost requests, dropped timers or wrong windows.
type Little struct {
	Measured float64 // N, time average of the in-flight gauge
	Product  float64 // X·R
	Gap      float64 // |Measured − Product| less what straddles the window, ÷ Measured
	Holds    bool    // Gap ≤ 5 %
}

// littleTolerance is relative.
const littleTolerance = 0.05

// CheckLittle compares inFlight with perSecond × seconds. Requests that straddle an end of the window count on one side
// only; straddling is by how much they may shift the mean (requests over the edges × longest time ÷ window length), 0 if
// there are none.
func CheckLittle(inFlight, perSecond, seconds, straddling float64) (Little, error) {
	if err := cmp.Or(positive("requests in flight", inFlight), notNegative("throughput", perSecond),
		notNegative("response time in seconds", seconds), notNegative("shift by straddling requests", straddling)); err != nil {
		return Little{}, err
	}
	l := Little{Measured: inFlight, Product: perSecond * seconds}
	l.Gap = math.Max(0, math.Abs(l.Measured-l.Product)-straddling) / l.Measured
	l.Holds = l.Gap <= littleTolerance
	return l, nil
}
