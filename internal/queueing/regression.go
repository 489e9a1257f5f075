package queueing

import "math"

// fit is a weighted linear least-squares fit y ≈ Σ β_j·x_j.
type fit struct {
	x          [][]float64
	y, w       []float64
	beta       []float64
	inverse    [][]float64 // (XᵀWX)⁻¹
	rss, total float64     // weighted squares about the fit, and about the weighted mean
	df         int         // rows − coefficients
}

// leastSquares solves the normal equations, columns scaled to length 1, by Cholesky's method. There is no fit (false) with
// fewer rows than columns, or when columns are combinations of each other to about ten digits.
func leastSquares(x [][]float64, y, w []float64) (fit, bool) {
	rows, cols := len(x), len(x[0])
	if rows < cols {
		return fit{}, false
	}
	scale := make([]float64, cols)
	for j := range scale {
		for i := range x {
			scale[j] += w[i] * x[i][j] * x[i][j]
		}
		if scale[j] = math.Sqrt(scale[j]); scale[j] == 0 || !finite(scale[j]) {
			return fit{}, false
		}
	}
	a, b := square(cols), make([]float64, cols)
	for i := range x {
		for j := range cols {
			xj := w[i] * x[i][j] / scale[j]
			b[j] += xj * y[i]
			for k := range cols {
				a[j][k] += xj * x[i][k] / scale[k]
			}
		}
	}
	inverse, ok := invert(a)
	if !ok {
		return fit{}, false
	}
	f := fit{x: x, y: y, w: w, beta: make([]float64, cols), inverse: inverse, df: rows - cols}
	for j := range cols {
		for k := range cols {
			f.beta[j] += inverse[j][k] * b[k] / scale[j]
		}
	}
	for j := range cols {
		for k := range cols {
			inverse[j][k] /= scale[j] * scale[k]
		}
	}
	mean, weight := 0.0, 0.0
	for i := range y {
		mean += w[i] * y[i]
		weight += w[i]
	}
	mean /= weight
	for i := range y {
		off := y[i] - f.at(x[i])
		f.rss += w[i] * off * off
		f.total += w[i] * (y[i] - mean) * (y[i] - mean)
	}
	return f, true
}

func (f fit) at(x []float64) float64 {
	sum := 0.0
	for j, v := range x {
		sum += f.beta[j] * v
	}
	return sum
}

// column j of what was fitted, as a design of its own.
func (f fit) column(j int) [][]float64 {
	out := make([][]float64, len(f.x))
	for i, row := range f.x {
		out[i] = row[j : j+1]
	}
	return out
}

// interval is coefficient j with its 95 % bounds by Student's t; without degrees of freedom it has no bounds (±Inf).
func (f fit) interval(j int) Interval {
	half := math.Inf(1)
	if f.df > 0 {
		half = studentQuantile(0.975, float64(f.df)) * math.Sqrt(f.rss/float64(f.df)*f.inverse[j][j])
	}
	return Interval{f.beta[j] - half, f.beta[j], f.beta[j] + half}
}

// rSquared is the share of y's spread that the fit explains; 1 where there is no spread.
func (f fit) rSquared() float64 {
	if f.total == 0 {
		return 1
	}
	return 1 - f.rss/f.total
}

// nonNegative is least squares with every coefficient ≥ 0. The optimum is the unconstrained one of some subset of the
// columns (Lawson & Hanson 1974, chapter 23); with few columns all subsets are tried, so it needs no start values and
// cannot fail to converge. It returns the coefficients, 0 where a column is left out, and the weighted squares.
func nonNegative(x [][]float64, y, w []float64) (beta []float64, rss float64, ok bool) {
	cols := len(x[0])
	rss = math.Inf(1)
	sub := make([][]float64, len(x))
	for set := 1; set < 1<<cols; set++ {
		for i := range x {
			sub[i] = sub[i][:0]
			for j := range cols {
				if set>>j&1 == 1 {
					sub[i] = append(sub[i], x[i][j])
				}
			}
		}
		f, solved := leastSquares(sub, y, w)
		if !solved || f.rss >= rss || least(f.beta) < 0 {
			continue
		}
		beta, rss, ok = make([]float64, cols), f.rss, true
		k := 0
		for j := range cols {
			if set>>j&1 == 1 {
				beta[j] = f.beta[k]
				k++
			}
		}
	}
	return beta, rss, ok
}

func least(v []float64) float64 {
	m := math.Inf(1)
	for _, x := range v {
		m = math.Min(m, x)
	}
	return m
}

func square(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
	}
	return m
}

// invert a symmetric positive definite matrix of unit diagonal by A = L·Lᵀ; false where it is singular to ten digits.
func invert(a [][]float64) ([][]float64, bool) {
	n := len(a)
	l := square(n)
	for i := range n {
		for j := 0; j <= i; j++ {
			sum := a[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i != j {
				l[i][j] = sum / l[j][j]
				continue
			}
			if sum < 1e-10 || math.IsNaN(sum) {
				return nil, false
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	inverse := square(n)
	for c := range n { // L·z = e_c, then Lᵀ·x = z
		z := make([]float64, n)
		for i := range n {
			if i == c {
				z[i] = 1
			}
			for k := range i {
				z[i] -= l[i][k] * z[k]
			}
			z[i] /= l[i][i]
		}
		for i := n - 1; i >= 0; i-- {
			for k := i + 1; k < n; k++ {
				z[i] -= l[k][i] * inverse[k][c]
			}
			inverse[i][c] = z[i] / l[i][i]
		}
	}
	return inverse, true
}
