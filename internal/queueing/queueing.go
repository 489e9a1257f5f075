// Package queueing is the MATHEMATICS of capacity: operational laws, bounds, exact solutions, regressions and fits.
//
// Numbers in, numbers out: it reads no run, sends nothing and knows no names of metrics. Whoever has a run folder
// (internal/diagnose) turns it into stations, trials and levels; what comes back carries intervals, and where the numbers
// do not allow an answer there is a [Refusal] with the sentence to print instead of a figure.
//
// Units are SI throughout: seconds of work or waiting, completions per second, and users or servers as plain counts. A
// "second of demand" is server-seconds per completed journey. Ratios are between 0 and 1, never percent.
//
// Sources: Denning & Buzen, The Operational Analysis of Queueing Network Models, 1978; Lazowska, Zahorjan, Graham & Sevcik,
// Quantitative System Performance, 1984; Buzen, Computational algorithms for closed queueing networks, CACM 1973; Gunther,
// Guerrilla Capacity Planning, 2007. Others stand where they are used.
package queueing

import (
	"fmt"
	"math"
)

// Interval is an estimate with its 95 % bounds, all three in the unit of what is estimated. Low ≤ Value ≤ High.
type Interval struct{ Low, Value, High float64 }

// Exactly is an interval without width: a figure that was set, not measured.
func Exactly(v float64) Interval { return Interval{v, v, v} }

// times multiplies all three by a factor of at least 0.
func (i Interval) times(f float64) Interval { return Interval{i.Low * f, i.Value * f, i.High * f} }

// check wants finite bounds in order, none below 0.
func (i Interval) check(what string) error {
	for _, v := range []float64{i.Low, i.Value, i.High} {
		if err := notNegative(what, v); err != nil {
			return err
		}
	}
	if i.Low > i.Value || i.Value > i.High {
		return fmt.Errorf("%s is %v between %v and %v; a value must lie within its bounds", what, i.Value, i.Low, i.High)
	}
	return nil
}

// Range is what a quantity lies within when nothing says where.
type Range struct{ Low, High float64 }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func positive(what string, v float64) error {
	if !finite(v) || v <= 0 {
		return fmt.Errorf("%s is %v; it must be a finite number above 0", what, v)
	}
	return nil
}

func notNegative(what string, v float64) error {
	if !finite(v) || v < 0 {
		return fmt.Errorf("%s is %v; it must be a finite number, 0 or above", what, v)
	}
	return nil
}

func ratio(what string, v float64) error {
	if math.IsNaN(v) || v < 0 || v > 1 {
		return fmt.Errorf("%s is %v; it must be a ratio between 0 and 1", what, v)
	}
	return nil
}
