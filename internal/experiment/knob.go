package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// Knob is a setting of one service, what it stands at and what a test gives it.
type Knob struct {
	Service  string // of the target
	Name     string // as `captest diagnose --what-if` names it, without its service: workers, pool.kill-bill
	From, To string
}

func (k Knob) String() string { return k.Service + "." + k.Name }

// Suspicion is what a run so far points at, and what tests of it must show. It names no cause: what the figures mean is for the
// diagnosis to say.
type Suspicion struct {
	Knob   *KnobTest // nil: NoKnob says why
	NoKnob string
	Time   *TimeTest // nil: NoTime says why
	NoTime string
}

// KnobTest doubles what limits. Rates are requests a second.
type KnobTest struct {
	Knob
	PerSecond, Low, High float64 // highest throughput predicted, with its interval
	Limit                string  // what limits then
	KneeUsers            float64 // then
}

// TimeTest makes a downstream take twice as long.
type TimeTest struct {
	Knob
	Caller, Callee string  // whose calls tell by how much longer it takes
	HoldS          float64 // how long one of them took at the highest throughput, in seconds; 0 unknown
	TellsApart     bool    // a cause that is not excluded predicts another outcome
}

// lateTests are those that restart services with other settings: nothing of the target as it is can be measured after them.
func (x *experiment) lateTests() []test {
	a := &alteration{experiment: x}
	return []test{
		{record.TestKnob, a.expected(knobLeast), a.knob},
		{record.TestElasticity, a.expected(elasticityLeast), a.elasticity},
	}
}

// Shortest times that throughput is measured for with another setting, and the warm-up before it. Slow targets get up to
// alteredMost: a few requests of each user.
const (
	knobLeast       = 6 * time.Second
	elasticityLeast = 6 * time.Second
	alteredMost     = 15 * time.Second
	alteredWarm     = 2 * time.Second
	alteredWarmMost = 5 * time.Second
	restartUsual    = 2 * time.Second // of a small service, ready and warm
)

// mostFailed is the share of failed requests, in percent, above which a throughput says nothing of a setting.
const mostFailed = 10

// alteration is what the late tests share.
type alteration struct {
	*experiment
	asked   bool
	suspect Suspicion
	why     string        // nothing can be tested, or no more; "" when it can
	turned  bool          // the knob has been tested
	took    time.Duration // of the last change until the target served; 0: there was none
	backS   float64       // when the last setting had been put back and the target served, seconds since the run began; 0: none was
}

// expected length of a test: two restarts, warm-up, load.
func (a *alteration) expected(measured time.Duration) time.Duration {
	restart := restartUsual
	if a.took > 0 {
		restart = a.took
	}
	return 2*restart + alteredWarm + measured
}

// ask the diagnosis of the run so far, once.
func (a *alteration) ask() {
	if a.asked {
		return
	}
	a.asked = true
	switch {
	case a.Suspect == nil || a.Change == nil:
		a.why = "captest was given no command that changes a setting (knobs: in the target file)"
	case a.recovered == record.Stuck || a.recovered == record.Crashed || a.recovered == record.Metastable:
		a.why = "the target did not come back from the load before"
	default:
		a.validity() // of the run so far: the figures are looked at as they would be if it ended here
		s, err := a.Suspect()
		if err != nil {
			a.why = "the run so far could not be explained: " + err.Error()
		}
		a.suspect = s
	}
}

// knob is test T6: one setting is changed such that throughput should double, or go as far as the model says it does. The
// throughput before is that of the best closed level. Source: measurement 5.2.
func (a *alteration) knob(ctx context.Context) (record.Test, error) {
	a.ask()
	t := a.suspect.Knob
	switch {
	case a.why != "":
		return record.Test{Skipped: a.why}, nil
	case t == nil:
		return record.Test{Skipped: a.suspect.NoKnob}, nil
	}
	got, why, err := a.with(ctx, t.Knob, a.users(t.KneeUsers), knobLeast, nil)
	if err != nil || why != "" {
		return record.Test{Where: t.Service, Skipped: why}, err
	}
	a.turned = true
	got.values["predicted_per_second"], got.values["predicted_low_per_second"], got.values["predicted_high_per_second"] = t.PerSecond, t.Low, t.High
	got.values["predicted_knee_users"] = t.KneeUsers
	return record.Test{Where: t.Service, Values: got.values, Words: map[string]string{"knob": t.Name, "from": t.From, "to": t.To, "limit": t.Limit}}, nil
}

// users that a test's throughput is measured with: four times the knee, or twice the knee that is predicted, but no more than
// the overload had.
func (a *alteration) users(knee float64) int {
	was := knee / 2
	if k, ok := search.Knee(a.found); ok {
		was = k
	}
	from := a.reached()
	return int(math.Ceil(min(max(4*was, 2*knee, 4), float64(max(from.users, 4)))))
}

