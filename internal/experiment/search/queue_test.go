package search

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// queue is a target in virtual time: m servers, first come first served, whose capacity is known.
type queue struct {
	servers int
	mean    float64 // service time, s
	cv      float64 // its coefficient of variation
	shape   string  // deterministic, exponential, lognormal
	slow    float64 // slow start: this many times slower at first …
	slowFor float64 // … decaying over so many requests
	leak    float64 // slower by this share per request, for ever
	drift   float64 // slower by this share per second
	epoch   float64 // sd of a factor that changes every ten seconds: a noisy neighbour
	inflate float64 // service grows by this share for each request in the system beyond the servers: retrograde
	room    int     // in the system at most; more is answered 503; 0: no limit
	delay   float64 // s that every request takes on top, and nobody waits for: the services behind
	tokens  float64 // admitted per second at most, burst of 5; 0: no limit

	rng      *rand.Rand
	now      float64
	free     []float64 // when each server is free
	inside   times     // departures to come
	served   float64
	bucket   float64
	filled   float64
	factorAt float64
	factor   float64
}

type times []float64

func (h times) Len() int           { return len(h) }
func (h times) Less(i, j int) bool { return h[i] < h[j] }
func (h times) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *times) Push(x any)        { *h = append(*h, x.(float64)) }
func (h *times) Pop() any          { o := *h; x := o[len(o)-1]; *h = o[:len(o)-1]; return x }

func (q *queue) start(seed uint64) {
	q.rng = rand.New(rand.NewPCG(seed, 0xca9))
	q.free = make([]float64, q.servers)
	q.bucket, q.factor, q.factorAt = 5, 1, -1
}

// arrive lets one request in at t (never decreasing) and gives when it leaves and whether it was served.
func (q *queue) arrive(t float64) (leaves float64, ok bool) {
	for len(q.inside) > 0 && q.inside[0] <= t {
		heap.Pop(&q.inside)
	}
	if q.tokens > 0 {
		q.bucket = min(5, q.bucket+(t-q.filled)*q.tokens)
		q.filled = t
		if q.bucket < 1 {
			return t + 0.005, false
		}
		q.bucket--
	}
	if q.room > 0 && len(q.inside) >= q.room {
		return t + 0.005, false
	}
	i := q.next()
	leaves = max(t, q.free[i]) + q.service(t)
	q.free[i] = leaves
	heap.Push(&q.inside, leaves)
	q.served++
	return leaves + q.delay, true
}

// next is the server that is free first.
func (q *queue) next() int {
	i := 0
	for j := range q.free {
		if q.free[j] < q.free[i] {
			i = j
		}
	}
	return i
}

func (q *queue) service(t float64) float64 {
	s := q.mean
	switch q.shape {
	case "exponential":
		s *= q.rng.ExpFloat64()
	case "lognormal":
		sigma2 := math.Log(1 + q.cv*q.cv)
		s *= math.Exp(math.Sqrt(sigma2)*q.rng.NormFloat64() - sigma2/2)
	}
	if q.slow > 0 {
		s *= 1 + q.slow*math.Exp(-q.served/q.slowFor)
	}
	s *= 1 + q.leak*q.served
	s *= 1 + q.drift*t
	if q.epoch > 0 {
		if at := math.Floor(t / 10); at != q.factorAt {
			q.factorAt, q.factor = at, math.Exp(q.epoch*q.rng.NormFloat64())
		}
		s *= q.factor
	}
	return s * (1 + q.inflate*float64(max(0, len(q.inside)+1-q.servers)))
}

// truthArrivals are so many that chance moves a truth by less than half a percent, at c = 1 too.
const truthArrivals = 400000

type passage struct {
	arrived, left float64
	ok            bool
}

// hold puts a load on the queue and measures it, then lets it run dry.
func (q *queue) hold(a Action, limits []limit) Window {
	q.now += a.Cooldown
	from := q.now + a.Warm
	until := from + a.Measured
	var all []passage
	if a.Kind == Closed {
		next := make(times, 0, a.Users)
		for range a.Users {
			next = append(next, q.now)
		}
		heap.Init(&next)
		for next[0] < until {
			t := next[0]
			left, ok := q.arrive(t)
			all = append(all, passage{t, left, ok})
			next[0] = left
			heap.Fix(&next, 0)
		}
	} else {
		for k := 0; ; k++ {
			slot := q.now + float64(k)/a.PerSecond
			if slot >= until {
				break
			}
			if t := slot + q.rng.Float64()/a.PerSecond; t < until {
				left, ok := q.arrive(t)
				all = append(all, passage{t, left, ok})
			}
		}
	}
	q.now = until
	for _, p := range all {
		q.now = max(q.now, p.left)
	}
	return window(all, from, until, limits)
}

