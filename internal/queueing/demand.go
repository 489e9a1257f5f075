package queueing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Trial is what one resource and the journeys counted at one load, over the same window.
type Trial struct {
	Users       float64 // the load, for its order only: users, or the offered rate
	Seconds     float64 // T
	Completions float64 // C, journeys that succeeded
	Busy        float64 // B, server-seconds; waiting must not be in it
	ErrorRatio  float64 // failed ÷ all journeys
}

func (t Trial) rate() float64 { return t.Completions / t.Seconds }
func (t Trial) busy() float64 { return t.Busy / t.Seconds }

// Excluded is a trial (by its index in the input) that a fit did not use.
type Excluded struct {
	Trial int
	Why   string
}

// DemandFit is the service demand of one resource.
type DemandFit struct {
	Demand     Interval // D, server-seconds a journey
	Background Interval // b, servers that are busy without any load
	RSquared   float64
	Used       int // trials
	Excluded   []Excluded
	// Drift is D at the highest loads ÷ D at the lowest. Above 1.15 work grows with load (Inflated): collection, retries,
	// spinning, caches. No ceiling may then be predicted from D beyond UpTo.
	Drift    float64
	Inflated bool
	UpTo     float64 // highest throughput among the trials used, 1/s: the demand is known up to here
}

const (
	mostErrors  = 0.01 // failed journeys carry other demands
	mostDrift   = 1.15
	fewestLoads = 4    // of them one idle: two coefficients and two degrees of freedom
	idleShare   = 0.02 // of the highest throughput: so little is idle
)

// FitDemand fits B/T = b + D·X over trials by weighted least squares (utilisation law, Denning & Buzen 1978). A regression
// tells background work from the journeys', which a division cannot.
//
// Weights are T/max(X, X_max/10): counts of a compound Poisson process have Var(B/T) = X·E[S²]/T, and an idle trial shall
// not pin the line by itself. Left out are trials with more than 1 % errors, and overloaded ones (more load than the
// trial of highest throughput) whose own demand is more than 15 % above the fit of the others. At least four must remain,
// one of them idle. [Refusal]: [TooFewTrials], [NoSpread], [NoDemand].
func FitDemand(trials []Trial) (DemandFit, error) {
	d := DemandFit{}
	var used []int
	for i, t := range trials {
		place := fmt.Sprintf("trial %d: ", i)
		if err := cmp.Or(notNegative(place+"load", t.Users), positive(place+"seconds", t.Seconds), notNegative(place+"completions", t.Completions),
			notNegative(place+"busy seconds", t.Busy), ratio(place+"error ratio", t.ErrorRatio)); err != nil {
			return DemandFit{}, err
		}
		if t.ErrorRatio > mostErrors {
			d.exclude(i, "%.3g %% of its journeys failed", 100*t.ErrorRatio)
			continue
		}
		used = append(used, i)
	}
	if len(used) == 0 {
		return d, tooFew(0)
	}
	slices.SortStableFunc(used, func(a, b int) int { return cmp.Compare(trials[a].Users, trials[b].Users) })
	peak := used[0]
	for _, i := range used {
		if trials[i].rate() > trials[peak].rate() {
			peak = i
		}
	}
	if err := enough(trials, used, peak); err != nil {
		return d, err
	}
	overloaded := func(i int) bool { return trials[i].Users > trials[peak].Users }
	calm := slices.DeleteFunc(slices.Clone(used), overloaded)
	if len(calm) < 3 {
		calm = used
	}
	first, ok := line(trials, calm)
	if !ok || first.beta[1] <= 0 {
		return d, &Refusal{NoDemand, "busy time does not grow with completions: this resource does not serve these journeys", "check that the counter belongs to a service of the journey"}
	}
	d.drift(trials, used, trials[peak].rate())
	used = slices.DeleteFunc(used, func(i int) bool {
		own := trials[i]
		if !overloaded(i) || own.rate() == 0 || (own.busy()-first.beta[0])/own.rate() <= mostDrift*first.beta[1] {
			return false
		}
		d.exclude(i, "overloaded, and its demand is %.0f %% above that of the trials before", 100*((own.busy()-first.beta[0])/own.rate()/first.beta[1]-1))
		return true
	})
	if err := enough(trials, used, peak); err != nil {
		return d, err
	}
	f, ok := line(trials, used)
	if !ok || f.beta[1] <= 0 {
		return d, &Refusal{NoSpread, "the trials' throughputs are too alike to tell the journeys' work from the background", "add an idle trial and a load far below capacity"}
	}
	d.Demand, d.Background, d.RSquared, d.Used = above0(f.interval(1)), above0(f.interval(0)), f.rSquared(), len(used)
	if f.beta[0] < 0 { // no resource works less than not at all: the line goes through the origin
		through, _ := leastSquares(f.column(1), f.y, f.w)
		d.Demand, d.RSquared = above0(through.interval(0)), through.rSquared()
	}
	for _, i := range used {
		d.UpTo = math.Max(d.UpTo, trials[i].rate())
	}
	return d, nil
}

func (d *DemandFit) exclude(i int, why string, args ...any) {
	d.Excluded = append(d.Excluded, Excluded{i, fmt.Sprintf(why, args...)})
}

func tooFew(n int) error {
	return &Refusal{TooFewTrials, fmt.Sprintf("%d trials are fit to measure a demand by; %d are needed, one of them idle", n, fewestLoads), "measure the target idle and at three loads without errors"}
}

func enough(trials []Trial, used []int, peak int) error {
	idle := slices.ContainsFunc(used, func(i int) bool { return trials[i].rate() <= idleShare*trials[peak].rate() })
	if len(used) < fewestLoads || !idle || trials[peak].Completions == 0 {
		return tooFew(len(used))
	}
	return nil
}

// line fits b and D over some trials.
func line(trials []Trial, used []int) (fit, bool) {
	most := 0.0
	for _, i := range used {
		most = math.Max(most, trials[i].rate())
	}
	var x [][]float64
	var y, w []float64
	for _, i := range used {
		t := trials[i]
		x = append(x, []float64{1, t.rate()})
		y = append(y, t.busy())
		w = append(w, t.Seconds/math.Max(t.rate(), most/10))
	}
	return leastSquares(x, y, w)
}

// drift compares the third of the loads with the most users with the third with the fewest, with the background of the
// idle trials: a fit's own b would have absorbed part of the growth.
func (d *DemandFit) drift(trials []Trial, used []int, highest float64) {
	var idle, idleT float64
	var loaded []Trial
	for _, i := range used {
		if t := trials[i]; t.rate() <= idleShare*highest {
			idle, idleT = idle+t.Busy, idleT+t.Seconds
		} else {
			loaded = append(loaded, t)
		}
	}
	of := func(part []Trial) float64 {
		work, c := 0.0, 0.0
		for _, t := range part {
			work += t.Busy - idle/idleT*t.Seconds
			c += t.Completions
		}
		return work / c
	}
	third := max(1, len(loaded)/3)
	low, high := of(loaded[:third]), of(loaded[len(loaded)-third:])
	d.Drift = 1
	if low > 0 && high > 0 {
		d.Drift = high / low
	}
	d.Inflated = d.Drift > mostDrift
}

// above0 cuts an interval at 0, which no demand is below.
func above0(i Interval) Interval {
	return Interval{math.Max(0, i.Low), math.Max(0, i.Value), math.Max(0, i.High)}
}
