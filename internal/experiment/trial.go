package experiment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/observe"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Verdicts of a trial: three, because a trial whose generator was the limit says nothing about the target.
const (
	verdictPass    = "pass"
	verdictFail    = "fail"
	verdictInvalid = "invalid"
)

// trialSpec is one load to hold.
type trialSpec struct {
	phase          string
	load           drive.Load
	mark           record.Load
	warm, measured time.Duration // measured 0: the load ends by count
	whole          bool          // count until the last answer is in, not only until the load ends
	note           string
	pause          *drive.Throttle   // holds the load without being offered to a person; nil for none
	overloads      bool              // it is meant to: the brake acts only on a target that is gone
	roundS         float64           // of an overload: how long a request may take
	action         *search.Action    // the search asked for it and judges it; nil: a fixed load or the overload
	release        func(t *trialRun) // called when the load has ended, before what is in flight has finished
}

// trialRun is what a release hook sees.
type trialRun struct {
	inFlight int  // when the load ended
	braked   bool // it was the brake that ended it, all of it
	sums     record.TrialSums
	done     <-chan struct{}    // closed when nothing is in flight any more
	tally    func() drive.Tally // what was sent in all, once done
}

type trialEnd struct {
	verdict string
	reasons []string
	tally   drive.Tally
	trial   search.Trial // of an action
	brake   *Braked      // that ended it; nil: it was not pulled
}

// trial holds one load and says what came of it. The error is ErrInterrupted, the target's crash, or the engine's own.
func (x *experiment) trial(ctx context.Context, s trialSpec) (record.TrialSums, trialEnd, error) {
	x.forecastPorts(x.expected(s))
	index := x.trials
	x.trials++
	planned := s.warm + s.measured
	x.event(record.EventTrialStart, index, s.note, record.TrialStart{Phase: s.phase, Load: s.mark, Seconds: planned.Seconds()})
	x.progress.enter(s.phase, describe(s), planned)
	x.Recorder.Enter(record.Mark{Trial: index, Phase: s.phase, Warmup: s.warm > 0, Load: s.mark})

	tctx, skip := x.Control.trial(ctx)
	defer skip()
	tctx, cut := context.WithCancelCause(tctx)
	defer cut(nil)
	began := x.now()
	var tally drive.Tally
	var driveErr error
	load := s.load
	if s.pause != nil {
		load.Control = s.pause
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tally, driveErr = x.Engine.Drive(tctx, load, x.Recorder)
	}()

	over := x.steered(s, index)
	defer over()
	brake := x.brakes(tctx, s, index, cut)
	defer brake.end()
	if s.warm > 0 && x.wait(tctx, done, s.warm) {
		x.Recorder.Enter(record.Mark{Trial: index, Phase: s.phase, Load: s.mark})
	}
	var bins []search.Bin
	pauses := x.Observer.Pauses()
	switch {
	case s.action != nil:
		bins = x.bins(tctx, done, s.measured)
	case s.measured > 0:
		x.wait(tctx, done, s.measured)
	default:
		<-done
	}
	if s.whole {
		<-done
	}
	over()
	sums := x.Recorder.Cut()
	inFlight := x.Recorder.Snapshot().InFlight
	pauses = x.Observer.Pauses().Since(pauses)
	pulled := brake.end()
	end := trialEnd{}
	if s.action != nil {
		w := x.figures(sums, bins, began)
		w.PauseP99Ms, w.PausedMs = paused(pauses, x.waitAllowed(sums))
		if errors.Is(context.Cause(tctx), errNext) {
			w.Ended, w.Skipped = errNext.Error(), true
		}
		end.trial = x.plan.Judge(x.found, *s.action, w)
		end.verdict, end.reasons = string(end.trial.Verdict.Outcome), end.trial.Verdict.Reasons
	} else {
		end = x.verdict(s, sums, pauses, began)
	}
	x.warnOfOtherWork(began)
	if cause := context.Cause(tctx); cause != nil && !end.trial.Window.Skipped {
		end.verdict, end.reasons = verdictInvalid, append(end.reasons, "ended early: "+cause.Error())
		if exit := (*Exit)(nil); errors.As(cause, &exit) {
			end.verdict = verdictFail // a service that dies under load has failed; the generator is not to blame
		}
	}
	if end.brake = pulled; pulled != nil {
		end.verdict, end.reasons = verdictFail, []string{pulled.Error()}
		end.trial.Verdict = search.Verdict{Outcome: search.Fail, Reasons: end.reasons}
	}
	x.remember(index, sums, end)
	x.event(record.EventTrialEnd, index, "", record.TrialEnd{Verdict: end.verdict, Reasons: end.reasons, ResolutionPercent: end.resolution()})
	if s.release != nil && ctx.Err() == nil {
		s.release(&trialRun{inFlight: inFlight, braked: pulled != nil, sums: sums, done: done, tally: func() drive.Tally { return tally }})
	} else {
		x.progress.enter("drain", "waiting for what is in flight", 0)
		x.Recorder.Enter(record.Mark{Trial: -1, Phase: "drain"})
	}
	<-done
	end.tally = tally
	if driveErr != nil && ctx.Err() == nil && tctx.Err() == nil {
		return sums, end, fmt.Errorf("%s, %s: %w", s.phase, describe(s), driveErr)
	}
	if ctx.Err() != nil {
		return sums, end, context.Cause(ctx)
	}
	return sums, end, nil
}

