package experiment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/captest/captest/internal/record"
)

// The safety brake ends a load when the target is in distress, instead of raising it further. Two things count as distress:
//
//	errors   of the last 5 s' requests, at least 20, more than half failed
//	silence  no health check was answered for 10 s, however it would have been answered
//
// A limiter that sheds load is not in distress: 429 or 503 with Retry-After does not count while the health check passes (where
// there is one) and some requests succeed; what was let in is judged alone. The overload of the recovery test is meant to
// overload, and how the target comes back from it is that test's business: there the brake acts only on a target that is gone,
// with no health check answered and no request carried for 10 s longer than a request may take: N users at the best goodput X
// that was ever seen wait N/X (Little's law), and a service with one event loop answers nobody until all of them have had a turn.
// Braking earlier would make clients that wait into clients that give up.
const (
	brakeWindow  = 5.0 // s
	brakeSoonest = 2.0 // s into a load: a burst of connections at its start is not distress yet
	brakeLeast   = 20  // requests
	brakeShare   = 0.5
	brakeSilence = 10.0 // s
	brakeStall   = 3.0  // s between two looks: captest itself stood still, so it knows nothing
)

// Braked ends what came before it: the search, a ladder, a fixed load.
type Braked struct{ record.Brake }

func (b *Braked) Error() string { return "brake pulled: " + b.Why }

// brakeLook is what was counted at an instant.
type brakeLook struct {
	atS    float64
	counts record.Outcomes
}

// brakeSigns are all that the brake's decision is made of; times are seconds since the run began.
type brakeSigns struct {
	dead      bool    // act only on a target that is gone
	roundS    float64 // then: how long a request may take
	health    bool    // the target has a health check
	beganS    float64 // the load
	answeredS float64 // the health check answered last, whatever it said
	passedS   float64 // it said last that all is well
	looks     []brakeLook
}

// begin forgets everything before an instant: nothing is held against the target for which there was no time yet.
func (b *brakeSigns) begin(atS float64, counts record.Outcomes) {
	b.answeredS, b.passedS = max(b.answeredS, atS), max(b.passedS, atS)
	b.looks = append(b.looks[:0], brakeLook{atS, counts})
}

// judge takes one more look and says whether to brake, with the evidence; nil: not.
func (b *brakeSigns) judge(atS float64, counts record.Outcomes) *record.Brake {
	if last := b.looks[len(b.looks)-1]; atS-last.atS > brakeStall {
		b.begin(atS, counts)
		return nil
	}
	b.looks = append(b.looks, brakeLook{atS, counts})
	allowed := brakeSilence
	if b.dead {
		allowed += b.roundS
	}
	for len(b.looks) > 1 && b.looks[1].atS <= atS-allowed { // bounded by a look a second
		b.looks = b.looks[1:]
	}
	silent := atS - b.answeredS
	if b.health && silent >= allowed {
		seen := b.seen(atS, allowed)
		if !b.dead || seen.OK == 0 {
			seen.Cause, seen.Why = record.BrakeSilence, fmt.Sprintf("no health check was answered for %.0f s", silent)
			if seen.OK == 0 {
				seen.Why += " and no request succeeded"
			}
			return seen
		}
	}
	if b.dead || atS-b.beganS < brakeSoonest {
		return nil
	}
	seen := b.seen(atS, brakeWindow)
	ok, failed, of := seen.OK, seen.Failed, "requests"
	if ok > 0 && (!b.health || atS-b.passedS <= brakeWindow) {
		if failed -= seen.TurnedAway; seen.TurnedAway > 0 {
			of = "requests that were let in"
		}
	}
	if n := ok + failed; n < brakeLeast || float64(failed) <= brakeShare*float64(n) {
		return nil
	}
	seen.Cause = record.BrakeErrors
	seen.Why = fmt.Sprintf("%d of %d %s failed within %.0f s (%s)", failed, ok+failed, of, seen.WindowSeconds, classes(seen.Errors))
	return seen
}