// altered is a throughput with another setting.
type altered struct {
	perSecond float64
	values    map[string]float64 // of the test
}

// with changes a setting, measures the throughput and puts the setting back, whatever happens. why says what kept it from being
// measured. ended is called when the load ends, before the setting is put back; nil for nothing.
func (a *alteration) with(ctx context.Context, k Knob, users int, least time.Duration, ended func()) (got altered, why string, err error) {
	began := a.now()
	a.altered = true
	a.event(record.EventSetting, -1, fmt.Sprintf("%s from %s to %s", k, k.From, k.To), record.Setting{Service: k.Service, Name: k.Name, From: k.From, To: k.To})
	defer a.putBack(ctx, k)
	if err := a.Change(ctx, k.Service, k.Name, k.To); err != nil {
		if ctx.Err() != nil {
			return altered{}, "", context.Cause(ctx)
		}
		a.warn("%s could not be set to %s: %s", k, k.To, brief(err))
		return altered{}, fmt.Sprintf("%s could not be set to %s", k, k.To), nil
	}
	if !a.works(ctx) {
		if ctx.Err() != nil {
			return altered{}, "", context.Cause(ctx)
		}
		return altered{}, fmt.Sprintf("the target did not serve within %s of %s being set to %s", restartPatience, k, k.To), nil
	}
	a.took = a.now() - began
	median := time.Duration(a.base.MedianMs * float64(time.Millisecond))
	warm, measured := clamp(2*median, alteredWarm, alteredWarmMost), clamp(4*median, least, alteredMost)
	loadBegan := a.now().Seconds()
	best := a.reached().best
	spec := trialSpec{
		phase: PhaseTests, note: fmt.Sprintf("%d users, %s at %s", users, k, k.To), overloads: true, warm: warm, measured: measured,
		load: drive.Load{Users: users, For: warm + measured}, mark: record.Load{Users: users},
	}
	if best > 0 {
		spec.roundS = float64(users) / best
	}
	if ended != nil {
		spec.release = func(*trialRun) {
			ended()
			a.progress.enter("drain", "waiting for what is in flight", 0)
			a.Recorder.Enter(record.Mark{Trial: -1, Phase: "drain"})
		}
	}
	sums, end, err := a.trial(ctx, spec)
	failed := 100 * (1 - float64(sums.OK)/float64(max(sums.N, 1)))
	switch {
	case err != nil:
		return altered{}, "", err
	case end.brake != nil:
		return altered{}, end.brake.Error(), nil
	case end.verdict == verdictInvalid:
		return altered{}, fmt.Sprintf("the load with %s at %s says nothing: %s", k, k.To, end.reasons[len(end.reasons)-1]), nil
	case sums.N == 0 || sums.Seconds <= 0:
		return altered{}, fmt.Sprintf("nothing completed with %s at %s", k, k.To), nil
	case failed > mostFailed:
		return altered{}, fmt.Sprintf("%.0f %% of the requests failed with %s at %s", failed, k, k.To), nil
	}
	got = altered{perSecond: float64(sums.OK) / sums.Seconds}
	got.values = map[string]float64{"before_per_second": best * a.perJourney(), "after_per_second": got.perSecond, "users": float64(users)}
	if other, ok := a.Observer.OtherWork(loadBegan, a.now().Seconds()); ok {
		got.values["other_work_percent"] = other
	}
	return got, "", nil
}

// putBackPatience bounds what puts a setting back: it must come to an end even when the run is over.
const putBackPatience = time.Minute

// putBack gives a setting its old value, also when the run has been interrupted: nothing else would. The next test begins on a
// target that serves with it.
func (a *alteration) putBack(run context.Context, k Knob) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run), putBackPatience)
	defer cancel()
	defer func() { a.backS = a.now().Seconds() }()
	a.progress.enter(PhaseTests, fmt.Sprintf("putting %s back to %s", k, k.From), restartUsual)
	a.event(record.EventSetting, -1, fmt.Sprintf("%s back to %s", k, k.From), record.Setting{Service: k.Service, Name: k.Name, From: k.To, To: k.From})
	if err := a.Change(ctx, k.Service, k.Name, k.From); err != nil {
		a.why = fmt.Sprintf("%s could not be put back to %s and may still stand at %s", k, k.From, k.To)
		a.warn("%s: %s", a.why, brief(err))
		return
	}
	if run.Err() == nil && !a.works(run) && run.Err() == nil {
		a.why = fmt.Sprintf("the target did not serve within %s of %s being put back to %s", restartPatience, k, k.From)
		a.warn("%s", a.why)
	}
}
