package queueing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Outlook is what a system can do.
type Outlook struct {
	Ceilings []Ceiling // lowest first, [Uninstrumented] among them
	Highest  Interval  // X_max = min over the ceilings, 1/s
	Limit    Ceiling   // the bottleneck where there is evidence of one, else the lowest
	Next     *Ceiling  // the lowest of the others: what limits once the first is gone; nil if nothing is known to
	Knee     Interval  // N* = (D + Z)·X_max, users
	Users    int
	// Throughput in 1/s and response time in seconds at Users users, exact for the middle demands and their bounds.
	Throughput   Interval
	ResponseTime Interval
}

// Prediction is an outlook before and after changes.
type Prediction struct {
	Before, After Outlook
	Changes       []string
	// Sentences are for the report: what is promised, what limits next, and under which condition.
	Sentences []string
}

// ModelError is by how much a prediction is off beyond the error of its demands: ±15 %, somewhat more than the 5 to 10 %
// Lazowska et al. (1984, chapter 1) report for throughputs. To be replaced by the figure that predictions of this program
// are found to have.
const ModelError = 0.15

// widen an interval that was predicted and not measured.
func (i Interval) widen() Interval {
	return Interval{i.Low * (1 - ModelError), i.Value, i.High * (1 + ModelError)}
}

// Outlook computes ceilings, knee, X(N) and R(N) as measured, without widening.
func (s System) Outlook(users int) (Outlook, error) { return s.outlook(users, false) }

func (s System) outlook(users int, predicted bool) (Outlook, error) {
	ceilings, err := s.Ceilings()
	if err != nil {
		return Outlook{}, err
	}
	name, _, err := s.Bottleneck()
	if err != nil {
		return Outlook{}, err
	}
	if name == Uninstrumented && s.Highest > 0 {
		ceilings = insert(ceilings, Ceiling{Resource: Uninstrumented, PerSecond: Exactly(s.Highest), Full: true})
	}
	if len(ceilings) == 0 {
		return Outlook{}, &Refusal{NoResource, "no resource with a limit was measured, so no ceiling can be given", "expose pools, semaphores, event loop and CPU as metrics"}
	}
	o := Outlook{Ceilings: ceilings, Users: users, Highest: Exactly(math.Inf(1))}
	// What widening may not exceed: limits of others are facts and no predictions.
	fixed := math.Inf(1)
	for _, c := range ceilings {
		o.Highest = Interval{math.Min(o.Highest.Low, c.PerSecond.Low), math.Min(o.Highest.Value, c.PerSecond.Value), math.Min(o.Highest.High, c.PerSecond.High)}
		if c.Resource == Uninstrumented {
			fixed = math.Min(fixed, c.PerSecond.High)
		}
	}
	for _, r := range s.Resources {
		if r.Limit > 0 {
			fixed = math.Min(fixed, r.Limit)
		}
	}
	high, err1 := s.at(users, o.Highest.High, func(i Interval) float64 { return i.Low })
	value, err2 := s.at(users, o.Highest.Value, func(i Interval) float64 { return i.Value })
	low, err3 := s.at(users, o.Highest.Low, func(i Interval) float64 { return i.High })
	if err := cmp.Or(err1, err2, err3); err != nil {
		return Outlook{}, err
	}
	o.Throughput = Interval{low.PerSecond, value.PerSecond, high.PerSecond}
	elapsed := s.network(func(i Interval) float64 { return i.Value }).elapsed() + s.Think
	if predicted {
		o.Highest = o.Highest.widen().atMost(fixed)
		o.Throughput = o.Throughput.widen().atMost(math.Min(fixed, float64(users)/s.fastest()))
	}
	N := float64(users)
	time := func(x float64) float64 { return math.Max(0, N/x-s.Think) }
	o.ResponseTime = Interval{time(o.Throughput.High), time(o.Throughput.Value), time(o.Throughput.Low)}
	o.Knee = o.Highest.times(elapsed)
	if predicted {
		for i := range ceilings {
			c := &ceilings[i]
			c.Utilization = math.Min(1, o.Throughput.Value/c.PerSecond.Value)
			c.Full = c.Utilization >= fullFrom
		}
	}
	o.Limit = ceilings[0]
	for _, c := range ceilings {
		if c.Resource == name {
			o.Limit = c
		}
	}
	for _, c := range ceilings {
		if c.Resource != o.Limit.Resource {
			o.Next = &c
			break
		}
	}
	return o, nil
}

