package record

import "math"

// dispersion collects the one-second counts of a trial, to say how well its throughput is known.
type dispersion struct{ frames, sum, squares float64 }

// add takes a whole second; the short frames at a trial's boundaries would look like noise.
func (d *dispersion) add(f *Frame) {
	if f.Seconds < 0.9 {
		return
	}
	ok := 0.0
	for _, s := range f.Steps {
		if s != nil {
			ok += float64(s.OK)
		}
	}
	ok /= f.Seconds
	d.frames++
	d.sum += ok
	d.squares += ok * ok
}

// leastDispersion: even a server of constant service time shares its machine, and few seconds can look steadier than they
// are. c = 0.3 is what measurement finds for bcrypt, the steadiest work there is.
const leastDispersion = 0.09

// resolution of the throughput in percent at 95 %: ε = z·sqrt(c²/n) with z = 1.96, c² = Var(count)/Mean(count) the index of
// dispersion, n the completions (the CLT for counts of a renewal process). nil with fewer than five whole seconds.
func (d *dispersion) resolution(n uint64) *float64 {
	if d.frames < 5 || d.sum <= 0 || n == 0 {
		return nil
	}
	mean := d.sum / d.frames
	variance := max(0, (d.squares-d.frames*mean*mean)/(d.frames-1))
	c2 := max(leastDispersion, variance/mean)
	return known(100 * 1.96 * math.Sqrt(c2/float64(n)))
}
