package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// cycleLength of each short load and of the rest after it.
const cycleLength = 10 * time.Second

// cycles are short loads with a rest each: what grows from one rest to the next, every time, grows without end.
func (t *recoveryTest) cycles(ctx context.Context) error {
	if t.capacity <= 0 {
		return nil
	}
	rate := 0.5 * t.capacity
	for i := range t.pace.cycles {
		t.loadS = t.now().Seconds()
		_, end, err := t.trial(ctx, trialSpec{
			phase: "cycle", measured: cycleLength, load: arrivals(uint64(i), schedule.Stage{From: rate, To: rate, For: cycleLength}),
			mark: record.Load{RatePerSecond: rate, Arrivals: string(schedule.Slotted)},
			note: fmt.Sprintf("cycle %d of %d, %.3g/s", i+1, t.pace.cycles, rate),
		})
		t.endS = t.now().Seconds()
		if err != nil {
			return err
		}
		if end.brake != nil {
			return end.brake
		}
		if err := sleep(ctx, cycleLength-3*time.Second); err != nil {
			return err
		}
		if err := t.enterRest(ctx, t.endS); err != nil {
			return err
		}
	}
	return nil
}

// cool waits without load until what must return has had the time to: as long as the effort says, or in quick only while
// something is left that an idle connection's expiry may still take away.
func (t *recoveryTest) cool(ctx context.Context) error {
	until := t.pace.cool.Seconds()
	for {
		cooled := t.now().Seconds() - t.endS
		t.books.Rests[len(t.books.Rests)-1].ToS = t.now().Seconds()
		if until > 0 && cooled >= until || cooled >= fullCool || until == 0 && (cooled >= idleCool || !t.left()) {
			return nil
		}
		if t.progress.current() != "cool" {
			t.phase("cool", "waiting for idle connections to expire", max(0, seconds(max(until, idleCool)-cooled)))
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// left says whether a gauge is still above its level before the load for a reason that waiting may remove.
func (t *recoveryTest) left() bool {
	t.books.Scrapes, t.books.CooledS = t.readings.all(), t.now().Seconds()-t.endS
	_, open := t.books.Leaks()
	for _, u := range open {
		if u.What != memoryGrowth && u.What != "leaks" {
			return true
		}
	}
	return false
}

// idle is a trial without a load.
func idle(done <-chan struct{}) *trialRun {
	return &trialRun{done: done, tally: func() drive.Tally { return drive.Tally{} }}
}
