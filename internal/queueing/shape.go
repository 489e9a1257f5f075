package queueing

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Shape is a model of X(N), and what it says of the target.
type Shape string

// Shapes, simplest first.
const (
	// HardBound is X = min(N/R₁, X_cap): a limiter that lets so much through and no more.
	HardBound Shape = "hard bound"
	// ServerStation is the exact closed model of one station of m servers of D seconds and a delay.
	ServerStation Shape = "server station"
	// Amdahl is the scalability law with κ = 0: a serial part.
	Amdahl Shape = "amdahl"
	// Universal is the scalability law with κ > 0.
	Universal Shape = "universal scalability law"
)

// Candidate is a shape fitted to levels.
type Candidate struct {
	Shape      Shape
	Parameters int
	AICc       float64 // corrected Akaike criterion, lower is better; only differences mean something
	Error      float64 // root mean square of the relative error of throughput
	// Ceiling is the throughput it tends to, 1/s; +Inf for none. It is the peak for Universal.
	Ceiling float64
	Single  float64 // R(1) + Z, seconds
	// Servers and Demand are those of ServerStation: m, and D in seconds. HardBound has none.
	Servers int
	Demand  float64

	round func(n float64) float64
}

// PerSecond is the candidate's X(N), 1/s.
func (c Candidate) PerSecond(users float64) float64 { return users / c.round(users) }

// criterion is AICc = n·ln(RSS/n) + 2k + 2k(k+1)/(n−k−1), k counting the noise as a parameter (Hurvich & Tsai 1989). A fit
// within a tenth of the noise is as good as a perfect one: below that only the number of parameters decides.
func criterion(rss float64, levels, parameters int) float64 {
	n, k := float64(levels), float64(parameters+1)
	return n*math.Log(math.Max(rss/n, 0.01)) + 2*k + 2*k*(k+1)/(n-k-1)
}

// candidates fits every shape, best first.
func candidates(s []sample) []Candidate {
	var out []Candidate
	add := func(c Candidate, ok bool) {
		if !ok {
			return
		}
		c.AICc = criterion(squares(s, c.round), len(s), c.Parameters)
		sum := 0.0
		for _, p := range s {
			e := p.round/c.round(p.n) - 1
			sum += e * e
		}
		c.Error = math.Sqrt(sum / float64(len(s)))
		out = append(out, c)
	}
	add(fitHardBound(s))
	add(fitServers(s))
	for _, shape := range []Shape{Amdahl, Universal} {
		u, _, ok := fitUSL(s, shape == Amdahl)
		parameters := 3
		if shape == Amdahl {
			parameters = 2
		}
		add(Candidate{Shape: shape, Parameters: parameters, Ceiling: u.highest(), Single: u.a, round: u.round}, ok)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].AICc < out[j].AICc })
	return out
}

// fitHardBound tries every split of the levels into a rising part (N/X = R₁) and a flat one (N/X = N/X_cap): within one
// split both are weighted means.
func fitHardBound(s []sample) (Candidate, bool) {
	s = slices.Clone(s)
	slices.SortStableFunc(s, func(a, b sample) int { return cmp.Compare(a.n, b.n) })
	best, least := Candidate{Shape: HardBound, Parameters: 2}, math.Inf(1)
	for k := 1; k < len(s); k++ {
		single := weighted(s[:k], func(sample) float64 { return 1 })
		each := weighted(s[k:], func(p sample) float64 { return p.n })
		round := func(n float64) float64 { return math.Max(single, n*each) }
		if rss := squares(s, round); rss < least {
			least = rss
			best.Single, best.Ceiling, best.round = single, 1/each, round
		}
	}
	return best, best.round != nil
}

// weighted is the least-squares b of N/X = b·h.
func weighted(s []sample, h func(sample) float64) float64 {
	above, below := 0.0, 0.0
	for _, p := range s {
		v := h(p)
		above += p.weight * p.round * v
		below += p.weight * v * v
	}
	return above / below
}

// fitServers searches the servers m (every one to 16, then in steps of a fifth) and the share d of the station in R(1); R(1)
// follows as a weighted mean, because N/X is proportional to it. Levels that reach beyond their knee say what m/d is to a
// factor of two, which bounds both. With d = 1 it would be HardBound.
func fitServers(s []sample) (Candidate, bool) {
	first, highest := s[0], 0.0
	for _, p := range s {
		highest = math.Max(highest, p.n/p.round)
		if p.n < first.n {
			first = p
		}
	}
	knee := first.round * highest
	best, least := Candidate{Shape: ServerStation, Parameters: 3}, math.Inf(1)
	h := make([]float64, len(s))
	for m := 1; float64(m) <= 2*knee+1; m = max(m+1, m+m/5*min(1, m/16)) {
		of := func(share float64) (single, rss float64) {
			above, below := 0.0, 0.0
			for i, p := range s {
				h[i] = repair(p.n, m, share)
				above += p.weight * p.round * h[i]
				below += p.weight * h[i] * h[i]
			}
			single = above / below
			for i, p := range s {
				off := p.round - single*h[i]
				rss += p.weight * off * off
			}
			return single, rss
		}
		// A grid first, since the sum need not have one minimum, then a golden section about the best point.
		from, to := math.Min(1, float64(m)/knee/2), math.Min(1, float64(m)/knee*2)
		const steps = 12
		step, share, lowest := (to-from)/steps, from, math.Inf(1)
		for g := range steps + 1 {
			if _, rss := of(from + float64(g)*step); rss < lowest {
				share, lowest = from+float64(g)*step, rss
			}
		}
		low, high := math.Max(from, share-step), math.Min(to, share+step)
		for range 20 {
			a, b := high-(high-low)/math.Phi, low+(high-low)/math.Phi
			_, ra := of(a)
			if _, rb := of(b); ra < rb {
				high = b
			} else {
				low = a
			}
		}
		share = (low + high) / 2
		if single, rss := of(share); rss < least {
			least = rss
			best.Single, best.Servers, best.Demand = single, m, single*share
			best.Ceiling = float64(m) / best.Demand
			best.round = func(n float64) float64 { return single * repair(n, m, share) }
		}
	}
	return best, best.round != nil
}

// repair is N/X of the machine repair model (Palm 1947) with R(1) = 1: a station of m servers with demand share, and a delay
// of 1 − share. It is [Network.Solve] for these two, in O(N): the weight of j journeys at the station is
//
//	D^j/Π min(i, m) · Z^(N−j)/(N−j)!    and    X = Σ weight(j)·min(j, m)/D ÷ Σ weight(j)
//
// Between whole users it is interpolated.
func repair(users float64, m int, share float64) float64 {
	whole := math.Floor(users)
	if part := users - whole; part > 0 {
		return (1-part)*repair(whole, m, share) + part*repair(whole+1, m, share)
	}
	if share >= 1 {
		return users / math.Min(users, float64(m))
	}
	if capacity := float64(m) / share; whole > 2*capacity+50 {
		return whole / capacity // so far beyond the knee that a server is idle less than once in 10⁸
	}
	// Weights as multiples of the one before, w(j)/w(j−1) = D·(N−j+1)/(min(j, m)·Z), rescaled when they grow large.
	ratio := share / (1 - share)
	w, sum, busy := 1.0, 1.0, 0.0
	for j := 1; j <= int(whole); j++ {
		servers := float64(min(j, m))
		w *= ratio * (whole - float64(j) + 1) / servers
		sum += w
		busy += w * servers
		if sum > 1e200 {
			w, sum, busy = w/sum, 1, busy/sum
		}
	}
	return whole / (busy / sum / share)
}
