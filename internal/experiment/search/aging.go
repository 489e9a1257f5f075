package search

import "math"

// aging is the capacity that a target loses while it is searched: it leaks, or drifts (software aging: Huang, Kintala, Kolettis & Fulton
// 1995). What it completes while it is never idle is its capacity at that moment, and such moments are spread over the whole search.
type aging []loss // all weights together 1; none: it loses nothing

// loss of ln C per second.
type loss struct{ rate, weight float64 }

const (
	// Before anything is measured: three in ten targets age, by anything up to 16 % in ten minutes, each rate as likely.
	agingShare = 0.3
	mostAging  = 0.16 / 600
	usualAging = mostAging / 2 // standard deviation
	// plainAging: so many standard deviations are more than chance, and a rate beyond mostAging is then believed.
	plainAging  = 3
	agingPoints = 6    // equally likely rates stand for all of them
	agesFrom    = 0.95 // so likely, it is said
	negligible  = 0.01 // a smaller weight is not computed with
)

// aging of the target in the trials so far: no loss (the spike) or one up to the most (the slab), each weighted by how likely it makes the slope that
// was seen (Mitchell & Beauchamp 1988). None where more users plainly slow it down: the two cannot be told apart, and forLong lowers the interval.
func (v *view) aging() aging {
	l := v.line()
	if l.slows() {
		return nil
	}
	slope, sd := l.byTime, l.byTimeSD
	most := mostAging
	if sd > 0 && slope > plainAging*sd {
		most = max(most, slope+plainAging*sd)
	}
	spike, slab, from, to := 1-agingShare, agingShare, 0.0, 1.0
	if sd > 0 {
		from, to = normalCDF(-slope/sd), normalCDF((most-slope)/sd)
		spike *= math.Exp(-slope*slope/(2*sd*sd)) / (sd * math.Sqrt(2*math.Pi))
		slab *= (to - from) / most
	}
	ages := slab / (spike + slab)
	if !(ages >= negligible) {
		return nil
	}
	var a aging
	if ages > 1-negligible {
		ages = 1
	} else {
		a = append(a, loss{0, 1 - ages})
	}
	for i := range agingPoints {
		q := (float64(i) + 0.5) / agingPoints
		rate := q * most
		if sd > 0 {
			rate = slope + sd*math.Sqrt2*math.Erfinv(2*(from+q*(to-from))-1)
		}
		a = append(a, loss{min(max(rate, 0), most), ages / agingPoints})
	}
	return a
}

// rate at which ln C falls per second, the mean of what is likely.
func (a aging) rate() (r float64) {
	for _, l := range a {
		r += l.rate * l.weight
	}
	return r
}

// likely is how likely it is that the target ages at all.
func (a aging) likely() (p float64) {
	for _, l := range a {
		if l.rate > 0 {
			p += l.weight
		}
	}
	return p
}

// saturated is all the time in which the target was never idle. Trials in which it turned requests away or let them time out are left out, as what it answers then is no
// measure of capacity, and none is left for journeys of several requests or with pauses, of which the requests inside are not the users.
func (v *view) saturated() (out []saturated) {
	knee, ok := Knee(v.trials)
	if !ok || !v.single() {
		return nil
	}
	for _, t := range v.levels {
		if v.busy(t.Action.Users) && t.Window.OK > 0 && !t.Window.turnsAway() {
			out = append(out, saturated{v.ago[t], t.Window.Seconds, t.Window.OK, float64(t.Action.Users)})
		}
	}
	// A bin begins with so many inside that the target will hardly be idle before it ends. The first of a run are left out, for about two answers: many inside
	// means that the one in work has been there for long.
	perBin := v.best() * BinSeconds
	inside := busyKnees*knee + 2*math.Sqrt(v.noise()*perBin)
	skip := 1 + int(math.Ceil(2/perBin))
	for _, t := range v.opens {
		if s := t.Window.saturated(inside, skip); s.answers > 0 && !t.Window.turnsAway() {
			s.ago = v.ago[t]
			out = append(out, s)
		}
	}
	return out
}

// saturated is time in which a target was never idle.
type saturated struct{ ago, seconds, answers, inside float64 }

// line through seconds per answer, over time and over the requests inside, in shares of its mean.
type line struct {
	mean, inside         float64 // seconds per answer, with so many inside
	byTime, byTimeSD     float64 // per second
	byInside, byInsideSD float64 // per request inside; 0: it cannot be told from time
}

func (v *view) line() line { return lineOf(v.saturated(), v.variability()) }

// lineOf moments, by least squares, each weighted by its answers: what is due to requests inside is no age (a backlog late in the search), and
// what is due to age is no slowing down. The requests inside are left out of byTime where more of them do not slow it down. Standard deviations are those of c2,
// the variance of an answer's time over the square of its mean, or of what is left between the moments where that is more; all 0 when there is too little to say.
func lineOf(all []saturated, c2 float64) (l line) {
	var w, seconds, x, z float64
	for _, m := range all {
		w, seconds = w+m.answers, seconds+m.seconds
		x, z = x-m.answers*m.ago, z+m.answers*m.inside
	}
	x, z = x/w, z/w
	l.mean, l.inside = seconds/w, z
	var xx, xz, zz, xy, zy, yy float64
	for _, m := range all {
		dx, dz, y := -m.ago-x, m.inside-z, m.seconds/m.answers/l.mean-1
		xx, xz, zz = xx+m.answers*dx*dx, xz+m.answers*dx*dz, zz+m.answers*dz*dz
		xy, zy, yy = xy+m.answers*dx*y, zy+m.answers*dz*y, yy+m.answers*y*y
	}
	if len(all) < 3 || !(xx > 0) {
		return l
	}
	free := float64(len(all))
	l.byTime, l.byTimeSD = xy/xx, math.Sqrt(scattered(c2, yy-xy*xy/xx, free-2)/xx)
	if det := xx*zz - xz*xz; det > 1e-6*xx*zz {
		byTime, byInside := (xy*zz-zy*xz)/det, (zy*xx-xy*xz)/det
		each := scattered(c2, yy-byTime*xy-byInside*zy, free-3)
		if byInside > 0 {
			l.byTime, l.byTimeSD = byTime, math.Sqrt(each*zz/det)
		}
		xx += each / (usualAging * usualAging) // in a short search age cannot be much, and need not be told from it
		det = xx*zz - xz*xz
		l.byInside, l.byInsideSD = (zy*xx-xy*xz)/det, math.Sqrt(each*xx/det)
	}
	return l
}

// saturated bins: those that begin with at least n requests inside, but for the first of each run of them.
func (w *Window) saturated(n float64, skip int) (s saturated) {
	run := 0
	for i := 1; i < len(w.Bins); i++ {
		inside := w.Bins[i-1].InFlight
		if inside < n {
			run = 0
		} else if run++; run > skip {
			s.seconds += BinSeconds
			s.answers += w.Bins[i].OK
			s.inside += inside * BinSeconds
		}
	}
	if s.seconds > 0 {
		s.inside /= s.seconds
	}
	return s
}
