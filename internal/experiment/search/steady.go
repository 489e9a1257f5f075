package search

import "math"

// MSER5 says how many leading values of a series to cut so that the mean of the rest is known best: over means of five,
// d* = argmin_{0≤d≤n/2} (n−d)⁻² · Σ_{i>d} (Y_i − mean_{>d})². steady is false when d* lies at n/2, that is when the
// series has not settled within its first half, or when there are too few values to say.
// Source: White 1997; White, Cobb & Spratt 2000.
func MSER5(x []float64) (cut int, steady bool) {
	n := len(x) / mserBatch
	if n < mserLeast {
		return 0, false
	}
	y := make([]float64, n)
	for i := range y {
		y[i] = Mean(x[i*mserBatch : (i+1)*mserBatch])
	}
	best, at := math.Inf(1), 0
	for d := 0; d <= n/2; d++ {
		rest := y[d:]
		m, sum := Mean(rest), 0.0
		for _, v := range rest {
			sum += (v - m) * (v - m)
		}
		if stat := sum / float64(len(rest)*len(rest)); stat < best {
			best, at = stat, d
		}
	}
	return at * mserBatch, at < n/2
}

// settled is a series without its transient. One that never settles is left whole: whether it rises is for the trend to say.
func settled(x []float64) []float64 {
	if cut, steady := MSER5(x); steady {
		return x[cut:]
	}
	return x
}

const (
	mserBatch = 5
	// mserLeast batches: with fewer, d* = n/2 is noise as often as it is a transient. 20 batches are 20 s of 200 ms bins
	// (measurement 3.3 calls 30 adequate); a shorter trial relies on its fixed warm-up alone.
	mserLeast = 20
)

// BatchMeans is the mean of an autocorrelated series with its 95 % half-width: the means of 20 batches, halved (not below 8)
// while their lag-1 autocorrelation is above 0.2, and Student's t of b−1 degrees. half is +Inf with fewer than 8 values.
// Source: Law & Kelton, Simulation Modeling and Analysis, section 9.5.3.
func BatchMeans(x []float64) (m, half float64, b int) {
	b = 20
	for b > len(x) {
		b /= 2
	}
	if b < 5 {
		return Mean(x), math.Inf(1), b
	}
	y := batches(x, b)
	for b/2 >= 8 && Lag1(y) > Independent {
		b /= 2
		y = batches(x, b)
	}
	m = Mean(y)
	sum := 0.0
	for _, v := range y {
		sum += (v - m) * (v - m)
	}
	return Mean(x), studentT975(b-1) * math.Sqrt(sum/float64(b-1)/float64(b)), b
}

// studentT975 is the 97.5 % quantile of Student's t with ν ≥ 4 degrees, by the Cornish–Fisher expansion around the normal
// quantile. Source: Abramowitz & Stegun 26.7.5; within 0.2 % of the table from ν = 4 on.
func studentT975(nu int) float64 {
	const z = z95
	v := float64(nu)
	z3, z5, z7, z9 := math.Pow(z, 3), math.Pow(z, 5), math.Pow(z, 7), math.Pow(z, 9)
	return z + (z3+z)/(4*v) + (5*z5+16*z3+3*z)/(96*v*v) + (3*z7+19*z5+17*z3-15*z)/(384*v*v*v) +
		(79*z9+776*z7+1482*z5-1920*z3-945*z)/(92160*v*v*v*v)
}

// z95 is the two-sided 95 % quantile of the normal distribution.
const z95 = 1.959963984540054

// Resolution is how finely a trial of n arrivals tells loads apart, as a fraction of the load at 95 %:
// ε = z·sqrt((c_a² + c_s²)/n), from a backlog that grows by ε·n against the noise sqrt((c_a²+c_s²)·n) of a saturated
// server. c2 is the sum c_a² + c_s² (slotted arrivals: c_a² = 0). 1 with no arrivals. Source: measurement 3.2(d).
func Resolution(c2, n float64) float64 {
	if n <= 0 {
		return 1
	}
	return min(1, z95*math.Sqrt(c2/n))
}

// arrivalsFor is the inverse of Resolution: how many arrivals resolve a load to eps.
func arrivalsFor(c2, eps float64) float64 { return z95 * z95 * c2 / (eps * eps) }
