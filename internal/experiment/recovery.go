package experiment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// recoveryTest pushes the target past its knee and lets go, with clients of two kinds, and gathers what the verdict is made of:
// how it comes back, whether the same load is carried as before, and what it does not give back. Source: measurement 4.
type recoveryTest struct {
	*experiment
	reached
	pace     recoveryPace
	books    Books
	counted  LoadCount // sent until the last rest
	loadS    float64   // when the load in progress, or the last one, began
	endS     float64   // when the last load ended
	up, down []Rung
	quiet    map[float64]map[string]Quiet // what the probes met under each rung on the way up, by percent

	verdict record.Recovery
}

// reached is what the search found, as far as the recovery test stands on it. Rates are journeys a second.
type reached struct {
	users    int     // of the overload
	best     float64 // highest goodput of any level
	capacity float64 // carried within the limits, else nine tenths of the best: the ladders are built on it; 0 unknown
}

// reached is the only place where the recovery test looks at the search.
func (x *experiment) reached() reached {
	r := reached{users: search.OverloadUsers(x.found, x.Target.OverloadUsers), best: search.Best(x.found)}
	if c := x.plan.Answer(x.found).Confirmed; c > 0 {
		r.capacity = c
	}
	if r.capacity == 0 {
		r.capacity = 0.9 * r.best
	}
	return r
}

// overloadAndRecover runs the whole test and writes its verdict into the run folder.
func (x *experiment) overloadAndRecover(ctx context.Context) error {
	return x.testRecovery(ctx, x.reached())
}

