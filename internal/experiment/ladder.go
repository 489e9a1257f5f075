package experiment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/schedule"
)

// rungs of the ladders, in percent of capacity (measurement 4.2).
var rungs = []float64{25, 50, 75, 90}

// reversed is the way down.
func reversed(order []float64) []float64 {
	out := slices.Clone(order)
	slices.Reverse(out)
	return out
}

// ladder holds each rung for a while, with the functional probes beside it, and keeps what each second showed.
func (t *recoveryTest) ladder(ctx context.Context, phase string, order []float64, to *[]Rung) error {
	t.loadS = t.now().Seconds()
	for _, percent := range order {
		rate := percent / 100 * t.capacity
		whole := rungWarm + t.pace.rung
		var rung Rung
		w := t.watch(ctx)
		from := t.now().Seconds() + rungWarm.Seconds()
		w.functional(t.probeTimeout(t.bases))
		_, end, err := t.trial(ctx, trialSpec{
			phase: phase, warm: rungWarm, measured: t.pace.rung,
			load: arrivals(uint64(percent), schedule.Stage{From: rate, To: rate, For: whole}),
			mark: record.Load{RatePerSecond: rate, Arrivals: string(schedule.Slotted)},
			note: fmt.Sprintf("%.0f %% of capacity, %.3g/s", percent, rate),
			release: func(*trialRun) {
				rung = t.rung(percent, rate, phase)
				t.phase("drain", "waiting for what is in flight", 0)
			},
		})
		w.close()
		t.endS = t.now().Seconds()
		if err != nil {
			return err
		}
		if end.brake != nil {
			return end.brake
		}
		if end.verdict == verdictInvalid {
			t.leaveOpen(fmt.Sprintf("%s at %.0f %% of capacity", phase, percent), strings.Join(end.reasons, "; "))
			continue
		}
		*to = append(*to, rung)
		if phase == "rungs-up" {
			probes, _ := w.seen()
			t.quiet[percent] = basesOf(probes, from)
		}
	}
	return nil
}

// rung reads the last seconds of the recorder's history, the warm-up and the second in progress left out.
func (t *recoveryTest) rung(percent, rate float64, phase string) Rung {
	r := Rung{Percent: percent, OfferedPerSecond: rate}
	history := t.Recorder.Snapshot().History
	for _, tick := range history[max(0, len(history)-int(t.pace.rung/time.Second)+1):] {
		if tick.Phase != phase {
			continue
		}
		r.PerSecond = append(r.PerSecond, tick.Goodput)
		if tick.P50Ms > 0 {
			r.MedianMs = append(r.MedianMs, tick.P50Ms)
		}
	}
	return r
}

// basesOf is the yardstick that probes give which were sent beside a load.
func basesOf(probes []record.Probe, from float64) map[string]Quiet {
	ms := map[string][]float64{}
	for _, p := range probes {
		if p.Probe == "functional" && p.OK && p.OffsetS >= from {
			ms[p.Step] = append(ms[p.Step], p.Ms)
		}
	}
	out := map[string]Quiet{}
	for step, of := range ms {
		if len(of) >= minProbes {
			out[step] = quiet(of)
		}
	}
	return out
}

// background triggers again and lets go to a share of capacity instead of to nothing. A target that recovers only once that is
// gone too is METASTABLE: the load itself sustains the failure. Largest share that recovers: the recoverable fraction
// (measurement 4.2). on is false when nothing more may be asked of the target.
func (t *recoveryTest) background(ctx context.Context) (on bool, err error) {
	share := t.pace.background
	low, high := 0.0, 1.0
	asked := 1
	if t.pace.bisect {
		asked = 2
	}
	var known record.Bounds
	for range asked {
		base := t.quiet[100*share]
		if len(base) != len(t.bases) {
			t.leaveOpen("recovery under load", fmt.Sprintf("too few probes succeeded beside %.0f %% of capacity before the overload", 100*share))
			return true, nil
		}
		class, err := t.triggerAt(ctx, share, base)
		if err != nil {
			return false, err
		}
		if t.triggers[len(t.triggers)-1].BackgroundPercent == nil {
			t.leaveOpen("recovery under load", "the brake ended that load too")
			return carriesOn(class), nil
		}
		switch class {
		case record.SelfHealing, record.Slow, record.Degraded:
			low, known.Confirmed = share, ref(100*share)
		case record.Metastable:
			high, known.Refuted = share, ref(100*share)
		default:
			return false, nil
		}
		t.verdict.RecoverablePercent = &known
		share = (low + high) / 2
	}
	return true, nil
}

// triggerAt overloads with 1.5 times the capacity and keeps up a share of it; when that does not recover, it lets go of it too.
func (t *recoveryTest) triggerAt(ctx context.Context, share float64, base map[string]Quiet) (class string, err error) {
	kept := share * t.capacity
	over := 1.5 * t.capacity
	x := record.Trigger{Clients: Patient, BackgroundPercent: ref(100 * share)}
	err = t.pull(ctx, trialSpec{
		phase: "overload", measured: t.pace.patient,
		pause: &drive.Throttle{}, overloads: true, roundS: 0.5 * t.pace.patient.Seconds(), // what it leaves waiting takes so long at capacity

		load: arrivals(1, schedule.Stage{From: over, To: over, For: t.pace.patient}, schedule.Stage{From: kept, To: kept, For: longestWatch}),
		mark: record.Load{RatePerSecond: over, Arrivals: string(schedule.Slotted)},
		note: fmt.Sprintf("%.3g/s, then %.3g/s kept up", over, kept),
	}, x, base)
	if err != nil {
		return "", err
	}
	last := &t.triggers[len(t.triggers)-1]
	if last.Class != record.Stuck || last.BackgroundPercent == nil {
		return last.Class, nil
	}
	w := t.watch(ctx)
	defer w.close()
	nothing := make(chan struct{})
	close(nothing)
	alone := t.aftermath(ctx, w, idle(nothing), record.Trigger{}, t.bases)
	if carriesOn(alone.Class) && alone.Class != record.Degraded {
		last.Class, last.SubClass = record.Metastable, ""
		last.Summary = fmt.Sprintf("under %.0f %% of capacity it still failed %.0f s after the trigger, and came back only when that load was gone too: the load sustains the failure", 100*share, last.WatchedSeconds)
		return record.Metastable, nil
	}
	alone.Clients, alone.BackgroundPercent = Patient, ref(0.0)
	t.triggers = append(t.triggers, alone)
	return alone.Class, nil
}
