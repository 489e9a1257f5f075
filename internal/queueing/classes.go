package queueing

import (
	"cmp"
	"fmt"
	"math"
)

// ClassTrial is a Trial whose journeys are of several classes, such as scenarios or endpoints.
type ClassTrial struct {
	Seconds     float64
	Completions []float64 // C by class
	Busy        float64   // B, server-seconds
	ErrorRatio  float64
}

// ClassFit is the service demand of one resource by class.
type ClassFit struct {
	Demands    []Interval // server-seconds a journey, in the order of the classes
	Background float64    // busy servers without load
	Used       int
	Excluded   []Excluded
}

// mostClasses: the solution tries every subset of the coefficients.
const mostClasses = 10

// FitClasses fits B/T = b + Σ_c D_c·X_c with every coefficient ≥ 0, which least squares alone would not keep when classes
// come in similar mixes (Rolia & Vetland, Parameter estimation for performance models of distributed application systems,
// 1995). Bounds are those of the unconstrained fit, cut at 0 and widened to hold the value.
//
// Trials with more than 1 % errors are left out; two more than coefficients must remain, in mixes that differ. [Refusal]:
// [TooFewTrials], [NoSpread].
func FitClasses(classes int, trials []ClassTrial) (ClassFit, error) {
	if classes < 1 || classes > mostClasses {
		return ClassFit{}, fmt.Errorf("%d classes; demands are fitted for 1 to %d, so merge the rare ones", classes, mostClasses)
	}
	c := ClassFit{}
	var x [][]float64
	var y, w []float64
	for i, t := range trials {
		place := fmt.Sprintf("trial %d: ", i)
		if err := cmp.Or(positive(place+"seconds", t.Seconds), notNegative(place+"busy seconds", t.Busy), ratio(place+"error ratio", t.ErrorRatio)); err != nil {
			return ClassFit{}, err
		}
		if len(t.Completions) != classes {
			return ClassFit{}, fmt.Errorf("%scompletions of %d classes; %d classes are fitted", place, len(t.Completions), classes)
		}
		row := []float64{1}
		for k, n := range t.Completions {
			if err := notNegative(fmt.Sprintf("%scompletions of class %d", place, k), n); err != nil {
				return ClassFit{}, err
			}
			row = append(row, n/t.Seconds)
		}
		if t.ErrorRatio > mostErrors {
			c.Excluded = append(c.Excluded, Excluded{i, fmt.Sprintf("%.3g %% of its journeys failed", 100*t.ErrorRatio)})
			continue
		}
		x, y, w = append(x, row), append(y, t.Busy/t.Seconds), append(w, t.Seconds)
	}
	if len(x) < classes+3 {
		return c, &Refusal{TooFewTrials, fmt.Sprintf("%d trials are fit to measure %d classes by; %d are needed", len(x), classes, classes+3), "measure more loads without errors, in different mixes"}
	}
	free, ok := leastSquares(x, y, w)
	if !ok {
		return c, &Refusal{NoSpread, "the classes' rates move together, so their demands cannot be told apart", "vary the mix of classes between trials, and measure one idle trial"}
	}
	beta, _, ok := nonNegative(x, y, w)
	if !ok {
		return c, &Refusal{NoDemand, "busy time grows with no class of journeys", "check that the counter belongs to a service of these journeys"}
	}
	c.Background, c.Used = beta[0], len(x)
	for k := range classes {
		b := above0(free.interval(k + 1))
		v := beta[k+1]
		c.Demands = append(c.Demands, Interval{math.Min(b.Low, v), v, math.Max(b.High, v)})
	}
	return c, nil
}