func (x *experiment) testRecovery(ctx context.Context, from reached) error {
	t := &recoveryTest{
		experiment: x, pace: x.care, reached: from, quiet: map[float64]map[string]Quiet{}, books: Books{Rests: []Span{x.quietSpan}, Triggers: 1},
	}
	err := t.run(ctx)
	x.recovered = t.verdict.Class
	x.event(record.EventRecovery, -1, t.verdict.Summary, t.verdict)
	if err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (t *recoveryTest) run(ctx context.Context) error {
	err := t.stages(ctx)
	if braked := (*Braked)(nil); errors.As(err, &braked) {
		t.leaveOpen("the rest of the recovery test", braked.Error())
		t.watchUntilSettled(ctx)
		err = nil
	}
	t.conclude()
	if err != nil {
		return err
	}
	if t.verdict.Class == record.Stuck {
		t.restartCure(ctx)
	}
	return nil
}

// stages: baseline after the ramp, ladder up, patient trigger, aborting trigger, trigger with load kept up, ladder down, cycles, cool.
func (t *recoveryTest) stages(ctx context.Context) error {
	t.loadS, t.endS = t.quietSpan.ToS, t.now().Seconds()
	t.phase("settle", "reading the idle target's gauges", 3*time.Second)
	if err := t.enterRest(ctx, t.endS); err != nil {
		return err
	}
	laddered := t.pace.rung > 0 && t.capacity > 0
	if laddered {
		if err := t.ladder(ctx, "rungs-up", rungs, &t.up); err != nil {
			return err
		}
		t.books.Triggers++
		if err := t.enterRest(ctx, t.endS); err != nil {
			return err
		}
	}
	for _, clients := range []string{Patient, Aborting} {
		if err := t.trigger(ctx, clients); err != nil {
			return err
		}
		if last := t.triggers[len(t.triggers)-1]; !carriesOn(last.Class) {
			if clients == Patient {
				t.leaveOpen("aborting clients", "the target did not come back from the patient ones")
			}
			return nil
		}
	}
	if laddered {
		if on, err := t.background(ctx); err != nil || !on {
			return err
		}
		if err := t.ladder(ctx, "rungs-down", reversed(rungs), &t.down); err != nil {
			return err
		}
		if err := t.enterRest(ctx, t.endS); err != nil {
			return err
		}
	}
	if err := t.cycles(ctx); err != nil {
		return err
	}
	return t.cool(ctx)
}

// carriesOn says whether more may be asked of a target after this.
func carriesOn(class string) bool {
	return class == record.SelfHealing || class == record.Slow || class == record.Degraded
}

func (t *recoveryTest) leaveOpen(what, why string) {
	t.verdict.Undecided = append(t.verdict.Undecided, record.Undecided{What: what, Why: why})
}

// enterRest ends a load in the books: it waits for readings of the gauges without load, from fromS on.
func (t *recoveryTest) enterRest(ctx context.Context, fromS float64) error {
	if err := t.rest(ctx, fromS); err != nil {
		return err
	}
	total := t.sent()
	load := total.less(t.counted)
	load.Span = Span{t.loadS, t.endS}
	t.counted = total
	t.books.Loads = append(t.books.Loads, load)
	t.books.Rests = append(t.books.Rests, Span{fromS, t.now().Seconds()})
	return nil
}

// trigger overloads with one kind of clients, lets go and watches.
func (t *recoveryTest) trigger(ctx context.Context, clients string) error {
	spec := trialSpec{
		phase: "overload", overloads: true, measured: t.pace.patient, load: drive.Load{Users: t.users, For: t.pace.patient},
		mark: record.Load{Users: t.users},
	}
	if t.best > 0 {
		spec.roundS = float64(t.users) / t.best
	}
	x := record.Trigger{Clients: clients, Users: t.users}
	if clients == Aborting {
		patience := t.patience()
		x.TimeoutSeconds = ref(patience.Seconds())
		spec.phase, spec.measured, spec.load.For, spec.load.Patience = "abort", t.pace.aborting, t.pace.aborting, patience
		spec.note = fmt.Sprintf("%d users who give up after %.3g s", t.users, patience.Seconds())
	}
	return t.pull(ctx, spec, x, t.bases)
}

// pull runs a trigger's load and what comes after it.
func (t *recoveryTest) pull(ctx context.Context, spec trialSpec, x record.Trigger, base map[string]Quiet) error {
	w := t.watch(ctx)
	defer w.close()
	t.loadS = t.now().Seconds()
	loading, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	spec.release = func(run *trialRun) {
		t.endS = t.now().Seconds()
		if mean, ok := run.sums.Value("", "mean", 0); ok && spec.phase == "overload" {
			t.overloadMs = mean
		}
		if run.braked { // nothing of the load is kept up
			x.BackgroundPercent, base = nil, t.bases
		}
		x = t.aftermath(ctx, w, run, x, base)
		if x.BackgroundPercent != nil {
			t.endGently(ctx, spec.pause)
			enough(errEnough)
		}
	}
	_, end, err := t.trial(loading, spec)
	if errors.Is(err, errEnough) {
		err = nil
	} else if end.verdict == verdictInvalid && err == nil {
		t.leaveOpen("recovery from the overload of "+x.Clients+" clients", "the overload itself may not have come about: "+strings.Join(end.reasons, "; "))
	}
	if err != nil && x.Class == "" {
		return err
	}
	if x.BackgroundPercent != nil {
		t.endS = t.now().Seconds()
	}
	if err == nil {
		err = t.enterRest(ctx, max(t.endS, t.now().Seconds()-restReadings)) // the end of the watch is rest enough
	}
	if n := len(t.books.Loads); err == nil {
		x.Requests, x.Failed, x.Aborted = t.books.Loads[n-1].Requests, t.books.Loads[n-1].Failed, t.books.Loads[n-1].Aborted
	}
	t.triggers = append(t.triggers, x)
	return err
}

// endGently lets what is in flight of a held load be answered, for as long as patient clients would wait.
func (t *recoveryTest) endGently(ctx context.Context, load *drive.Throttle) {
	if load == nil || !load.Hold(true) {
		return
	}
	until := t.now() + t.longest()
	for sleep(ctx, 1100*time.Millisecond) == nil && t.now() < until && t.Recorder.Snapshot().InFlight > 0 {
		continue
	}
}

// errEnough ends a load whose effect is known.
var errEnough = errors.New("the trigger's effect is known")

// patience of aborting clients: half of what an answer took under the overload, so that many of them go away while they are
// served or wait; but never so short that the idle target would lose them too.
func (t *recoveryTest) patience() time.Duration {
	half := time.Duration(t.overloadMs / 2 * float64(time.Millisecond))
	slowest := 0.0
	for _, b := range t.bases {
		slowest = max(slowest, 2*b.P95Ms, b.P95Ms+50)
	}
	return min(max(half, time.Duration(slowest*float64(time.Millisecond))), t.longest())
}

// aftermath watches until the verdict on one trigger is settled. It runs while the last answers are still coming in: patient
// clients wait for theirs.
func (t *recoveryTest) aftermath(ctx context.Context, w *watch, run *trialRun, x record.Trigger, base map[string]Quiet) record.Trigger {
	t.phase("release", "load off, waiting for what is in flight", 0)
	a := t.newAftermath(run, base, value(x.BackgroundPercent)/100*t.capacity)
	a.Background = x.BackgroundPercent != nil
	w.functional(t.probeTimeout(base))
	t.progress.enter("release", fmt.Sprintf("load off, %d in flight", run.inFlight), seconds(a.ExpectedDrain))
	drained := run.done
	var drainS *float64
	for {
		select {
		case <-ctx.Done():
			return filled(x, a.Classify(), drainS)
		case <-drained:
			drained = nil
			if last := run.tally().LastSent.Seconds(); !a.Background && last > a.TriggeredS {
				a.LastSentS = min(last, a.ReleasedS)
			}
			drainS = ref(max(0, t.now().Seconds()-a.sent()))
			t.phase("recovery", "probing an idle target", t.pace.window+t.pace.relapse)
		case <-time.After(250 * time.Millisecond):
		}
		a.NowS, a.Restarts = t.now().Seconds(), t.readings.seenRestarts()
		a.Probes, a.OpenS = w.seen()
		if still := t.Observer.StoodStill(int64(1e9 * a.ReleasedS)); still > search.StallSeconds*time.Second {
			a.StalledS = still.Seconds()
		}
		if v := a.judge(); v.settled && (drained == nil || a.Background || !v.recovered) {
			return filled(x, a.Classify(), drainS)
		}
	}
}

// filled puts a verdict into its trigger.
func filled(x, verdict record.Trigger, drainS *float64) record.Trigger {
	verdict.Clients, verdict.TimeoutSeconds, verdict.BackgroundPercent, verdict.Users = x.Clients, x.TimeoutSeconds, x.BackgroundPercent, x.Users
	verdict.DrainSeconds = drainS
	return verdict
}

func (t *recoveryTest) newAftermath(run *trialRun, base map[string]Quiet, kept float64) Aftermath {
	expected := 0.0
	if surplus := t.best - kept; surplus > 0 { // a load that is kept up leaves less to drain with
		expected = t.outstanding(run.inFlight) / surplus
	}
	// Probes come at twice their interval's rate, fresh and kept; a window holds enough of them.
	window := max(t.pace.window.Seconds(), float64(t.pace.minProbes+1)*probeInterval(t.walkMs()).Seconds()/2)
	longest := max(t.pace.watch.Seconds(), 5*expected, 2*t.longest().Seconds())
	return Aftermath{
		Base: base, TriggeredS: t.loadS, ReleasedS: t.now().Seconds(), ExpectedDrain: expected, WindowS: window, MinProbes: t.pace.minProbes,
		RelapseS: t.pace.relapse.Seconds(), MaxS: min(longest, t.pace.longest().Seconds()), Strict: t.pace.strict,
		Timers: []record.Timer{{Seconds: t.longest().Seconds(), What: "the scenario's request timeout"}},
	}
}

// probeTimeout is far beyond what a working target takes, yet short enough that a hung probe does not stand for half a minute.
func (x *experiment) probeTimeout(base map[string]Quiet) time.Duration {
	slowest := 0.0
	for _, b := range base {
		slowest = max(slowest, b.MedianMs)
	}
	return clamp(time.Duration(20*slowest)*time.Millisecond, 2*time.Second, x.longest())
}

// outstanding is Q(t_r): the clients' count, or the entry's own where clients have gone and left their work behind.
func (t *recoveryTest) outstanding(inFlight int) float64 {
	q := float64(inFlight)
	if s, ok := t.latest(t.Target.Entry); ok {
		q = max(q, s.Values["http_requests_in_progress"], s.Values["requests.in_progress"])
	}
	return q
}

// conclude makes the run's verdict of what has been gathered so far.
func (t *recoveryTest) conclude() {
	open := t.verdict.Undecided
	v := Combine(t.triggers)
	v.RecoverablePercent, v.Restart = t.verdict.RecoverablePercent, t.verdict.Restart
	if seen := t.readings.seenRestarts(); v.Class == record.StuckRestart && len(seen) > 0 {
		v.Restart = &record.Restart{Services: []string{seen[len(seen)-1].Service}, Cured: true, Observed: true}
	}
	if t.endS > 0 && len(t.triggers) > 0 {
		t.books.Scrapes = t.readings.all()
		t.books.CooledS = t.now().Seconds() - t.endS
		v.CooledSeconds = ref(t.books.CooledS)
		leaks, undecided := t.books.Leaks()
		v.Leaks, open = leaks, append(open, undecided...)
		v.ResolutionSeconds = ref(probeInterval(t.walkMs()).Seconds())
	}
	for _, x := range t.triggers {
		if x.Class == record.NotTested {
			open = append(open, record.Undecided{What: "recovery from " + x.Clients + " clients", Why: x.Summary})
		}
	}
	if len(t.up) > 0 && len(t.down) > 0 {
		v.Hysteresis = Compare(t.up, t.down)
		if v.Hysteresis.Found && healthy(v.Class) {
			v.Class = record.Degraded
			v.Summary += "; but the same load is carried worse than before it"
		}
	}
	if t.pace.rung == 0 && len(t.triggers) > 0 {
		open = append(open, record.Undecided{What: "hysteresis, recovery under load", Why: "quick effort does not test them; standard does"})
	}
	v.Undecided = append(v.Undecided, open...)
	t.verdict = v
}

// watchOnly waits without load for a target that the search itself wounded: it may come back by itself.
func (x *experiment) watchOnly(ctx context.Context, why string) error {
	x.warn("%s (%s)", why, x.Target.Name)
	return x.watchIdle(ctx)
}

// watchIdle watches what becomes of a target that has no load any more, has a stuck one restarted, and writes the verdict into the
// run folder. The load that ended is the trigger, whatever it was meant to be.
func (x *experiment) watchIdle(ctx context.Context) error {
	t := &recoveryTest{experiment: x, reached: x.reached(), pace: x.care, loadS: x.quietSpan.ToS, endS: x.now().Seconds(), books: Books{Rests: []Span{x.quietSpan}}}
	t.watchUntilSettled(ctx)
	if ctx.Err() == nil {
		_ = t.enterRest(ctx, t.endS) // a run that ends here has its verdict all the same; the cause is given below
	}
	t.conclude()
	if t.verdict.Class == record.Stuck && ctx.Err() == nil {
		t.restartCure(ctx)
	}
	x.recovered = t.verdict.Class
	x.event(record.EventRecovery, -1, t.verdict.Summary, t.verdict)
	return context.Cause(ctx)
}

// watchUntilSettled watches a target without load, after one that was no trigger of the plan.
func (t *recoveryTest) watchUntilSettled(ctx context.Context) {
	w := t.watch(ctx)
	defer w.close()
	nothing := make(chan struct{})
	close(nothing)
	t.triggers = append(t.triggers, t.aftermath(ctx, w, idle(nothing), record.Trigger{Clients: Patient}, t.bases))
}

// recordCrash says what the run was ended by.
func (x *experiment) recordCrash(e *Exit) {
	x.warn("%s", e.Error())
	r := Combine(x.triggers)
	r.Class, r.SubClass, r.Seconds = record.Crashed, "", nil
	r.Summary = fmt.Sprintf("%s service exited (%s) during phase %q, %.0f s into the run; nothing restarted it", e.Service, e.Detail, x.progress.current(), x.now().Seconds())
	x.event(record.EventRecovery, -1, e.Error(), r)
}

// arrivals is a load of arrivals at a constant rate, then another.
func arrivals(seed uint64, stages ...schedule.Stage) drive.Load {
	return drive.Load{Plan: &schedule.Plan{Stages: stages, Seed: seed}}
}
