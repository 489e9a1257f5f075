package experiment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// overloadAndRecover pushes the target past its knee with patient clients, lets go, and watches whether it comes back.
func (x *experiment) overloadAndRecover(ctx context.Context) error {
	users := search.OverloadUsers(x.found, x.Target.OverloadUsers)
	before := x.mustReturn()
	w := x.watch(ctx)
	defer w.close()
	var verdict record.Recovery
	_, _, err := x.trial(ctx, trialSpec{
		phase: "overload", measured: x.pace.overload,
		load: drive.Load{Users: users, For: x.pace.overload},
		mark: record.Load{Users: users},
		release: func(t *trialRun) {
			verdict = x.recover(ctx, w, t)
		},
	})
	if err != nil {
		return err
	}
	verdict.Leaks = x.leaks(before)
	if verdict.Class == record.Stuck && x.Restart != nil {
		w.close() // a service that is just coming up again must not be probed into the ground
		x.restartCure(ctx, &verdict)
	}
	x.event(record.EventRecovery, -1, verdict.Summary, verdict)
	return context.Cause(ctx)
}

// watchOnly waits without load for a target that the search itself wounded: it may come back by itself.
func (x *experiment) watchOnly(ctx context.Context, why string) error {
	x.warn("%s (%s)", why, x.Target.Name)
	w := x.watch(ctx)
	defer w.close()
	nothing := make(chan struct{})
	close(nothing)
	verdict := x.recover(ctx, w, &trialRun{done: nothing})
	x.event(record.EventRecovery, -1, verdict.Summary, verdict)
	return context.Cause(ctx)
}

// recover watches until the verdict is settled. It runs while the last answers are still coming in: patient clients wait for theirs.
func (x *experiment) recover(ctx context.Context, w *watch, t *trialRun) record.Recovery {
	released := x.now().Seconds()
	x.phase("release", "load off, waiting for what is in flight", 0)
	expected := 0.0
	if best := x.best(); best > 0 {
		expected = float64(t.inFlight) / best
	}
	w.functional(clamp(time.Duration(20*x.base.MedianMs)*time.Millisecond, 2*time.Second, x.longest()))
	a := Aftermath{
		Base: x.base, ReleasedS: released, ExpectedDrain: expected, WindowS: x.window(), RelapseS: x.pace.relapse.Seconds(),
		MaxS: max(x.pace.watch.Seconds(), 5*expected),
	}
	x.progress.enter("release", fmt.Sprintf("load off, %d in flight", t.inFlight), seconds(expected))
	drained := t.done
	for {
		select {
		case <-ctx.Done():
			return a.Classify()
		case <-drained:
			drained = nil
			x.phase("recovery", "probing an idle target", x.pace.window+x.pace.relapse)
		case <-time.After(250 * time.Millisecond):
		}
		a.NowS, a.Probes = x.now().Seconds(), w.seen()
		if v := a.judge(); v.settled {
			return a.Classify()
		}
	}
}

// window grows with the probes' interval, so that it always holds enough of them.
func (x *experiment) window() float64 {
	return max(x.pace.window.Seconds(), (minProbes+1)*probeInterval(x.base).Seconds()/2)
}

// best goodput of any level, per second.
func (x *experiment) best() float64 {
	return search.Best(x.found) * x.perJourney()
}

// mustReturn reads the gauges that must be back where they were once nothing is in flight (measurement 4.5). Descriptors,
// goroutines and memory are not among them here: idle pools keep theirs for 30–90 s, longer than this watch.
func (x *experiment) mustReturn() map[[2]string]float64 {
	out := map[[2]string]float64{}
	for _, s := range x.Target.Services {
		scrape, ok := x.Observer.Latest(s.Name)
		if !ok {
			continue
		}
		for name, v := range scrape.Values {
			if returning(name) {
				out[[2]string{s.Name, name}] = v
			}
		}
	}
	return out
}

// leaks compares those gauges with their value before the overload. The probes in flight and the scrape itself are allowed for.
func (x *experiment) leaks(before map[[2]string]float64) []record.Leak {
	const allowed = 3
	found := []record.Leak{}
	for _, s := range x.Target.Services {
		scrape, ok := x.Observer.Latest(s.Name)
		if !ok {
			continue
		}
		for _, name := range sortedKeys(scrape.Values) {
			was, known := before[[2]string{s.Name, name}]
			if known && scrape.Values[name] > was+allowed {
				found = append(found, record.Leak{What: name, Where: s.Name, Before: was, After: scrape.Values[name]})
			}
		}
	}
	return found
}

// restartCure proves that a stuck target needs a restart: first the entry alone, then everything, innermost service first.
func (x *experiment) restartCure(ctx context.Context, r *record.Recovery) {
	var all []string
	for _, s := range slices.Backward(x.Target.Services) { // files and stacks name the entry first
		all = append(all, s.Name)
	}
	for _, names := range [][]string{{x.Target.Entry}, all} {
		what := strings.Join(names, ", ")
		x.phase("restart", "restarting "+what, 10*time.Second)
		for _, name := range names {
			if err := x.Restart(ctx, name); err != nil {
				text, _, _ := strings.Cut(err.Error(), "; the last lines")
				x.warn("restarting %s: %s", name, text)
			}
		}
		if x.works(ctx) {
			r.Class = record.StuckRestart
			r.Summary += "; restarting " + what + " cured it"
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
	r.Summary += "; restarting every service did not cure it"
}

// works sends a few functional probes that must all succeed.
func (x *experiment) works(ctx context.Context) bool {
	for range minProbes {
		if !x.probe(ctx, "functional", "fresh", 5*time.Second).OK {
			return false
		}
	}
	return true
}

// recordCrash says what the run was ended by.
func (x *experiment) recordCrash(e *Exit) {
	x.warn("%s", e.Error())
	x.event(record.EventRecovery, -1, e.Error(), record.Recovery{
		Class: record.Crashed, SubClass: "", Leaks: []record.Leak{},
		Summary: fmt.Sprintf("%s (%s) during phase %q, %.0f s into the run; nothing restarted it", e.Service+" service exited", e.Detail, x.progress.current(), x.now().Seconds()),
	})
}