// resolution in percent of a trial of the search; nil of any other.
func (e trialEnd) resolution() *float64 {
	if e.trial.Verdict.Resolution <= 0 {
		return nil
	}
	return ref(100 * e.trial.Verdict.Resolution)
}

// remember keeps what the run's validity is made of. What a test with another setting came to spoils no figure of the target.
func (x *experiment) remember(index int, sums record.TrialSums, end trialEnd) {
	if x.altered {
		return
	}
	if sums.LagP99Ms != nil && (x.lagP99 == nil || *sums.LagP99Ms > *x.lagP99) {
		x.lagP99 = sums.LagP99Ms
	}
	if end.verdict == verdictInvalid {
		x.invalidTrials = append(x.invalidTrials, fmt.Sprintf("trial %d: %s", index+1, strings.Join(end.reasons, "; ")))
	}
}

// wait lets d pass; false when the load ended before.
func (x *experiment) wait(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
	case <-ctx.Done():
	}
	return false
}

// verdict judges a trial against the limits. Order matters: a trial that is not about the target is never blamed on it.
func (x *experiment) verdict(s trialSpec, sums record.TrialSums, pauses observe.Pauses, began time.Duration) trialEnd {
	if why := x.invalid(sums, pauses, began); why != "" {
		return trialEnd{verdict: verdictInvalid, reasons: []string{why}}
	}
	if sums.N == 0 {
		return trialEnd{verdict: verdictFail, reasons: []string{fmt.Sprintf("nothing completed in %.0f s", sums.Seconds)}}
	}
	limits := x.Limits
	if !hasLoadLevel(limits) {
		limits = append(limits[:len(limits):len(limits)], stability)
	}
	end := trialEnd{verdict: verdictPass}
	for _, l := range limits {
		if !l.LoadLevel() {
			continue
		}
		v, ok := sums.Value(l.Step, l.Metric, l.Quantile)
		if !ok {
			end.verdict, end.reasons = verdictFail, append(end.reasons, l.Expr+": no data")
			continue
		}
		if !l.Holds(v) {
			end.verdict, end.reasons = verdictFail, append(end.reasons, fmt.Sprintf("%s: %.4g %s", l.Expr, v, l.Unit))
		}
	}
	return end
}

// stability stands in when no limit was given: without one, capacity can only mean that (nearly) nothing fails.
var stability = scenarios.Limit{Expr: "errors<1%", Metric: "errors", Op: "<", Value: 1, Unit: "%"}

func hasLoadLevel(limits []scenarios.Limit) bool {
	for _, l := range limits {
		if l.LoadLevel() {
			return true
		}
	}
	return false
}

