package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// search carries out what the plan decides, states the capacity, and hands the target over to the overload, or to the
// recovery watch at once when it is wounded.
func (x *experiment) search(ctx context.Context) error {
	x.plan = search.Plan{Effort: x.Effort, Limits: x.limitExprs(), QuietMs: x.base.MedianMs, TimeoutS: x.longest().Seconds(), ArrivalC2: arrivalC2(x.Arrivals), Latency: x.percentiles()}
	quiet, late := x.testsAhead()
	x.progress.atTheEnd(late)
	for {
		a := x.plan.Next(x.found)
		x.progress.ahead(seconds(x.plan.Remaining(x.found)-a.Warm-a.Measured) + quiet + x.care.usual())
		switch a.Kind {
		case search.Closed, search.Open:
			err := x.carryOut(ctx, a)
			if braked := (*Braked)(nil); errors.As(err, &braked) {
				x.stateCapacity()
				return x.watchIdle(ctx)
			}
			if errors.Is(err, errGone) {
				x.stateCapacity()
				return x.watchOnly(ctx, errGone.Error())
			}
			if err != nil {
				x.stateCapacity()
				return err
			}
		case search.Drain:
			drained := x.drain(ctx)
			if ctx.Err() != nil {
				x.stateCapacity()
				return context.Cause(ctx)
			}
			x.found[len(x.found)-1].Drain = drained
		case search.Recover:
			x.stateCapacity()
			return x.watchOnly(ctx, a.Why)
		default:
			x.note("search ended: " + a.Why)
			x.stateCapacity()
			err := x.discriminate(ctx, x.quietTests(), x.care.usual())
			if braked := (*Braked)(nil); errors.As(err, &braked) {
				return x.watchIdle(ctx)
			}
			if err != nil {
				return err
			}
			if x.wounded {
				return x.watchOnly(ctx, "a test left the target unwell")
			}
			return x.overloadAndRecover(ctx)
		}
	}
}

// errGone ends the search: every request of a trial was refused, so nothing listens there any more.
var errGone = errors.New("the target refuses every connection")

// carryOut holds the load of an action and appends what was found.
func (x *experiment) carryOut(ctx context.Context, a search.Action) error {
	if err := sleep(ctx, seconds(a.Cooldown)); err != nil {
		return err
	}
	s := trialSpec{
		phase: a.Phase, warm: seconds(a.Warm), measured: seconds(a.Measured), action: &a,
		load: drive.Load{Users: a.Users, For: seconds(a.Warm + a.Measured)}, mark: record.Load{Users: a.Users},
	}
	if a.Kind == search.Open {
		plan, err := schedule.Fixed(a.PerSecond, s.warm+s.measured, x.Arrivals, x.Seed+uint64(x.trials))
		if err != nil {
			return fmt.Errorf("%s at %s: %w", a.Phase, a, err)
		}
		s.load = drive.Load{Plan: plan, For: s.load.For, InFlightCap: x.inFlightCap(a), Grace: seconds(search.DrainSeconds)}
		s.mark = record.Load{RatePerSecond: a.PerSecond, Arrivals: string(x.Arrivals)}
	}
	began := x.now().Seconds()
	sums, end, err := x.trial(ctx, s)
	if err != nil {
		return err
	}
	if end.brake != nil {
		if end.trial.Window.Seconds > 0 { // as far as it came it says what the target did not carry
			end.trial.Drain = search.Wounded
			x.found = append(x.found, end.trial)
		}
		return end.brake
	}
	if gone(sums) {
		return errGone
	}
	if end.tally.Stragglers > 0 && !end.trial.Window.Skipped { // it had its time: what is in flight after that never comes
		end.trial.Drain = search.Wounded
	}
	x.found = append(x.found, end.trial)
	x.topLevel(end.trial, began)
	return nil
}

// arrivalC2 is Var(count)/Mean(count) of a schedule's arrivals over many slots.
func arrivalC2(a schedule.Arrivals) float64 {
	if a == schedule.Poisson {
		return 1
	}
	return 0
}

// inFlightCap of an open load: ten times the knee (measurement 7), a hundred at least, and never so few that a second of
// arrivals would not fit.
func (x *experiment) inFlightCap(a search.Action) int {
	n := max(100, a.PerSecond)
	if k, ok := search.Knee(x.found); ok {
		n = max(n, 10*k)
	}
	return int(min(n, 1e6))
}

func gone(s record.TrialSums) bool {
	return s.OK == 0 && s.N > 0 && s.Errors[record.ErrorRefused.String()] == s.N
}

// drain probes until the target answers as before three times in a row, or its time is over (measurement 3.4).
func (x *experiment) drain(ctx context.Context) search.Drained {
	const inARow = 3
	x.phase("drain", "is the target as fast as before?", 0)
	allowed := max(1.5*x.base.P95Ms, x.base.P95Ms+50)
	ctx, stop := context.WithTimeout(ctx, seconds(search.DrainSeconds))
	defer stop()
	for good := 0; ; {
		walk := x.walk(ctx, "fresh", 0)
		p := walk[len(walk)-1]
		ok := p.OK && walk[0].Ms <= allowed
		switch {
		case ctx.Err() != nil:
			return search.Wounded
		case ok:
			if good++; good == inARow {
				x.silentS = 0 // it answers
				return search.Dry
			}
		default:
			good = 0
			if sleep(ctx, 200*time.Millisecond) != nil {
				return search.Wounded
			}
		}
	}
}

func (x *experiment) limitExprs() []string {
	var out []string
	for _, l := range x.Limits {
		if l.LoadLevel() {
			out = append(out, l.Expr)
		}
	}
	return out
}

// percentiles that the limits on load ask of response times; nil when one of them asks for something else, or for one step of several.
func (x *experiment) percentiles() []search.Percentile {
	var out []search.Percentile
	for _, l := range x.Limits {
		switch {
		case !l.LoadLevel() || l.Unit != "ms":
		case l.Step != "" && len(x.Scenario.Steps) > 1, l.Op[0] != '<', !(l.Quantile > 0 && l.Quantile < 100):
			return nil
		default:
			out = append(out, search.Percentile{Quantile: l.Quantile / 100, LimitMs: l.Value})
		}
	}
	return out
}

// stateCapacity writes down what the search knows, finished or not. One that ended before its first open load has nothing to
// state that the closed levels do not say (Capacity).
func (x *experiment) stateCapacity() {
	if !slices.ContainsFunc(x.found, func(t search.Trial) bool { return t.Action.Kind == search.Open }) {
		return
	}
	c := capacityOf(x.plan, x.found, x.perJourney())
	x.event(record.EventCapacity, -1, c.Note, c)
}

// perJourney is how many requests a journey sends when nothing fails: loads are offered in journeys, figures count requests.
func (x *experiment) perJourney() float64 {
	n, alternatives := 0.0, false
	for _, s := range x.Scenario.Steps {
		if s.Weight > 0 && alternatives {
			continue // one of them is chosen
		}
		alternatives = s.Weight > 0
		n++
	}
	return max(n, 1)
}
