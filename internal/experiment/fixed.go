package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// Fixed is one load given by the user instead of a search: closed by count (Total), closed by time (For, Ramp) or open (Plan).
type Fixed struct {
	Users int
	Ramp  *schedule.Ramp // instead of Users
	Total uint64
	For   time.Duration
	Plan  *schedule.Plan
	// RatePerSecond is what a constant Plan offers, for people; 0 for stages.
	RatePerSecond float64
	Connections   int // of a Plan: arrivals beyond so many at a time wait; 0: they are dropped at the engine's cap
}

// Describe says the load in one short phrase.
func (f *Fixed) Describe() string {
	switch {
	case f.Plan != nil && f.RatePerSecond > 0:
		return fmt.Sprintf("%.4g/s for %s", f.RatePerSecond, f.For)
	case f.Plan != nil:
		return fmt.Sprintf("%d arrivals in stages over %s", f.Plan.Count(), f.For)
	case f.Ramp != nil:
		text := "0"
		for i, s := range f.Ramp.Stages {
			if i == 3 && len(f.Ramp.Stages) > 4 {
				text += "→…"
				break
			}
			text += fmt.Sprintf("→%d", s.Users)
		}
		return fmt.Sprintf("%s users in stages over %s", text, f.Ramp.Length())
	case f.Total > 0:
		return fmt.Sprintf("%d journeys, %d at a time", f.Total, f.Users)
	default:
		return fmt.Sprintf("%d users for %s", f.Users, f.For)
	}
}

// fixed sends the load once and counts every answer, the last ones included: a user who asked for 100 registrations gets
// 100, and no probe of ours adds to them (the brake asks the health check alone). For the same reason a braked fixed load is
// not watched afterwards: there were no quiet requests to compare with.
func (x *experiment) fixed(ctx context.Context) error {
	f := x.Fixed
	s := trialSpec{
		phase: PlanFixed, note: f.Describe(), whole: true, measured: f.For,
		load: drive.Load{Users: f.Users, Ramp: f.Ramp, Total: f.Total, For: f.For, Plan: f.Plan, Connections: f.Connections},
		mark: record.Load{Users: f.Users, RatePerSecond: f.RatePerSecond},
	}
	if f.Plan != nil {
		s.mark.Arrivals = string(f.Plan.Arrivals)
	}
	if f.Ramp != nil {
		s.mark.Users, s.measured = f.Ramp.Peak(), f.Ramp.Length()
	}
	if _, ok := x.Engine.(*drive.Vegeta); !ok {
		s.load.Control = &drive.Throttle{}
	}
	_, end, err := x.trial(ctx, s)
	if end.tally.Stragglers > 0 && end.brake == nil {
		x.warn("%d journeys were still in flight when the load's grace was over and were cancelled", end.tally.Stragglers)
	}
	if end.tally.Late > 0 {
		x.warn("%d arrivals were late: they waited for one of the %d connections, and are timed from when they were due", end.tally.Late, f.Connections)
	}
	return err
}
