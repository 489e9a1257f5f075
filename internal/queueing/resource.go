package queueing

import (
	"cmp"
	"fmt"
	"math"
	"sort"
)

// Resource is a station with what was measured there.
type Resource struct {
	Name    string
	Demand  Interval // server-seconds a journey
	Servers float64  // m; not looked at for a delay
	Delay   bool     // nobody waits there, as far as anyone can see
	// Overlaps says that the resource's busy time is in other resources' demands too: all CPU of a process whose event loop
	// is listed, or a pool whose connections wait for a listed downstream. Its ceiling counts, its time does not.
	Overlaps bool
	Limit    float64 // the resource's own measured or published ceiling, 1/s; 0 for none known
	// Utilization is what was measured at the highest throughput, 0 to 1; Queue says that work waited there. They are the
	// evidence that it limits, and nothing else is.
	Utilization float64
	Queue       bool
}

func (r Resource) check() error {
	place := fmt.Sprintf("resource %q: ", r.Name)
	if r.Name == "" {
		return fmt.Errorf("a resource has no name; changes address resources by name")
	}
	if err := cmp.Or(r.Demand.check(place+"demand in seconds"), notNegative(place+"limit", r.Limit), notNegative(place+"utilization", r.Utilization)); err != nil {
		return err
	}
	if r.Delay {
		return nil
	}
	return positive(place+"servers", r.Servers)
}

// System is everything known of a target: what a prediction starts from.
type System struct {
	Resources []Resource
	Think     float64 // Z, seconds
	Highest   float64 // highest throughput measured, 1/s; 0 if none was
	// Flat says that more load brought no more than Highest. Something then limits there, measured or not.
	Flat bool
}

func (s System) check() error {
	seen := map[string]bool{}
	for _, r := range s.Resources {
		if err := r.check(); err != nil {
			return err
		}
		if seen[r.Name] {
			return fmt.Errorf("resource %q is listed twice; give each a name of its own", r.Name)
		}
		seen[r.Name] = true
	}
	return cmp.Or(notNegative("think time in seconds", s.Think), notNegative("highest throughput", s.Highest))
}

// Uninstrumented is the name of the ceiling that the target has although no measured resource explains it.
const Uninstrumented = "an uninstrumented resource"

// Ceiling is the throughput a resource allows.
type Ceiling struct {
	Resource    string
	Servers     float64  // 0 for a limit that is not made of servers
	Demand      Interval // server-seconds a journey
	PerSecond   Interval // m/D, and no more than the resource's own limit
	Utilization float64
	Full        bool // utilization ≥ 0.9, or a queue: there is evidence that it limits
}

// fullFrom is the utilization from which a resource counts as full.
const fullFrom = 0.9

// Ceilings lists m/D for each resource that can be full, lowest first. The bounds of m/D are those of D, turned round.
func (s System) Ceilings() ([]Ceiling, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	out := []Ceiling{}
	for _, r := range s.Resources {
		c := Ceiling{Resource: r.Name, Demand: r.Demand, PerSecond: Exactly(math.Inf(1)), Utilization: r.Utilization, Full: r.Utilization >= fullFrom || r.Queue}
		if !r.Delay {
			c.Servers = r.Servers
			c.PerSecond = Interval{r.Servers / r.Demand.High, r.Servers / r.Demand.Value, r.Servers / r.Demand.Low}
		}
		if r.Limit > 0 {
			c.PerSecond = c.PerSecond.atMost(r.Limit)
		}
		if !math.IsInf(c.PerSecond.Value, 1) {
			out = append(out, c)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].PerSecond.Value < out[j].PerSecond.Value })
	return out, nil
}

func (i Interval) atMost(v float64) Interval {
	return Interval{math.Min(i.Low, v), math.Min(i.Value, v), math.Min(i.High, v)}
}

// Bottleneck names the lowest ceiling with evidence that it limits, and says so in a sentence. Without evidence the name is
// [Uninstrumented], never that of the lowest one measured; with a curve that still rises it is empty.
func (s System) Bottleneck() (name, sentence string, err error) {
	ceilings, err := s.Ceilings()
	if err != nil {
		return "", "", err
	}
	for _, c := range ceilings {
		if c.Full {
			return c.Resource, fmt.Sprintf("%s limits at %.4g/s", c.Resource, c.PerSecond.Value), nil
		}
	}
	if s.Flat {
		return Uninstrumented, fmt.Sprintf("%s limits at %.4g/s", Uninstrumented, s.Highest), nil
	}
	return "", "nothing measured is full, and throughput still rises with load", nil
}

// network is the system with each demand picked from its interval, resources that overlap left out.
func (s System) network(of func(Interval) float64) Network {
	n := Network{Think: s.Think}
	for _, r := range s.Resources {
		if !r.Overlaps {
			n.Stations = append(n.Stations, Station{r.Name, of(r.Demand), r.Servers, r.Delay})
		}
	}
	return n
}