// seen is what was counted in the last seconds.
func (b *brakeSigns) seen(atS, window float64) *record.Brake {
	from := b.looks[0]
	for _, l := range b.looks {
		if l.atS > atS-window {
			break
		}
		from = l
	}
	d := b.looks[len(b.looks)-1].counts.Less(from.counts)
	out := &record.Brake{OffsetS: atS, WindowSeconds: atS - from.atS, OK: d.OK, Failed: d.Failed, TurnedAway: d.TurnedAway, Errors: d.Errors}
	if b.health {
		out.SilentSeconds = ref(atS - b.answeredS)
	}
	return out
}

// classes lists how many requests failed in which way, the most frequent first.
func classes(errors map[string]uint64) string {
	names := slices.Sorted(maps.Keys(errors))
	slices.SortStableFunc(names, func(a, b string) int { return int(errors[b]) - int(errors[a]) })
	for i, name := range names {
		what := name
		if name == record.ErrorStatus.String() {
			what = "unexpected status"
		}
		names[i] = fmt.Sprintf("%d × %s", errors[name], what)
	}
	return strings.Join(names, ", ")
}

// brake watches one trial.
type brake struct {
	x    *experiment
	ctx  context.Context //nolint:containedctx // a brake is a background activity with one lifetime
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	signs  brakeSigns
	pulled *Braked
	ended  bool
}

// brakes watches a trial until end is called, and cuts it when it must.
func (x *experiment) brakes(ctx context.Context, s trialSpec, trial int, cut context.CancelCauseFunc) *brake {
	b := &brake{x: x}
	b.ctx, b.stop = context.WithCancel(ctx)
	if x.NoBrake {
		return b
	}
	entry, ok := x.Target.Find("")
	now := x.now().Seconds()
	b.signs = brakeSigns{dead: s.overloads, roundS: s.roundS, health: ok && entry.Health != "", beganS: now}
	b.signs.begin(now, x.Recorder.Outcomes())
	if s.action != nil { // levels may be shorter than the silence that is allowed
		b.signs.answeredS -= x.silentS
	}
	b.wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			b.ask()
			select {
			case <-tick.C:
			case <-b.ctx.Done():
				return
			}
			if seen := b.look(); seen != nil {
				seen.Trial, seen.Phase, seen.Load, seen.EndedPlan = trial, s.phase, s.mark, !s.overloads
				b.pull(seen, cut)
				return
			}
		}
	})
	return b
}

// ask the health check, on a new connection as an orchestrator does, without waiting for those asked before.
func (b *brake) ask() {
	if !b.signs.health {
		return
	}
	b.wg.Go(func() {
		for _, p := range b.x.health(b.ctx, "fresh", seconds(brakeSilence)) {
			b.heard(p)
		}
	})
}

// heard takes the answer of a health check. One that captest's own limits kept from being asked says nothing of the target.
func (b *brake) heard(p record.Probe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.x.now().Seconds()
	if p.OK || p.Status > 0 || p.Error == record.ErrorLocal.String() {
		b.signs.answeredS = now
	}
	if p.OK {
		b.signs.passedS = now
	}
}

func (b *brake) look() *record.Brake {
	counts := b.x.Recorder.Outcomes()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.signs.judge(b.x.now().Seconds(), counts)
}

// pull writes down why, then ends the load.
func (b *brake) pull(seen *record.Brake, cut context.CancelCauseFunc) {
	p := &Braked{*seen}
	b.x.event(record.EventBrake, seen.Trial, p.Error(), seen)
	b.x.progress.warn(p.Error())
	b.mu.Lock()
	b.pulled = p
	b.mu.Unlock()
	cut(p)
}

// end stops watching and says whether the brake was pulled; nil: not.
func (b *brake) end() *Braked {
	b.stop()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && len(b.signs.looks) > 0 {
		b.x.silentS = b.x.now().Seconds() - b.signs.answeredS
	}
	b.ended = true
	return b.pulled
}
