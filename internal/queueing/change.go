package queueing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Change is a fix, as what it does to demands and servers. It leaves the system it is given alone.
type Change interface {
	Apply(System) (System, error)
	String() string // for a report: what is changed, and to what
}

// OffLoop moves work from one resource to another, such as a hash from an event loop to a pool of threads. The work stays:
// it is done by Servers servers of To, which is added if there is none.
type OffLoop struct {
	Loop, To string
	Seconds  float64 // work a journey that moves
	Servers  float64 // cores, or threads that have one
}

// ReuseClients keeps one client instead of making one a call: the loop no longer builds it, the network no longer dials.
type ReuseClients struct {
	Loop, Network      string
	Construct, Connect float64 // seconds a journey, all calls together; Connect is dialling and TLS
}

// Resize gives a pool, semaphore or bulkhead another size.
type Resize struct {
	Pool string
	Size float64
}

// Workers runs an event loop in so many processes. Most is how many of them can get on at once, since what they compute needs a
// core: cores ÷ (CPU seconds a second of the loop); 0 when that is not known.
type Workers struct {
	Loop string
	N    int
	Most float64
}

// HashCost changes the cost factor of password hashing by Delta steps, each of which doubles the work (bcrypt: 2^cost
// rounds, Provos & Mazières 1999). Hash is how much of the resource's demand is hashing, in seconds.
type HashCost struct {
	Resource string
	Delta    int
	Hash     float64
}

// Scale gives a downstream other servers and another demand a journey (seconds). Its own Limit scales with servers ÷ demand
// only if Limit says so: 0 forgets it.
type Scale struct {
	Downstream string
	Servers    float64
	Demand     float64
	Limit      float64
}

func (c OffLoop) String() string {
	return fmt.Sprintf("move %.3g s of work from %s to %s (%.3g servers)", c.Seconds, c.Loop, c.To, c.Servers)
}

func (c ReuseClients) String() string {
	return fmt.Sprintf("reuse clients: %.3g s less on %s, %.3g s less on %s", c.Construct, c.Loop, c.Connect, c.Network)
}
func (c Resize) String() string  { return fmt.Sprintf("resize %s to %.4g", c.Pool, c.Size) }
func (c Workers) String() string { return fmt.Sprintf("run %s in %d workers", c.Loop, c.N) }
func (c HashCost) String() string {
	return fmt.Sprintf("change the hash cost on %s by %+d", c.Resource, c.Delta)
}

func (c Scale) String() string {
	return fmt.Sprintf("scale %s to %.4g servers at %.3g s", c.Downstream, c.Servers, c.Demand)
}

// Apply implements [Change].
func (c OffLoop) Apply(s System) (System, error) {
	if err := cmp.Or(positive("work to move in seconds", c.Seconds), positive("servers of "+c.To, c.Servers)); err != nil {
		return s, err
	}
	if c.To == "" || c.To == c.Loop {
		return s, fmt.Errorf("work moves from %q to %q; name another resource", c.Loop, c.To)
	}
	s, err := s.change(c.Loop, func(r *Resource) error { return r.take(c.Seconds) })
	if err != nil {
		return s, err
	}
	for i := range s.Resources {
		r := &s.Resources[i]
		if r.Name != c.To {
			continue
		}
		if r.Overlaps || r.Delay {
			return s, fmt.Errorf("work cannot move to %q, which has no time and servers of its own; name a new resource for it", c.To)
		}
		r.Demand = Interval{r.Demand.Low + c.Seconds, r.Demand.Value + c.Seconds, r.Demand.High + c.Seconds}
		r.Servers = c.Servers
		return s, nil
	}
	s.Resources = append(s.Resources, Resource{Name: c.To, Demand: Exactly(c.Seconds), Servers: c.Servers})
	return s, nil
}

// Apply implements [Change].
func (c ReuseClients) Apply(s System) (System, error) {
	if err := cmp.Or(notNegative("construction in seconds", c.Construct), notNegative("connecting in seconds", c.Connect)); err != nil {
		return s, err
	}
	s, err := s.change(c.Loop, func(r *Resource) error { return r.take(c.Construct) })
	if err != nil || c.Connect == 0 {
		return s, err
	}
	return s.change(c.Network, func(r *Resource) error { return r.take(c.Connect) })
}

// Apply implements [Change].
func (c Resize) Apply(s System) (System, error) { return s.resize(c.Pool, c.Size) }

// Apply implements [Change].
func (c Workers) Apply(s System) (System, error) {
	n := float64(c.N)
	if c.Most > 0 {
		n = math.Min(n, c.Most)
	}
	return s.resize(c.Loop, n)
}

// Apply implements [Change].
func (c HashCost) Apply(s System) (System, error) {
	if err := positive("hashing in seconds", c.Hash); err != nil {
		return s, err
	}
	if c.Delta < -27 || c.Delta > 27 {
		return s, fmt.Errorf("hash cost changes by %d; cost factors lie between 4 and 31, so at most 27 steps", c.Delta)
	}
	return s.change(c.Resource, func(r *Resource) error {
		if err := r.take(c.Hash); err != nil {
			return err
		}
		h := c.Hash * math.Pow(2, float64(c.Delta))
		r.Demand = Interval{r.Demand.Low + h, r.Demand.Value + h, r.Demand.High + h}
		return nil
	})
}

// Apply implements [Change].
func (c Scale) Apply(s System) (System, error) {
	if err := cmp.Or(positive("servers of "+c.Downstream, c.Servers), positive("demand at "+c.Downstream+" in seconds", c.Demand), notNegative("limit of "+c.Downstream, c.Limit)); err != nil {
		return s, err
	}
	return s.change(c.Downstream, func(r *Resource) error {
		r.Servers, r.Demand, r.Limit = c.Servers, Exactly(c.Demand), c.Limit
		return nil
	})
}

func (s System) resize(name string, servers float64) (System, error) {
	if err := positive("servers of "+name, servers); err != nil {
		return s, err
	}
	return s.change(name, func(r *Resource) error {
		if r.Delay {
			return &Refusal{ImpossibleFix, fmt.Sprintf("%s is a delay: it has no servers whose number could change", name), "measure its pool, or scale it as a downstream"}
		}
		r.Servers = servers
		return nil
	})
}

// change edits one resource of a copy.
func (s System) change(name string, edit func(*Resource) error) (System, error) {
	s.Resources = slices.Clone(s.Resources)
	for i := range s.Resources {
		if s.Resources[i].Name == name {
			return s, edit(&s.Resources[i])
		}
	}
	return s, &Refusal{UnknownResource, fmt.Sprintf("no resource %q was measured, so nothing can be said of changing it", name), "expose it as a metric, and measure again"}
}

// take removes work from a demand; rounding apart it cannot be more than there is.
func (r *Resource) take(seconds float64) error {
	if seconds > r.Demand.Value*(1+1e-9) {
		return &Refusal{ImpossibleFix, fmt.Sprintf("%s has %.3g s a journey, so %.3g s cannot be taken from it", r.Name, r.Demand.Value, seconds), "measure both at the same load"}
	}
	less := func(v float64) float64 { return math.Max(0, v-seconds) }
	r.Demand = Interval{less(r.Demand.Low), less(r.Demand.Value), less(r.Demand.High)}
	return nil
}
