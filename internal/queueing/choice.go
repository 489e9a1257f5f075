package queueing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Choice says which model of X(N) levels support.
type Choice struct {
	Best       Candidate   // the simplest of those within 2 AICc of the first; zero where the levels are not fit to choose by
	Candidates []Candidate // by AICc, lowest first
	// USL is the law with its bounds. It is nil whenever Refusal is not: the sentence is then what to print instead.
	USL     *USL
	Refusal *Refusal
	Left    []Excluded // levels, by their index, that were not used
	// Warnings are what a reader must know although there is an answer.
	Warnings []string
}

const (
	fewestLevels = 6 // the corrected criterion of three parameters and the noise needs more than five
	fewestBeyond = 2 // levels on either side of the knee
	clearlyLess  = 2 // AICc
	twoValued    = 0.10
)

// Choose compares the four shapes by AICc and reports the Universal Scalability Law only if it wins by more than 2 and
// nothing speaks against it; otherwise Choice.Refusal says why. The error is for levels that make no sense.
func Choose(levels []Level, seed uint64) (Choice, error) {
	for _, l := range levels {
		if err := l.check(); err != nil {
			return Choice{}, err
		}
	}
	c := Choice{}
	var used []Level
	for i, l := range levels {
		if l.Flaw == Unsteady {
			c.Left = append(c.Left, Excluded{i, string(Unsteady)})
			continue
		}
		used = append(used, l)
	}
	if c.Refusal = unfit(used); c.Refusal != nil {
		return c, nil
	}
	if slices.MinFunc(used, byUsers).Users > 1 {
		c.Warnings = append(c.Warnings, "no level of one user: the throughput of one is extrapolated")
	}
	c.Candidates = candidates(samples(used))
	c.Best = simplest(c.Candidates)
	if c.Refusal = c.against(); c.Refusal != nil {
		return c, nil
	}
	u, err := FitUSL(used, seed)
	if err != nil {
		return c, err
	}
	c.USL = &u
	if !u.Bounds {
		c.Warnings = append(c.Warnings, fmt.Sprintf("a level has fewer than %d batches: no bounds", fewestBatch))
	}
	return c, nil
}

// simplest of the candidates that are as good as the best: one loop from the first user on is a hard bound and a serial part
// alike. The law is not taken in this way and does not give way in it; against asks for its lead.
func simplest(best []Candidate) Candidate {
	if best[0].Shape == Universal {
		return best[0]
	}
	for _, shape := range []Shape{HardBound, Amdahl, ServerStation} {
		for _, c := range best {
			if c.Shape == shape && c.AICc-best[0].AICc <= clearlyLess {
				return c
			}
		}
	}
	return best[0]
}

func byUsers(a, b Level) int { return cmp.Compare(a.Users, b.Users) }

// unfit is why no curve at all may be drawn through the levels, or nil.
func unfit(levels []Level) *Refusal {
	for _, l := range levels {
		switch {
		case l.Flaw == GeneratorLimited:
			return &Refusal{GeneratorLimit, fmt.Sprintf("no scalability law: the level of %.4g users %s, so its throughput is not the target's", l.Users, l.Flaw), "generate the load from more cores or machines"}
		case l.Flaw != Sound:
			return &Refusal{ChangedMidway, fmt.Sprintf("no scalability law: the level of %.4g users %s, so the levels are not of one system", l.Users, l.Flaw), "keep everything but the users the same between levels"}
		case l.ErrorRatio > mostErrors:
			return &Refusal{Failures, fmt.Sprintf("no scalability law: %.3g %% of the journeys failed at %.4g users; what is lost to errors and timeouts is not lost to contention", 100*l.ErrorRatio, l.Users), "look at the errors first, or stop below that level"}
		}
	}
	different := map[float64]bool{}
	for _, l := range levels {
		different[l.Users] = true
	}
	if len(different) < fewestLevels {
		return &Refusal{TooFewTrials, fmt.Sprintf("no scalability law: %d levels are fit to choose a model by, and %d are needed", len(different), fewestLevels), "measure seven to nine levels, doubling the users from one"}
	}
	if r := hysteresis(levels); r != nil {
		return r
	}
	// The knee of the optimistic bounds, from the lowest level and the highest throughput.
	first, highest := slices.MinFunc(levels, byUsers), 0.0
	for _, l := range levels {
		highest = math.Max(highest, l.throughput())
	}
	knee := first.Users / first.throughput() * highest
	below, beyond := 0, 0
	for n := range different {
		if n < knee*0.999 {
			below++
		} else {
			beyond++
		}
	}
	// A resource that is full from the first user on has no level below its knee, and needs none.
	if beyond < fewestBeyond || below < fewestBeyond && knee > 2 {
		return &Refusal{NoKnee, fmt.Sprintf("no scalability law: %d levels lie below the knee of %.4g users and %d beyond it, where serial part and pairwise cost show; %d each are needed", below, knee, beyond, fewestBeyond), "measure at least two levels on either side of the knee"}
	}
	return nil
}

// hysteresis looks for levels whose way down differs from the way up by more than 10 % and more than twice the noise.
func hysteresis(levels []Level) *Refusal {
	for _, up := range levels {
		for _, down := range levels {
			if up.Users != down.Users || up.Descending || !down.Descending {
				continue
			}
			a, b := up.throughput(), down.throughput()
			noise := math.Hypot(a*up.noise(), b*down.noise())
			if gap := math.Abs(a - b); gap > twoValued*math.Max(a, b) && gap > 2*noise {
				return &Refusal{TwoValued, fmt.Sprintf("no scalability law: %.4g users gave %.4g/s on the way up and %.4g/s on the way down, so throughput is not a function of users", up.Users, a, b), "look at what stays behind after overload: recovery, not scalability"}
			}
		}
	}
	return nil
}

// against is why the law may not be reported although a curve can be drawn, or nil.
func (c Choice) against() *Refusal {
	b := c.Best
	switch b.Shape {
	case HardBound:
		return &Refusal{HardLimit, fmt.Sprintf("no scalability law: throughput rises with users to a corner and stays at %.4g/s, as a pool, semaphore, rate limit or single loop makes it; contention would be invented", b.Ceiling), "look for the resource that is full"}
	case ServerStation:
		return &Refusal{Servers, fmt.Sprintf("no scalability law: a station of about %d server(s) at %.3g s a journey explains the curve, with a ceiling of %.4g/s; contention would be invented", b.Servers, b.Demand, b.Ceiling), "look for the resource with so many servers"}
	case Amdahl:
		if math.IsInf(b.Ceiling, 1) {
			return &Refusal{NoKnee, "no scalability law: throughput grows in proportion to users, nothing limits it yet", "measure more users"}
		}
		return &Refusal{SerialOnly, fmt.Sprintf("no scalability law: each user adds %.3g s to every journey, which is one saturated server with a ceiling of %.4g/s, and no cost of coordination", 1/b.Ceiling, b.Ceiling), "look for the resource that serves one journey at a time"}
	}
	for _, o := range c.Candidates[1:] {
		if lead := o.AICc - b.AICc; lead <= clearlyLess {
			return &Refusal{NotBetter, fmt.Sprintf("no scalability law: it fits better than %s by only %.2g AICc, and more than %d are needed", o.Shape, lead, clearlyLess), "measure longer, or at more levels"}
		}
	}
	return nil
}
