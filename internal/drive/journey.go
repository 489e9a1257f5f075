package drive

import (
	"time"

	"github.com/captest/captest/internal/record"
)

// journey takes one user through the steps. intended is when the schedule wanted it to start, in ns since the run began; below 0
// in a closed load, where a journey starts when its user is free. A step that fails ends it.
func (r *run) journey(u *user, intended int64) result {
	shard := r.rec.Shard(u.number)
	if !u.ready {
		began := r.clock.Now()
		if out := u.prepare(r.ctx); out.failed() {
			return r.unprepared(u, out, intended, shard)
		}
		if intended >= 0 {
			intended += r.clock.Now() - began // setup stands outside every measurement
		}
	}
	if err := u.begin(); err != nil {
		return result{fatal: err}
	}
	first := intended >= 0
	for i := 0; i < len(r.script.steps); {
		var s *step
		s, i = r.script.choose(i, u.values.Rand)
		out := u.send(r.ctx, s, r.load.timeout(s.timeout), intended, shard)
		if first && out.sample.Started > 0 && !u.queued {
			shard.Lag(out.sample.Started - intended)
		}
		if out.failed() {
			return out
		}
		first, intended = false, -1 // only the journey's start was scheduled
		pause := r.ctx
		if i == len(r.script.steps) {
			pause = r.ending // nothing comes after it that an ended load would still want
		}
		if !sleep(pause, s.think) && r.ctx.Err() != nil && i < len(r.script.steps) {
			return result{sample: record.Sample{Error: record.ErrorCanceled}}
		}
	}
	return result{}
}

// unprepared is a journey that could not start because its user's setup failed. It is counted against the first step: a user
// who cannot log in cannot do what the scenario is about, and a run in which nobody could must not look like one without errors.
func (r *run) unprepared(u *user, out result, intended int64, shard *record.Shard) result {
	if out.fatal != nil || out.canceled() {
		return out
	}
	x := &out.sample
	if intended >= 0 {
		x.Intended = min(intended, x.Started)
		if !u.queued {
			shard.Lag(x.Started - x.Intended)
		}
	}
	x.Step = r.script.steps[0].index
	shard.Begin(x.Started)
	shard.Add(*x)
	return out
}

// account counts a journey's end.
func (r *run) account(out result) {
	switch {
	case out.fatal != nil:
		r.fail(out.fatal)
	case out.canceled():
		r.canceled.Add(1)
	default:
		r.journeys.Add(1)
		if out.failed() {
			r.failed.Add(1)
		}
	}
}

// Bounds of the pause after a failure that took no time. See run.loop.
const (
	instant   = 10 * time.Millisecond // a failure faster than this was not worth waiting for
	firstRest = 10 * time.Millisecond
	longRest  = 250 * time.Millisecond
)

// rest says how long a user of a closed load pauses after a journey: nothing, unless it failed at once for want of a working
// connection. Each miss in a row doubles the pause; half of it is random, so that the users do not come back all together.
func (u *user) restAfter(out result) time.Duration {
	if !out.failed() || !unconnected(out.sample.Error) || out.sample.ServiceTime() >= int64(instant) {
		u.misses = 0
		return 0
	}
	pause := min(firstRest<<min(u.misses, 10), longRest)
	u.misses++
	return pause/2 + time.Duration(u.values.Rand.Int64N(int64(pause/2)))
}

// unconnected says that no answer came: a 500 or a wrong body is the target's own pace and is not slowed down.
func unconnected(class record.ErrorClass) bool {
	switch class {
	case record.ErrorRefused, record.ErrorReset, record.ErrorClosed, record.ErrorDNS, record.ErrorTLS,
		record.ErrorLocal, record.ErrorProtocol, record.ErrorOther:
		return true
	}
	return false
}
