package experiment

import "slices"

// risingP is the chance that values in random order rise as steadily as these: Mann-Kendall, one-sided and exact, since there
// are few. S = Σ sgn(x_j − x_i) over i < j; the number of orders with a given S is the number of permutations with that many
// inversions. 1/n! when every value exceeds the one before. Source: Mann 1945; Kendall, Rank Correlation Methods, 1975.
func risingP(x []float64) float64 {
	n := len(x)
	if n < 2 {
		return 1
	}
	falls := 0 // pairs that do not rise: inversions, ties counted against the trend
	for i := range x {
		for j := i + 1; j < n; j++ {
			if x[j] <= x[i] {
				falls++
			}
		}
	}
	orders := []float64{1} // by inversions
	total := 1.0
	for k := 2; k <= n; k++ {
		next := make([]float64, len(orders)+k-1)
		for i, c := range orders {
			for d := range k {
				next[i+d] += c
			}
		}
		orders, total = next, total*float64(k)
	}
	p := 0.0
	for i := 0; i <= falls && i < len(orders); i++ {
		p += orders[i]
	}
	return p / total
}

// theilSen is the median of all pairwise slopes, per step. Source: Sen 1968.
func theilSen(x []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := i + 1; j < len(x); j++ {
			slopes = append(slopes, (x[j]-x[i])/float64(j-i))
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	n := len(slopes)
	return (slopes[(n-1)/2] + slopes[n/2]) / 2
}
