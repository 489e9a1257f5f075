package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// Fixed is one load given by the user instead of a search: closed by count (Total), closed by time (For) or open (Plan).
type Fixed struct {
	Users int
	Total uint64
	For   time.Duration
	Plan  *schedule.Plan
	// RatePerSecond is what a constant Plan offers, for people; 0 for stages.
	RatePerSecond float64
}

// Describe says the load in one short phrase.
func (f *Fixed) Describe() string {
	switch {
	case f.Plan != nil && f.RatePerSecond > 0:
		return fmt.Sprintf("%.4g/s for %s", f.RatePerSecond, f.For)
	case f.Plan != nil:
		return fmt.Sprintf("%d arrivals in stages over %s", f.Plan.Count(), f.For)
	case f.Total > 0:
		return fmt.Sprintf("%d journeys, %d at a time", f.Total, f.Users)
	default:
		return fmt.Sprintf("%d users for %s", f.Users, f.For)
	}
}

// fixed sends the load once and counts every answer, the last ones included: a user who asked for 100 registrations gets
// 100, and no probe of ours adds to them.
func (x *experiment) fixed(ctx context.Context) error {
	f := x.Fixed
	s := trialSpec{
		phase: PlanFixed, note: f.Describe(), whole: true, measured: f.For,
		load: drive.Load{Users: f.Users, Total: f.Total, For: f.For, Plan: f.Plan},
		mark: record.Load{Users: f.Users, RatePerSecond: f.RatePerSecond},
	}
	if f.Plan != nil {
		s.mark.Arrivals = string(f.Plan.Arrivals)
	}
	_, end, err := x.trial(ctx, s)
	if end.tally.Stragglers > 0 {
		x.warn("%d journeys were still in flight when the load's grace was over and were cancelled", end.tally.Stragglers)
	}
	return err
}