func window(all []passage, from, until float64, limits []limit) Window {
	n := int((until-from)/BinSeconds + 1e-9)
	w := Window{Seconds: until - from, Bins: make([]Bin, n)}
	bin := func(t float64) int { return min(max(int((t-from)/BinSeconds), 0), n-1) }
	var ms []float64
	in := make([]float64, n)
	before := 0.0
	for _, p := range all {
		if p.arrived >= from {
			w.Offered++
			in[bin(p.arrived)]++
		} else {
			before++
		}
		if p.left < from {
			before--
			continue
		}
		if p.left >= until {
			continue
		}
		b := bin(p.left)
		in[b]--
		took := 1000 * (p.left - p.arrived)
		w.Completed++
		w.Bins[b].Completed++
		w.Bins[b].MeanMs += took
		if p.ok {
			w.OK++
			w.Bins[b].OK++
		}
		ms = append(ms, took)
	}
	for i := range w.Bins {
		before += in[i]
		w.Bins[i].InFlight = before
		if c := w.Bins[i].Completed; c > 0 {
			w.Bins[i].MeanMs /= c
		}
	}
	if len(ms) == 0 {
		return w
	}
	slices.Sort(ms)
	w.MeanMs = Mean(ms)
	for _, x := range ms {
		w.SDMs += (x - w.MeanMs) * (x - w.MeanMs)
	}
	w.SDMs = math.Sqrt(w.SDMs / float64(len(ms)))
	at := func(p float64) float64 { return ms[min(int(p*float64(len(ms))), len(ms)-1)] }
	w.P50Ms, w.P95Ms = at(0.5), at(0.95)
	for _, l := range limits {
		switch {
		case l.p95Ms > 0:
			w.AllowedMs = l.p95Ms
			w.Excess = max(w.Excess, w.P95Ms/l.p95Ms)
			if w.P95Ms >= l.p95Ms {
				w.Broken = append(w.Broken, fmt.Sprintf("p95<%.0fms: %.0f ms", l.p95Ms, w.P95Ms))
			}
		case w.errorRatio() >= l.errors:
			w.Broken = append(w.Broken, fmt.Sprintf("errors<%.3g%%: %.3g %%", 100*l.errors, 100*w.errorRatio()))
		}
	}
	return w
}

// limit on load: one of the two.
type limit struct{ p95Ms, errors float64 }

// worn is the same target as it is now, without what changed it on the way: for the truth at the end of a search.
func (q *queue) worn() queue {
	out := *q
	out.mean *= (1 + q.leak*q.served) * (1 + q.drift*q.now)
	out.leak, out.drift, out.slow, out.epoch = 0, 0, 0, 0
	out.now, out.served, out.inside, out.filled = 0, 0, nil, 0
	return out
}

// truth is the largest rate the target holds: found by halving, each rate tried with so many arrivals that neither the
// empty start nor chance matters.
func truth(q queue, limits []limit) float64 {
	steady := q.worn()
	if len(limits) == 0 { // rule 2' without a limit
		one := steady
		one.start(1)
		w := one.hold(Action{Kind: Closed, Users: 1, Measured: truthArrivals / 13 * steady.mean}, nil)
		limits = []limit{{p95Ms: stableFactor * w.P95Ms}, {errors: errorLimit}}
	}
	holds := func(x float64) bool {
		if q.inflate > 0 { // by chance it collapses in the end: a load that most trials of ten minutes hold
			held := 0
			for seed := range uint64(15) {
				c := steady
				c.start(seed)
				w := c.hold(Action{Kind: Open, PerSecond: x, Measured: 600}, limits)
				if len(w.Broken) == 0 && w.Completed > 0.98*w.Offered {
					held++
				}
			}
			return held > 7
		}
		c := steady
		c.start(2)
		w := c.hold(Action{Kind: Open, PerSecond: x, Warm: 200 / x, Measured: truthArrivals / x}, limits)
		return len(w.Broken) == 0 && w.Completed > 0.995*w.Offered
	}
	lo, hi := 0.0, 1.3*float64(q.servers)/q.mean
	for hi/max(lo, 1e-9) > 1.002 && hi > 1e-3 {
		if x := (lo + hi) / 2; holds(x) {
			lo = x
		} else {
			hi = x
		}
	}
	return (lo + hi) / 2
}
