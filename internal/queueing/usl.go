package queueing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// USL is the Universal Scalability Law (Gunther 1993, 2007) with bootstrap bounds:
//
//	X(N) = λ·N / (1 + σ·(N−1) + κ·N·(N−1))
type USL struct {
	Lambda Interval // λ, 1/s: throughput of one user
	Sigma  Interval // σ, 0 to 1: serial part (a lock, a loop, one writer)
	Kappa  Interval // κ: cost of each pair that must agree (caches, lock convoys, retries)
	// Peak is √((1−σ)/κ) users. When an interior peak was not identified (Peaked is false) only Peak.Low means something:
	// throughput does not fall before it, as far as these levels show.
	Peak    Interval
	Peaked  bool
	Highest Interval // X at the peak, 1/s; λ/σ where κ = 0
	Bounds  bool     // whether the intervals come from resampling; else they have no width
	upTo    float64  // largest N measured
}

const (
	resamples    = 1000
	fewestBatch  = 5    // batches a level needs to be resampled
	mostPeakless = 0.05 // share of resamples without κ from which on no peak is claimed
	farthest     = 2    // times the largest N
)

// uslCurve is a fit without bounds: N/X = a + b·(N−1) + c·N·(N−1), with a = 1/λ, b = σ/λ, c = κ/λ.
type uslCurve struct{ a, b, c float64 }

// fitUSL is convex, so it needs no start values. With a = b + e the conditions a ≥ b ≥ 0 (σ ≤ 1) and c ≥ 0 become
// coefficients that are not negative, of the columns 1 (e), N (b) and N·(N−1) (c). serial leaves c out (Amdahl's law).
func fitUSL(s []sample, serial bool) (uslCurve, float64, bool) {
	x := make([][]float64, len(s))
	y, w := make([]float64, len(s)), make([]float64, len(s))
	for i, p := range s {
		x[i] = []float64{1, p.n}
		if !serial {
			x[i] = append(x[i], p.n*(p.n-1))
		}
		y[i], w[i] = p.round, p.weight
	}
	beta, rss, ok := nonNegative(x, y, w)
	if !ok || beta[0]+beta[1] <= 0 {
		return uslCurve{}, 0, false
	}
	u := uslCurve{a: beta[0] + beta[1], b: beta[1]}
	if !serial {
		u.c = beta[2]
	}
	return u, rss, true
}

func (u uslCurve) round(n float64) float64 { return u.a + u.b*(n-1) + u.c*n*(n-1) }

func (u uslCurve) peak() float64 {
	if u.c == 0 {
		return math.Inf(1)
	}
	return math.Max(1, math.Sqrt((u.a-u.b)/u.c))
}

func (u uslCurve) highest() float64 {
	if n := u.peak(); !math.IsInf(n, 1) {
		return n / u.round(n)
	}
	return 1 / u.b // +Inf for a straight line
}

// FitUSL fits the law to at least three different N, with percentile bounds from 1000 resamples of the batches within each
// level; with ten batches a level they hold the truth about nine times in ten, with more of them nearer to 95 %. The same
// levels and seed give the same bounds. It does not ask whether the law applies: [Choose] does.
func FitUSL(levels []Level, seed uint64) (USL, error) {
	different := map[float64]bool{}
	for _, l := range levels {
		if err := l.check(); err != nil {
			return USL{}, err
		}
		different[l.Users] = true
	}
	if len(different) < 3 {
		return USL{}, &Refusal{TooFewTrials, fmt.Sprintf("%d different levels; the law has three parameters", len(different)), "measure seven to nine levels, doubling the users from one"}
	}
	best, _, ok := fitUSL(samples(levels), false)
	if !ok {
		return USL{}, &Refusal{NoSpread, "these levels say nothing of the throughput of one user, so no scalability law describes them", "measure one and two users, and repeat the levels that differ most"}
	}
	fits := []uslCurve{best}
	if !slices.ContainsFunc(levels, func(l Level) bool { return len(l.PerSecond) < fewestBatch }) {
		fits = resample(levels, seed)
	}
	peakless := 0.0
	for _, f := range fits {
		if f.c == 0 {
			peakless++
		}
	}
	u := USL{
		Lambda:  percentiles(best, fits, func(f uslCurve) float64 { return 1 / f.a }),
		Sigma:   percentiles(best, fits, func(f uslCurve) float64 { return f.b / f.a }),
		Kappa:   percentiles(best, fits, func(f uslCurve) float64 { return f.c / f.a }),
		Peak:    percentiles(best, fits, uslCurve.peak),
		Highest: percentiles(best, fits, uslCurve.highest),
		Bounds:  len(fits) > 1,
	}
	for _, l := range levels {
		u.upTo = math.Max(u.upTo, l.Users)
	}
	u.Peaked = peakless < mostPeakless*float64(len(fits)) && u.Peak.Value <= farthest*u.upTo
	return u, nil
}

