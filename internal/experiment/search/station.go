package search

import "math"

// station is what the loads that keep a target busy show it to be: one queue, first come first served, of which X, what it completes while
// it is never idle, is known in seconds (measurement 3.2a) although the queue in front of it needs minutes to show what it holds (3.2c).
type station struct {
	perSecond float64 // X
	answers   float64 // that X was seen in
	servers   float64 // m, as far as they differ in number: X·R(1)
	c2, c2SD  float64 // variance of its work over the square of its mean, and the standard deviation of that as a share of it
	meanS     float64 // R(1), response time of a single user, s
	p95S      float64 // of it, the 95th percentile
	p95Var    float64 // variance of that as a share of its square
	ago       float64 // when X was seen, on average, s before the middle of the last trial
	fell      bool    // it completed less with more users, or later than its aging explains
}

const (
	// busyKnees: so many times the knee's users never leave the target idle. Less than 2, because the knee is measured too.
	busyKnees = 1.8
	// Standard deviations by which throughput may fall from the first busy level to the last, if that has more users, and otherwise: a steady target
	// falls further once in six, and once in thirty. Among all levels it falls by chance too: one that brought little is what ends a ramp.
	fallen, plainlyFallen = 1.0, 1.8
	// onesVar ÷ n is the relative variance of Var/Mean² over n answers of a single user: 8 for exponential work, 40 for log-normal of c = 1.
	onesVar = 20
	// steadyCounts: the variance of answers shows badly in a few counts of them, against which c² counts as so many.
	steadyCounts = 6
	// cautious: c² is taken above what was seen by so many times its relative variance. Its estimates are skewed the more the less is
	// known: most lie too low, and where chance made the work look even it also made the target look fast.
	cautious, mostCautious = 6, 0.5
	// apart: so many standard deviations between two measures of c² are no chance.
	apart = 2
	// oneRequest: X(1)·R(1) of a journey that is one request without a pause is 1; further away the response times are of other things.
	oneRequest = 0.25
)

// foreseeable says whether closed levels and limits are such that a station can foresee anything: limits on percentiles of response times or
// none, journeys of one request (the response times of longer ones are of a part of them), and no answer that turns a request away (what such
// a target completes is not what limits it).
func (v *view) foreseeable() bool {
	if one := v.one(); !v.single() || !(one.Window.P95Ms > 0) {
		return false
	}
	for _, t := range v.levels {
		if t.Window.turnsAway() {
			return false
		}
	}
	return len(v.Limits) == 0 || len(v.Latency) > 0
}

// single says whether a journey is one request without a pause, as the level of one user shows it.
func (v *view) single() bool {
	one := v.one()
	return one != nil && one.Window.OK > 0 && math.Abs(one.Window.Goodput()*one.Window.MeanMs/1000-1) <= oneRequest
}

// turnsAway says whether too many answers are errors. What captest dropped itself is not among them.
func (w *Window) turnsAway() bool { return tooMany(w.Completed-w.OK, w.Completed) }

// station of the trials. ok is false when there is none.
func (v *view) station(age aging) (s station, ok bool) {
	if !v.foreseeable() {
		return s, false
	}
	if l := v.line(); l.slows() {
		return s, false
	}
	one := v.one()
	var seconds, variance, counted, free float64
	see := func(t *Trial) {
		w := &t.Window
		s.answers += w.OK
		s.ago += w.OK * v.ago[t]
		seconds += w.Seconds
		y := w.counts()
		if len(y) < 2 {
			return
		}
		m := Mean(y)
		for _, x := range y {
			variance += (x - m) * (x - m)
		}
		counted += m * float64(len(y)-1)
		free += float64(len(y) - 1)
	}
	var all, byUsers, byTime regression
	for _, t := range v.levels {
		w := &t.Window
		if !v.busy(t.Action.Users) || w.OK == 0 {
			continue
		}
		see(t)
		y := math.Log(w.Goodput()) - age.rate()*v.ago[t] // as it would be now
		users := math.Log(float64(t.Action.Users))
		all.add(users, y, w.OK)
		if t.Action.Phase == PhaseLevel {
			byUsers.add(users, y, w.OK)
			byTime.add(byTime.w, y, w.OK)
		}
	}
	top := s.answers / max(seconds, 1e-9)
	for _, t := range v.opens {
		switch {
		case t.Window.turnsAway():
			return s, false
		case t.Action.PerSecond > top*(1+t.Verdict.Resolution): // it cannot have held by chance: the target was never idle
			see(t)
		}
	}
	if top <= 0 || counted <= 0 {
		return s, false
	}
	s.perSecond, s.ago = s.answers/seconds, s.ago/s.answers
	s.meanS, s.p95S = one.Window.MeanMs/1000, one.Window.P95Ms/1000
	s.servers = max(1, s.perSecond*s.meanS)
	// c² from two sides, by how well each is known: Var/Mean² of a single user, and the index of dispersion of what is completed in a second
	// while the target is busy, of relative variance 2 ÷ (seconds − 1). Where they differ by more than chance (a response time that is mostly a
	// constant delay, seconds that are short against one answer) the larger is the safer.
	a, b := math.Pow(one.Window.SDMs/one.Window.MeanMs, 2), variance/counted
	wa, wb := one.Window.OK/onesVar, free/2
	s.c2, s.c2SD = (a*wa+b*wb)/(wa+wb), 1/math.Sqrt(wa+wb)
	if sd := math.Sqrt(1/wa + 1/wb); math.Abs(a-b) > apart*sd*max(s.c2, leastVariability) {
		s.c2 = max(a, b)
	}
	s.c2 = max(leastVariability, s.c2)
	s.c2 *= 1 + min(cautious*s.c2SD*s.c2SD, mostCautious)
	// A quantile q of n answers has the variance q(1−q)/(n·f²), f the density there: 19/n·(S/p95)² of the square of p95 for an exponential tail.
	s.p95Var = s.c2 * 19 / one.Window.OK * math.Pow(s.meanS/s.p95S, 2)
	c := math.Sqrt(s.c2)
	s.fell = byUsers.falls(fallen*c) || byTime.falls(plainlyFallen*c) || all.falls(plainlyFallen*c)
	return s, true
}

