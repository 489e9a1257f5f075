package queueing

import (
	"cmp"
	"fmt"
	"math"
)

// Rules of thumb to print, as whole numbers. A product that is whole but for rounding is not raised to the next one.
func ceil(v float64) float64 { return math.Ceil(v - 1e-9*v) }

// most is more servers, permits or users than any machine has: larger answers come of wrong questions.
const most = 1e9

// Occupied is Little's law for a resource, X·R: servers, connections or permits in use at perSecond journeys of hold seconds.
func Occupied(perSecond, hold float64) (float64, error) {
	if err := cmp.Or(positive("throughput", perSecond), positive("hold time in seconds", hold)); err != nil {
		return 0, err
	}
	return perSecond * hold, nil
}

// PoolSize is m = ⌈X·R·(1 + headroom)⌉: a pool that carries perSecond journeys which hold it for hold seconds each. Headroom
// is between 0.2 and 0.5 in practice: randomness needs some, and too much moves the queue to the downstream.
func PoolSize(perSecond, hold, headroom float64) (int, error) {
	n, err := Occupied(perSecond, hold)
	if err = cmp.Or(err, notNegative("headroom", headroom)); err != nil {
		return 0, err
	}
	return whole("pool", n*(1+headroom))
}

// ConcurrencyLimit is ⌈1.2·N*⌉ requests in flight, a fifth over the knee, so that what is scarce stays busy and little waits
// before it; and the share of each of the workers, rounded up.
func ConcurrencyLimit(knee float64, workers int) (total, each int, err error) {
	if err := cmp.Or(positive("knee in users", knee), positive("workers", float64(workers))); err != nil {
		return 0, 0, err
	}
	if total, err = whole("limit", 1.2*knee); err != nil {
		return 0, 0, err
	}
	return total, (total + workers - 1) / workers, nil
}

func whole(what string, v float64) (int, error) {
	if v > most {
		return 0, fmt.Errorf("%s of %.3g is not a size; check the units of throughput and time", what, v)
	}
	return max(1, int(ceil(v))), nil
}
