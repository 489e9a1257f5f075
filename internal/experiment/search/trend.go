package search

import (
	"math"
	"slices"
)

// MannKendall tests a series for a monotonic rise. S counts pairs that rise less pairs that fall; under no trend it has mean
// 0 and Var = (n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18 over groups of t equal values. p is one-sided, for a rise, with the
// continuity correction of one. Fewer than four values, or values that are all equal, give p = 1.
// Source: Mann 1945, Kendall 1975; Gilbert 1987, section 16.4.
func MannKendall(x []float64) (s int, p float64) {
	n := len(x)
	if n < 4 {
		return 0, 1
	}
	for i := range x {
		for j := i + 1; j < n; j++ {
			switch {
			case x[j] > x[i]:
				s++
			case x[j] < x[i]:
				s--
			}
		}
	}
	variance := float64(n * (n - 1) * (2*n + 5))
	sorted := slices.Sorted(slices.Values(x))
	for i := 0; i < n; {
		j := i
		for j < n && sorted[j] == sorted[i] {
			j++
		}
		t := j - i
		variance -= float64(t * (t - 1) * (2*t + 5))
		i = j
	}
	variance /= 18
	if variance <= 0 {
		return s, 1
	}
	z := 0.0
	switch {
	case s > 0:
		z = float64(s-1) / math.Sqrt(variance)
	case s < 0:
		z = float64(s+1) / math.Sqrt(variance)
	}
	return s, normalCDF(-z)
}

// TheilSen is the median of the slopes of all pairs, per step of the series. Up to 29 % of the values may be wild without
// moving it far. Source: Theil 1950, Sen 1968.
func TheilSen(x []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := i + 1; j < len(x); j++ {
			slopes = append(slopes, (x[j]-x[i])/float64(j-i))
		}
	}
	return Median(slopes)
}

// Lag1 is the autocorrelation of neighbours; 0 for a constant series.
func Lag1(x []float64) float64 {
	m := Mean(x)
	var num, den float64
	for i := range x {
		den += (x[i] - m) * (x[i] - m)
		if i > 0 {
			num += (x[i] - m) * (x[i-1] - m)
		}
	}
	if den == 0 {
		return 0
	}
	return num / den
}

// trend of a series: its total rise by Theil–Sen, and Mann–Kendall's p. The test takes its values to be independent and
// rejects too often when they are not, so it runs over batch means: 20, then halved down to 8 while what is left after
// the line is taken out still has |lag-1| > 0.2 (the line itself is autocorrelated, and would be thinned away).
func trend(x []float64) (rise, p float64) {
	b := 20
	for b > len(x) {
		b /= 2
	}
	if b < 4 {
		return 0, 1
	}
	for {
		y := batches(x, b)
		slope := TheilSen(y)
		rest := make([]float64, len(y))
		for i := range y {
			rest[i] = y[i] - slope*float64(i)
		}
		if b/2 >= 8 && math.Abs(Lag1(rest)) > Independent {
			b /= 2
			continue
		}
		_, p = MannKendall(y)
		return slope * float64(len(y)), p
	}
}

// Independent: below this lag-1 autocorrelation batch means count as independent (measurement 3.3).
const Independent = 0.2

// batches are the means of b consecutive parts of x, as equal as whole numbers allow.
func batches(x []float64, b int) []float64 {
	out := make([]float64, b)
	for i := range out {
		out[i] = Mean(x[i*len(x)/b : (i+1)*len(x)/b])
	}
	return out
}

// Mean of a series; 0 of none.
func Mean(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// Median of a series; 0 of none.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(x))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// normalCDF is Φ.
func normalCDF(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }
