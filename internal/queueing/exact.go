package queueing

import "math"

// Point is a closed load and what it gives: N users, X journeys/s, R seconds a journey without think time.
type Point struct {
	Users     int
	PerSecond float64
	Seconds   float64
}

// Solve gives the exact solution for 1 to users users, in that order, by Buzen's convolution (CACM 1973) in log space:
//
//	f_k(j) = f_k(j−1)·D_k / min(j, m_k)      (÷ j at a delay)
//	G ← G * f_k                              over all stations, think time among them as a delay
//	X(N) = G(N−1)/G(N),  R(N) = N/X(N) − Z
//
// Every term is positive, so nothing cancels: unlike the recursion of load-dependent mean value analysis it is stable for
// any number of servers. It costs O(stations·users²).
//
// Exact means for product-form networks: exponential service in order of arrival, or any service that is shared or is a
// delay. For steadier work, such as password hashes, the corner at the knee is sharper; ceilings and N* are the same.
func (n Network) Solve(users int) ([]Point, error) {
	if err := n.checkUsers(users); err != nil {
		return nil, err
	}
	g, f, next := make([]float64, users+1), make([]float64, users+1), make([]float64, users+1)
	for j := range g {
		g[j] = math.Inf(-1)
	}
	g[0] = 0
	convolve := func(demand float64, rate func(j float64) float64) {
		if demand == 0 {
			return
		}
		for j := 1; j <= users; j++ {
			f[j] = f[j-1] + math.Log(demand/rate(float64(j)))
		}
		for N := range next {
			next[N] = logSum(f[:N+1], g[:N+1])
		}
		g, next = next, g
	}
	delay := n.Think // delays in a row are one delay
	for _, s := range n.Stations {
		if s.Delay {
			delay += s.Demand
			continue
		}
		convolve(s.Demand, func(j float64) float64 { return math.Min(j, s.Servers) })
	}
	convolve(delay, func(j float64) float64 { return j })

	points := make([]Point, users)
	for i := range points {
		N := i + 1
		x := math.Exp(g[N-1] - g[N])
		points[i] = Point{Users: N, PerSecond: x, Seconds: float64(N)/x - n.Think}
	}
	return points, nil
}

// logSum is log Σ exp(a[j] + b[n−j]), scaled by its largest term so that nothing overflows.
func logSum(a, b []float64) float64 {
	n := len(a) - 1
	most := math.Inf(-1)
	for j := range a {
		most = math.Max(most, a[j]+b[n-j])
	}
	if math.IsInf(most, -1) {
		return most
	}
	sum := 0.0
	for j := range a {
		sum += math.Exp(a[j] + b[n-j] - most)
	}
	return most + math.Log(sum)
}
