package drive

import (
	"context"
	"net/http"

	"github.com/captest/captest/internal/record"
)

// begin starts a journey that was due at arrival (-1: now), after the user's setup where that has not been done.
func (l *loop) begin(r *rider, arrival int64) {
	l.active++
	r.arrival, r.traveled, r.first, r.next = arrival, true, true, 0
	if !r.ready && len(l.script.setup) > 0 {
		r.setup = true
		clear(r.values.Vars)
		r.jar, r.setupJar = nil, nil
		r.setupAt = l.now
	} else {
		r.ready, r.setup = true, false
	}
	l.journey(r)
}

// journey makes the data and sends the first request.
func (l *loop) journey(r *rider) {
	if err := r.user.begin(); err != nil {
		l.fail(err)
		return
	}
	if r.waited {
		l.now = l.clock.Now()
	}
	l.send(r)
}

// send begins the next request.
func (l *loop) send(r *rider) {
	if r.setup {
		r.w = &l.setups[r.next]
		r.next++
	} else {
		var s *step
		s, r.next = l.script.choose(r.next, r.values.Rand)
		r.w = &l.wires[s.index]
	}
	r.retried, r.detail = false, ""
	if !l.render(r) {
		return
	}
	r.sample = record.Sample{Intended: l.now, Started: l.now, Step: r.w.index}
	if !r.setup {
		l.lastSent = l.now
		l.shard.Begin(l.now)
		if r.first && r.arrival >= 0 {
			r.sample.Intended = min(r.arrival, l.now)
			if !r.queued {
				l.shard.Lag(l.now - r.sample.Intended)
			}
		}
		r.first = false
	}
	r.whole.join(l.whole(r), l.now)
	c := &r.conns[r.w.endpoint]
	r.on = c
	if c.state == up {
		r.sample.Connected, r.sample.Flags = l.now, record.Reused
		l.write(r, c)
		return
	}
	l.dial(r, c)
}

// whole is the list of the request's timeout: that of its step, or of the load's clients where they are less patient.
func (l *loop) whole(r *rider) *deadlines {
	of, patience := &l.timeouts[r.w.within], &l.timeouts[len(l.timeouts)-1]
	if !r.setup && patience.after > 0 && patience.after < of.after {
		return patience
	}
	return of
}

// await puts another wait, or with −1 none, in the place of the one for a part of the request.
func (l *loop) await(r *rider, limit int) {
	if r.part.in != nil {
		r.part.leave()
	}
	if limit >= 0 {
		r.part.join(&l.timeouts[limit], l.clock.Now())
	}
}

// answered judges a complete answer.
func (l *loop) answered(r *rider, c *conn) {
	c.served++
	w := r.w
	x := &r.sample
	x.Status, x.BytesIn, x.Done = uint16(c.in.status), uint32(c.in.bodyBytes()), l.now
	if _, any := c.in.Field("Set-Cookie", 0); any {
		r.keepCookies(w.proto.URL, &http.Response{Header: c.in.httpHeader()})
	}
	r.answer = r.sink.buf
	x.Flags |= turnedAway(c.in.status, &c.in)
	x.Error, r.detail = r.judge(w.step, c.in.status, &c.in)
	l.finish(r)
}

// brokeBy is a request that an error of the socket has ended.
func (l *loop) brokeBy(r *rider, err error) {
	if r.on != nil {
		l.shut(r.on, closer(err))
	}
	class := classify(err, context.Background(), context.Background())
	l.broke(r, class, describe(class, err))
}

// broke is a request without a complete answer. Its connection is of no use any more.
func (l *loop) broke(r *rider, class record.ErrorClass, detail string) {
	if r.on != nil {
		l.shut(r.on, record.ByCaptest)
	}
	x := &r.sample
	x.Done = max(l.clock.Now(), x.Started)
	x.Error, r.detail, r.answer = class, detail, nil
	if class == record.ErrorTimeout {
		x.Flags |= record.TimedOut
	}
	l.finish(r)
}

// finish counts a request and goes on with the journey.
func (l *loop) finish(r *rider) {
	w := r.w
	r.whole.leave()
	l.await(r, -1)
	r.on = nil
	failed := r.sample.Error != record.ErrorNone
	if !r.setup {
		l.shard.Add(r.sample)
	}
	if failed && r.sample.Error != record.ErrorCanceled {
		l.examples.add(w.name, r.sample.Error, r.detail, r.excerpt(r.sample.Error))
	}
	switch {
	case failed && r.setup:
		l.unprepared(r)
	case failed:
		l.arrived(r)
	case w.think > 0 && !(l.ending && r.next == l.stepsOf(r)):
		l.naps.push(wakeup{l.now + int64(w.think), r})
	case l.load.Users == 0 && !r.setup && r.next == len(l.script.steps):
		l.arrived(r) // which sends nothing
	default:
		l.ready = append(l.ready, r)
	}
}

func (l *loop) stepsOf(r *rider) int {
	if r.setup {
		return len(l.setups)
	}
	return len(l.script.steps)
}

// goOn sends the next request, or ends the journey, or the setup before it.
func (l *loop) goOn(r *rider) {
	switch {
	case r.next < l.stepsOf(r):
		l.send(r)
	case r.setup:
		r.user.prepared()
		if r.arrival >= 0 {
			r.arrival += l.now - r.setupAt // setup stands outside every measurement
		}
		r.setup, r.next = false, 0
		l.journey(r)
	default:
		l.arrived(r)
	}
}

// unprepared is a journey that could not start because its user's setup failed: it is counted against the first step.
func (l *loop) unprepared(r *rider) {
	x := &r.sample
	if x.Error != record.ErrorCanceled {
		if r.arrival >= 0 {
			x.Intended = min(r.arrival, x.Started)
			if !r.queued {
				l.shard.Lag(x.Started - x.Intended)
			}
		}
		x.Step = l.script.steps[0].index
		l.shard.Begin(x.Started)
		l.shard.Add(*x)
	}
	l.arrived(r)
}

// arrived is the end of a journey.
func (l *loop) arrived(r *rider) {
	r.traveled = false
	l.active--
	switch {
	case r.sample.Error == record.ErrorCanceled:
		l.canceled++
	default:
		l.journeys++
		if r.sample.Error != record.ErrorNone {
			l.failed++
		}
	}
	if l.load.Users == 0 {
		l.free = append(l.free, r)
		if l.owed != 0 { // an arrival waited for a rider
			l.arrival, l.owed = l.owed, 0
		}
		return
	}
	if r.sample.Error != record.ErrorNone {
		// Even without a rest the next journey begins another time: it could fail at once as this one did, and so on, each
		// inside the one before.
		l.naps.push(wakeup{l.now + 1 + int64(r.restAfter(result{sample: r.sample})), r})
		return
	}
	r.misses = 0
	l.again(r)
}

// woke is the end of a rider's wait.
func (l *loop) woke(r *rider) {
	if r.traveled {
		l.goOn(r)
		return
	}
	l.again(r)
}

// cancelAll ends every journey under way.
func (l *loop) cancelAll() {
	due := l.now
	if l.held() {
		due = l.set.heldAt
	}
	l.ending = true
	for _, r := range l.riders {
		switch {
		case r.traveled && r.on != nil:
			l.broke(r, record.ErrorCanceled, "")
		case r.traveled:
			r.traveled = false
			l.active--
			l.canceled++
		}
	}
	l.naps, l.ready = l.naps[:0], l.ready[:0]
	if l.owed != 0 { // these waited in vain
		l.arrival, l.owed = l.owed, 0
	}
	for ; l.arrival <= due; l.nextArrival() {
		l.drop(l.arrival)
	}
}