func resample(levels []Level, seed uint64) []uslCurve {
	random := rand.New(rand.NewPCG(seed, 0x75736c)) // the stream is the law's own
	drawn := make([]Level, len(levels))
	fits := make([]uslCurve, 0, resamples)
	weights := samples(levels) // fixed: a resample of few batches must not become certain by chance
	for range resamples {
		for i, l := range levels {
			// One batch fewer than there are: of n of n the spread would be too small by (n−1)/n (McCarthy & Snowden 1985).
			drawn[i] = Level{Users: l.Users, PerSecond: make([]float64, len(l.PerSecond)-1)}
			for j := range drawn[i].PerSecond {
				drawn[i].PerSecond[j] = l.PerSecond[random.IntN(len(l.PerSecond))]
			}
			if drawn[i].throughput() == 0 { // every draw was an empty batch
				drawn[i].PerSecond = l.PerSecond
			}
		}
		s := samples(drawn)
		for i := range s {
			s[i].weight = weights[i].weight
		}
		if f, _, ok := fitUSL(s, false); ok {
			fits = append(fits, f)
		}
	}
	return fits
}

func percentiles(best uslCurve, fits []uslCurve, of func(uslCurve) float64) Interval {
	v := make([]float64, len(fits))
	for i, f := range fits {
		v[i] = of(f)
	}
	slices.Sort(v)
	at := func(p float64) float64 { return v[int(math.Round(p*float64(len(v)-1)))] }
	value := of(best)
	return Interval{math.Min(value, at(0.025)), value, math.Max(value, at(0.975))}
}

// PerSecond is X(N) in 1/s. Beyond twice the largest N measured it is a [Refusal]: [Extrapolation].
func (u USL) PerSecond(users float64) (float64, error) {
	if !finite(users) || users < 1 {
		return 0, fmt.Errorf("%v users; the law is for 1 and more", users)
	}
	if users > farthest*u.upTo {
		return 0, &Refusal{Extrapolation, fmt.Sprintf("%.4g users is more than twice the largest level measured (%.4g)", users, u.upTo), "measure up to half of that at least"}
	}
	s, k := u.Sigma.Value, u.Kappa.Value
	return u.Lambda.Value * users / (1 + s*(users-1) + k*users*(users-1)), nil
}

// Sentence says what the law found, for a report.
func (u USL) Sentence() string {
	head := fmt.Sprintf("throughput follows the Universal Scalability Law: serial part %.3g, pairwise cost %.3g", u.Sigma.Value, u.Kappa.Value)
	switch {
	case u.Peaked && u.Bounds:
		upTo := fmt.Sprintf("–%.4g", u.Peak.High)
		if math.IsInf(u.Peak.High, 1) {
			upTo = " or more"
		}
		return head + fmt.Sprintf("; it peaks at %.4g users (%.4g%s) with %.4g/s (%.4g–%.4g)", u.Peak.Value, u.Peak.Low, upTo, u.Highest.Value, u.Highest.Low, u.Highest.High)
	case u.Peaked:
		return head + fmt.Sprintf("; it peaks at about %.4g users with %.4g/s (too few batches for bounds)", u.Peak.Value, u.Highest.Value)
	case math.IsInf(u.Peak.Low, 1):
		return head + fmt.Sprintf("; no interior peak identified up to %.4g users", u.upTo)
	}
	return head + fmt.Sprintf("; no interior peak identified: if there is one, it is above %.4g users", math.Min(u.Peak.Low, farthest*u.upTo))
}
