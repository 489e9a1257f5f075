package drive

import (
	"math"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// How a loop's share of the load changes while it runs: by the load's own ramp, or because its throttle is turned. Where nothing
// changes this costs one atomic read for each look at the sockets.

// steer takes in what has changed. After the load's end nothing changes any more.
func (l *loop) steer() {
	if s := l.throttle.current.Load(); s != l.set && !l.ending {
		l.obey(s)
	}
	if l.now >= l.targetAt && !l.held() {
		l.count()
	}
}

// obey takes in what the throttle has changed.
func (l *loop) obey(s *setting) {
	was := l.set
	by := s.paused - was.paused
	if !was.held() && by == 0 && l.now >= l.endAt {
		return
	}
	l.set = s
	l.start += by
	if l.arrival != math.MaxInt64 {
		l.arrival += by
	}
	if l.owed != 0 {
		l.owed += by
	}
	l.endAt = l.endOf()
	if l.load.Users > 0 {
		if was.held() || by > 0 {
			l.starting = 0 // some who were free meanwhile are at rest
		}
		l.count()
		return
	}
	if s.plan == was.plan || l.limit == 0 {
		return
	}
	offset, ok := l.cursor.Change(l.part(s.plan))
	if l.owed == 0 { // else the arrival that waits for a rider is the one that the cursor gave last
		l.due(offset, ok)
	}
}

// held says that nothing may begin.
func (l *loop) held() bool { return l.set.held() && !l.ending }

// endOf is when the load ends, as far as is known.
func (l *loop) endOf() int64 {
	if l.length == 0 || l.set.held() {
		return math.MaxInt64
	}
	return l.start + int64(l.length)
}

// part is this loop's of a plan: arrival k belongs to loop k mod n, of the n that may have users.
func (l *loop) part(whole *schedule.Plan) *schedule.Plan {
	p := *whole
	p.Part, p.Parts = p.Part+uint64(l.index)*max(p.Parts, 1), max(p.Parts, 1)*uint64(l.parts)
	return &p
}

// count takes in how many users the load asks for now.
func (l *loop) count() {
	elapsed := l.set.elapsed(max(l.now, l.began), l.began)
	before := portion(l.target, l.index, len(l.loops))
	l.target = l.load.usersAt(l.set, elapsed)
	n := portion(l.target, l.index, len(l.loops))
	l.starting = min(l.starting, before, n)
	for len(l.all) < n {
		l.all = append(l.all, l.newRider(len(l.all)*len(l.loops)+l.index))
	}
	l.riders = l.all[:max(n, len(l.riders))]
	l.targetAt = math.MaxInt64
	if l.load.Ramp != nil {
		if next, ok := l.load.Ramp.Next(elapsed); ok {
			l.targetAt = l.start + int64(next)
		}
	}
}

// startSome has riders of a closed load begin that are wanted and do not play yet.
func (l *loop) startSome() {
	if l.load.Users == 0 || l.ending || l.held() {
		return
	}
	wanted := portion(l.target, l.index, len(l.loops))
	for ; l.turns > 0 && l.starting < wanted; l.starting++ {
		if r := l.riders[l.starting]; !r.playing {
			l.turns--
			l.now = l.clock.Now()
			l.again(r)
		}
	}
}

// again starts a rider's next journey of a closed load, if there is one and the rider is still wanted. One that is not hangs up.
func (l *loop) again(r *rider) {
	r.playing = false
	if l.ending || l.spent() || l.held() {
		return
	}
	if r.number >= l.target {
		for i := range r.conns {
			l.shut(&r.conns[i], record.ByCaptest)
		}
		return
	}
	if total := l.load.Total; total > 0 {
		n := l.claimed.Add(1)
		if n == total && l.load.varies() {
			l.rouse() // a loop whose riders all rest would wait for ever
		}
		if n > total {
			return
		}
	}
	r.playing = true
	l.begin(r, -1)
}

// spent says that the last journey of a closed load has been claimed.
func (l *loop) spent() bool { return l.load.Total > 0 && l.claimed.Load() >= l.load.Total }