// invalid says why a trial's numbers would be about captest instead of the target; "" when they are about the target.
// Thresholds: measurement 3.4. Lag counts in open loads only; below 5 ms it is the timer's and the scheduler's noise on a shared machine.
func (x *experiment) invalid(sums record.TrialSums, pauses observe.Pauses, began time.Duration) string {
	if n := sums.Errors[record.ErrorLocal.String()]; n > 0 {
		return fmt.Sprintf("captest ran out of its own descriptors or ports (%d requests)", n)
	}
	if still := x.Observer.StoodStill(began.Nanoseconds()); still > search.StallSeconds*time.Second {
		return search.StoodStill(still.Seconds())
	}
	if sums.LagP99Ms != nil {
		p95, _ := sums.Value("", "p", 95)
		if allowed := max(5, 0.02*p95); *sums.LagP99Ms > allowed {
			return fmt.Sprintf("captest sent late: p99 of the schedule lag %.1f ms, allowed %.1f ms", *sums.LagP99Ms, allowed)
		}
	}
	if wait := sums.ConnWaitP99Ms; wait != nil {
		if allowed := x.waitAllowed(sums); *wait > allowed {
			return fmt.Sprintf("requests waited for a connection within captest: p99 %.1f ms, allowed %.1f ms", *wait, allowed)
		}
	}
	if cpu, ok := x.Observer.GeneratorCPU(began.Nanoseconds()); ok && cpu > generatorCPULimit*float64(x.progress.cores) {
		return fmt.Sprintf("captest itself used %.0f %% CPU of %d cores", cpu, x.progress.cores)
	}
	allowed := x.waitAllowed(sums)
	p99, inAll := paused(pauses, allowed)
	return search.Paused(p99, inAll, allowed, sums.Seconds)
}

// fewestPauses for a percentile of them: one or two in a trial are a moment of it, which moves no percentile of its requests.
const fewestPauses = 10

// paused gives the 99th percentile of the collector's pauses and the time spent in those that were longer than allowed, both in ms.
func paused(p observe.Pauses, allowedMs float64) (p99, inAll float64) {
	if p.N() < fewestPauses {
		return 0, 0
	}
	return p.P99Ms(), p.LongerMs(allowedMs)
}

// warnOfOtherWork tells the screen, once, that others keep the machine busy; the report has it of every trial.
func (x *experiment) warnOfOtherWork(began time.Duration) {
	share, ok := x.Observer.OtherWork(began.Seconds(), x.now().Seconds())
	if !ok || share <= record.OtherWorkLimit || x.disturbed {
		return
	}
	x.disturbed = true
	x.progress.warn(fmt.Sprintf("other work takes %.0f %% of the machine: figures are lower than it can do", share))
}

// waitAllowed is how long, in ms, the slowest hundredth of the requests may have waited for a connection (dial and TLS apart) for
// the trial's response times to be the target's and not those of a queue in captest: 2 % of the tightest limit on latency or,
// without one, of what was measured at p95, and at least 1 ms, which a shared machine's scheduler may take to hand over a new one.
func (x *experiment) waitAllowed(sums record.TrialSums) float64 {
	tightest := 0.0
	for _, l := range x.Limits {
		if l.Unit == "ms" && (l.Op == "<" || l.Op == "<=") && (tightest == 0 || l.Value < tightest) {
			tightest = l.Value
		}
	}
	if tightest == 0 {
		tightest, _ = sums.Value("", "p", 95)
	}
	return max(1, 0.02*tightest)
}

// generatorCPULimit is the share (in % of one core, times cores) above which a generator measures itself. Source: measurement 3.4.
const generatorCPULimit = 80

func describe(s trialSpec) string {
	if s.note != "" {
		return s.note
	}
	if s.mark.Users > 0 {
		if s.mark.Users == 1 {
			return "1 user"
		}
		return fmt.Sprintf("%d users", s.mark.Users)
	}
	return fmt.Sprintf("%.4g/s", s.mark.RatePerSecond)
}