// fastest is the shortest round of one user that the demands allow, in seconds.
func (s System) fastest() float64 {
	return s.network(func(i Interval) float64 { return i.Low }).elapsed() + s.Think
}

// at solves the network for one choice of demands, under the ceilings of resources that are not in it.
func (s System) at(users int, highest float64, of func(Interval) float64) (Point, error) {
	n := s.network(of)
	if n.elapsed() == 0 { // bounds that reach down to 0: only the think time holds users back
		return Point{Users: users, PerSecond: math.Min(float64(users)/n.Think, highest)}, nil
	}
	points, err := n.Solve(users)
	if err != nil {
		return Point{}, err
	}
	p := points[users-1]
	p.PerSecond = math.Min(p.PerSecond, highest)
	return p, nil
}

func insert(ceilings []Ceiling, c Ceiling) []Ceiling {
	i := 0
	for i < len(ceilings) && ceilings[i].PerSecond.Value <= c.PerSecond.Value {
		i++
	}
	return append(ceilings[:i:i], append([]Ceiling{c}, ceilings[i:]...)...)
}

// Predict applies changes in order and gives both outlooks at a load of users. The intervals after hold the demands' own
// bounds and ±15 % for the model; no interval goes beyond what a resource is known to limit at. Demands are taken to stay
// what they were, also where a change lets throughput rise beyond what was measured: the last sentence says so.
//
// While an uninstrumented resource limits it goes on limiting, so that fixes elsewhere promise nothing.
func Predict(s System, users int, changes ...Change) (Prediction, error) {
	p := Prediction{}
	var err error
	if p.Before, err = s.Outlook(users); err != nil {
		return Prediction{}, err
	}
	name, _, err := s.Bottleneck()
	if err != nil {
		return Prediction{}, err
	}
	after := s
	for _, c := range changes {
		if after, err = c.Apply(after); err != nil {
			return Prediction{}, err
		}
		p.Changes = append(p.Changes, c.String())
	}
	// What was full was measured; what will be is not evidence. An uninstrumented resource alone stays as it is.
	after.Flat = name == Uninstrumented
	after.Resources = slices.Clone(after.Resources)
	for i := range after.Resources {
		after.Resources[i].Utilization, after.Resources[i].Queue = 0, false
	}
	if p.After, err = after.outlook(users, true); err != nil {
		return Prediction{}, err
	}
	a := p.After
	p.Sentences = append(p.Sentences, fmt.Sprintf("highest throughput goes from %.3g/s to %.3g/s (%.3g–%.3g)", p.Before.Highest.Value, a.Highest.Value, a.Highest.Low, a.Highest.High))
	next := a.Limit.Resource + " limits then"
	if a.Next != nil {
		next += fmt.Sprintf(", and %s (%.3g/s) after it", a.Next.Resource, a.Next.PerSecond.Value)
	}
	p.Sentences = append(p.Sentences, next, fmt.Sprintf("at %d users: %.3g/s and %.3g s (%.3g–%.3g s)", users, a.Throughput.Value, a.ResponseTime.Value, a.ResponseTime.Low, a.ResponseTime.High))
	valid := "valid if the work of a journey stays what was measured"
	if s.Highest > 0 && a.Highest.Value > s.Highest {
		valid = fmt.Sprintf("valid if the work of a journey stays constant beyond the %.3g/s that were measured", s.Highest)
	}
	p.Sentences = append(p.Sentences, valid)
	return p, nil
}
