package schedule

import "time"

// Scaled is the plan with every rate from an instant on multiplied by factor: the stage under way is cut in two there. Its
// length stays. Arrivals before the instant stay where they are, for the area up to there is the same; those after it are as
// close together as the new rate wants from the first gap on, since an arrival's place in area space does not change:
//
//	A'(t) = A(at) + factor·(A(t) − A(at))   for t > at
//
// (Only a last slot that the plan's end cuts off may move with it.) factor is at least 0.
func (p *Plan) Scaled(at time.Duration, factor float64) *Plan {
	q := *p
	q.Stages = make([]Stage, 0, len(p.Stages)+1)
	for _, s := range p.Stages {
		switch {
		case at >= s.For:
			q.Stages = append(q.Stages, s)
		case at <= 0:
			q.Stages = append(q.Stages, Stage{From: s.From * factor, To: s.To * factor, For: s.For})
		default:
			rate := s.From + (s.To-s.From)*(at.Seconds()/s.For.Seconds())
			q.Stages = append(q.Stages,
				Stage{From: s.From, To: rate, For: at},
				Stage{From: rate * factor, To: s.To * factor, For: s.For - at})
		}
		at -= s.For
	}
	return &q
}

// Change goes on with another plan, one that agrees with the old one up to the arrivals already taken (Scaled gives such), and
// gives anew the arrival that Next gave last, or would have given had there been one: it is taken to be still to come.
func (c *Cursor) Change(p *Plan) (time.Duration, bool) {
	c.plan, c.end = p, p.area()
	if p.Arrivals != Poisson {
		if c.given {
			c.n--
		}
		return c.Next()
	}
	if c.n > 0 && c.mine(c.n-1) {
		if c.x < c.end {
			return p.when(c.x), true
		}
		return 0, false
	}
	return c.Next()
}
