package queueing

import (
	"errors"
	"fmt"
	"math"
)

// Station is a place where a journey spends time: servers with a queue before them, or a delay where nobody waits.
type Station struct {
	Name    string
	Demand  float64 // D, server-seconds a journey, all visits together
	Servers float64 // m above 0; fractions are cores of a CPU quota. Not looked at for a delay
	Delay   bool    // nobody ever waits here: a network, or a downstream whose own limits are out of sight
}

// elapsed is what one journey alone spends at the station: less than one core stretches the work.
func (s Station) elapsed() float64 {
	if s.Delay {
		return s.Demand
	}
	return s.Demand / math.Min(1, s.Servers)
}

// Ceiling is m/D, the highest throughput in 1/s; +Inf for a delay and for a station nobody visits.
func (s Station) Ceiling() float64 {
	if s.Delay || s.Demand == 0 {
		return math.Inf(1)
	}
	return s.Servers / s.Demand
}

// Utilization at a throughput in 1/s: U = X·D/m (0 for a delay).
func (s Station) Utilization(perSecond float64) float64 {
	if s.Delay {
		return 0
	}
	return perSecond * s.Demand / s.Servers
}

func (s Station) check() error {
	place := fmt.Sprintf("station %q: ", s.Name)
	if err := notNegative(place+"demand in seconds", s.Demand); err != nil {
		return err
	}
	if s.Delay {
		return nil
	}
	return positive(place+"servers", s.Servers)
}

// Network is a closed network of stations that every journey visits, one class, with Think seconds between journeys. The
// stations' demands must not overlap: a second of a journey belongs to one of them.
type Network struct {
	Stations []Station
	Think    float64 // Z, seconds
}

func (n Network) check() error {
	if err := notNegative("think time in seconds", n.Think); err != nil {
		return err
	}
	for _, s := range n.Stations {
		if err := s.check(); err != nil {
			return err
		}
	}
	if n.elapsed() == 0 {
		return errors.New("network: no station has a demand; give at least one of them more than 0 s")
	}
	return nil
}

// elapsed is D: what one journey alone takes, in seconds, without think time.
func (n Network) elapsed() float64 {
	sum := 0.0
	for _, s := range n.Stations {
		sum += s.elapsed()
	}
	return sum
}

// queueing is Dq: the part of D at stations with a queue.
func (n Network) queueing() float64 {
	sum := 0.0
	for _, s := range n.Stations {
		if !s.Delay {
			sum += s.elapsed()
		}
	}
	return sum
}

// bottleneck is Dmax = max D/m over the stations with a queue, in seconds; 0 if there is none.
func (n Network) bottleneck() float64 {
	most := 0.0
	for _, s := range n.Stations {
		most = math.Max(most, 1/s.Ceiling())
	}
	return most
}
