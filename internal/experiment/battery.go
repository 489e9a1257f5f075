package experiment

import (
	"context"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// EffortBattery is what run.json calls the effort of a run that carried out the battery.
const EffortBattery = "battery"

// Battery is a fixed set of loads instead of the search, so that several targets are asked the same in a time known beforehand:
// 1 user, 10 users, BatteryUsers at once, and the recovery from them.
type Battery struct {
	Ahead time.Duration // expected to come after this run, for the time left on the screen
}

// BatteryUsers overload, as many as the incident had at once.
const BatteryUsers = 50

// batteryLevels are the closed levels before it. Ten users are the incident's own comparison.
var batteryLevels = []struct {
	phase          string
	users          int
	warm, measured time.Duration
}{
	{search.PhaseBaseline, 1, time.Second, 6 * time.Second},
	{search.PhaseLevel, 10, 4 * time.Second, 14 * time.Second},
}

// batteryPace is that of quick, with every wait bounded: what is not decided by then is said to be open.
var batteryPace = recoveryPace{
	patient: 12 * time.Second, aborting: 6 * time.Second,
	window: 5 * time.Second, relapse: 3 * time.Second, watch: 30 * time.Second, most: 30 * time.Second, minProbes: minProbes,
	cool: 5 * time.Second,
}

// BatteryUsual is about how long a battery takes; a target that sticks takes longer by its restart.
const BatteryUsual = 95 * time.Second

// battery carries it out: quiet baseline, levels, overload, recovery.
func (x *experiment) battery(ctx context.Context) error {
	if err := x.atRest(ctx); err != nil {
		return err
	}
	best := 0.0
	for _, l := range batteryLevels {
		sums, end, err := x.trial(ctx, trialSpec{
			phase: l.phase, warm: l.warm, measured: l.measured,
			load: drive.Load{Users: l.users, For: l.warm + l.measured}, mark: record.Load{Users: l.users},
		})
		switch {
		case err != nil:
			return err
		case end.brake != nil:
			return x.watchIdle(ctx)
		case gone(sums):
			return x.watchOnly(ctx, errGone.Error())
		}
		if sums.Seconds > 0 {
			best = max(best, float64(sums.OK)/sums.Seconds/x.perJourney())
		}
		drained := x.drain(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if drained == search.Wounded {
			return x.watchOnly(ctx, "the target was not dry again after "+describe(trialSpec{mark: record.Load{Users: l.users}}))
		}
	}
	return x.testRecovery(ctx, reached{users: BatteryUsers, best: best})
}
