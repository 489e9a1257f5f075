package queueing

import (
	"container/heap"
	"math/rand/v2"
)

// counts of a simulated closed network within a window.
type counts struct {
	seconds, completions float64
	busy                 []float64 // server-seconds by station
	area                 float64   // ∫ jobs in the stations dt
	response             float64   // Σ response times of the completions
}

type event struct {
	at      float64
	job     int
	station int // the one it leaves; −1 for thinking
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// simulate runs users jobs through a network's stations one after the other, first come first served, with exponential
// service times, and counts from the warm-up on.
func simulate(n Network, users int, warmUp, seconds float64, seed uint64) counts {
	random := rand.New(rand.NewPCG(seed, 1))
	c := counts{seconds: seconds, busy: make([]float64, len(n.Stations))}
	waiting := make([][]int, len(n.Stations))
	serving := make([]int, len(n.Stations))
	began := make([]float64, users)
	inside := 0
	var agenda events
	now := 0.0
	start := func(job, k int) {
		serving[k]++
		heap.Push(&agenda, event{now + random.ExpFloat64()*n.Stations[k].Demand, job, k})
	}
	enter := func(job, k int) {
		if s := n.Stations[k]; s.Delay || serving[k] < int(s.Servers) {
			start(job, k)
		} else {
			waiting[k] = append(waiting[k], job)
		}
	}
	for j := range users {
		heap.Push(&agenda, event{random.ExpFloat64() * (n.Think + 1e-9), j, -1})
	}
	for {
		e := heap.Pop(&agenda).(event)
		from, to := max(now, warmUp), min(e.at, warmUp+seconds)
		if to > from {
			for k := range serving {
				c.busy[k] += float64(serving[k]) * (to - from)
			}
			c.area += float64(inside) * (to - from)
		}
		if now = e.at; now > warmUp+seconds {
			return c
		}
		if e.station < 0 {
			began[e.job] = now
			inside++
			enter(e.job, 0)
			continue
		}
		k := e.station
		serving[k]--
		if len(waiting[k]) > 0 {
			start(waiting[k][0], k)
			waiting[k] = waiting[k][1:]
		}
		if k+1 < len(n.Stations) {
			enter(e.job, k+1)
			continue
		}
		inside--
		if now >= warmUp {
			c.completions++
			c.response += now - began[e.job]
		}
		heap.Push(&agenda, event{now + random.ExpFloat64()*(n.Think+1e-9), e.job, -1})
	}
}
