package queueing

import (
	"fmt"
	"math"
)

// Bounds are what throughput (1/s) and response time (s, without think time) lie within.
type Bounds struct{ PerSecond, Seconds Range }

// Knee is N* = (D + Z)/Dmax, the users at which the optimistic bounds cross, and Saturation 1/Dmax in 1/s, what an open load
// cannot exceed. Both are +Inf for a network of delays.
func (n Network) Knee() (users, saturation float64, err error) {
	if err := n.check(); err != nil {
		return 0, 0, err
	}
	saturation = 1 / n.bottleneck()
	return (n.elapsed() + n.Think) * saturation, saturation, nil
}

// Asymptotic gives the bounds that hold whatever the distributions (Lazowska et al. 1984, chapter 5), for users ≥ 1:
//
//	N/(D + Z + (N−1)·Dq)  ≤  X(N)  ≤  min(1/Dmax, N/(D + Z))
//	max(D, N·Dmax − Z)    ≤  R(N)  ≤  D + (N−1)·Dq
//
// D is all elapsed work of a journey, Dq its part at stations with a queue, Dmax = max D_k/m_k.
func (n Network) Asymptotic(users int) (Bounds, error) {
	if err := n.checkUsers(users); err != nil {
		return Bounds{}, err
	}
	N, d, q, most := float64(users), n.elapsed(), n.queueing(), n.bottleneck()
	return Bounds{
		PerSecond: Range{N / (d + n.Think + (N-1)*q), math.Min(1/most, N/(d+n.Think))},
		Seconds:   Range{math.Max(d, N*most-n.Think), d + (N-1)*q},
	}, nil
}

// seidmann replaces each station of m servers by one server m times as fast and a delay of D·(m−1)/m (Seidmann,
// Schweitzer & Shalev-Oren 1987). It gives the demands at the queues and Z with all delays in it. exact says that nothing
// had to be replaced.
func (n Network) seidmann() (demands []float64, think float64, exact bool) {
	think, exact = n.Think, true
	for _, s := range n.Stations {
		switch {
		case s.Delay:
			think += s.Demand
		case s.Demand > 0:
			demands = append(demands, s.Demand/s.Servers)
			if s.Servers > 1 {
				think += s.Demand * (s.Servers - 1) / s.Servers
				exact = false
			}
		}
	}
	return demands, think, exact
}

// Balanced gives the balanced job bounds (Zahorjan, Sevcik, Eager & Galler, CACM 1982), tighter than the asymptotic ones.
// With D the sum of K queueing demands, Davg = D/K and Z all think time and delays:
//
//	N/(D + Z + (N−1)·Dmax/(1 + Z/(N·D)))  ≤  X(N)  ≤  min(1/Dmax, N/(D + Z + (N−1)·Davg/(1 + Z/D)))
//
// Stations of several servers go through Seidmann's replacement first, which queues where servers are free: it understates
// X, so its lower bound holds and its upper does not. The upper one is then the asymptotic one.
//
// A measured X below the lower bound means that the model lacks a resource; above the upper, that demands are over-measured.
func (n Network) Balanced(users int) (Bounds, error) {
	wide, err := n.Asymptotic(users)
	if err != nil {
		return Bounds{}, err
	}
	demands, z, exact := n.seidmann()
	if len(demands) == 0 {
		return wide, nil
	}
	N, d, most := float64(users), 0.0, 0.0
	for _, v := range demands {
		d += v
		most = math.Max(most, v)
	}
	low := N / (d + z + (N-1)*most/(1+z/(N*d)))
	high := wide.PerSecond.High
	if exact {
		high = math.Min(high, N/(d+z+(N-1)*(d/float64(len(demands)))/(1+z/d)))
	}
	// R = N/X − Z for both, with the think time alone: delays are part of the response.
	return Bounds{PerSecond: Range{low, high}, Seconds: Range{N/high - n.Think, N/low - n.Think}}, nil
}

// mostUsers keeps an exact solution within seconds: it costs stations × users².
const mostUsers = 8192

func (n Network) checkUsers(users int) error {
	if users < 1 || users > mostUsers {
		return fmt.Errorf("network: %d users; solutions are computed for 1 to %d", users, mostUsers)
	}
	return n.check()
}