// busy says whether so many users keep the target busy all the time.
func (v *view) busy(users int) bool {
	n, ok := Knee(v.trials)
	return ok && float64(users) >= busyKnees*n
}

// regression of y on x, each point with its weight.
type regression struct{ w, x, y, xx, xy float64 }

func (r *regression) add(x, y, w float64) {
	r.w, r.x, r.y, r.xx, r.xy = r.w+w, r.x+w*x, r.y+w*y, r.xx+w*x*x, r.xy+w*x*y
}

// falls says whether y falls by more than the slope's standard deviation times sd, that of a point of weight 1. One x has no slope.
func (r *regression) falls(sd float64) bool {
	spread := r.xx - r.x*r.x/r.w
	return spread > 1e-9*r.xx && (r.xy-r.x*r.y/r.w)/spread < -sd/math.Sqrt(spread)
}

// scattered is c² of single answers as it shows between counts of them: what was seen of c² counts as steadyCounts of them, and is the least.
func scattered(c2, rest, free float64) float64 {
	return max(c2, (steadyCounts*c2+rest)/(steadyCounts+free))
}

// slower is the share of answers that take longer than t seconds when open loads use the share rho of the station, and arrive with c_a² = ca2.
//
// R = W + S; S is log-normal, of mean R(1) and c²; P(W > t) = π·exp(−θ·t), in heavy traffic with
//
//	θ₀ = 2·(1/ρ − 1)/(c_a² + c²)    θ = X·θ₀/(1 + θ₀·c·γ/3)    π = ρ^(√(2(m+1)) − 1)
//
// θ₀ is Kingman's decay per mean service time; the denominator is the next term of E[exp(θS)]·E[exp(−θA)] = 1 for even arrivals and work of
// skewness γ. That nobody measures: gamma's is 2c (an exponential server's 2), the log-normal's 3c + c³, and a quarter of the way
// fits simulated queues of both best, whose further terms are left out. π, about the share that waits, has the exponent of Sakasegawa's mean wait.
// Sources: Kingman 1962; Sakasegawa 1977.
func (s *station) slower(t, rho, ca2 float64) float64 {
	c := math.Sqrt(s.c2)
	skew := 2*c + 0.25*(c+c*c*c)
	theta := 2 * (1/rho - 1) / (ca2 + s.c2)
	theta *= s.perSecond / (1 + theta*c*skew/3)
	waits := math.Pow(rho, math.Sqrt(2*(s.servers+1))-1)
	sigma := math.Sqrt(math.Log1p(s.c2))
	mu := math.Log(s.meanS) - sigma*sigma/2
	sum := 0.0
	const points = 32 // of S, equally likely
	for i := range points {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/points-1)
		if x := math.Exp(mu + sigma*z); x < t {
			sum += waits * math.Exp(-theta*(t-x))
		} else {
			sum++
		}
	}
	return sum / points
}

// holds is the largest share of the station that open loads may use so that the quantile q of response times stays within limit seconds.
func (s *station) holds(q, limit, ca2 float64) float64 {
	lo, hi := 0.01, 0.9999
	for range 30 {
		if rho := (lo + hi) / 2; s.slower(limit, rho, ca2) <= 1-q {
			lo = rho
		} else {
			hi = rho
		}
	}
	return lo
}
