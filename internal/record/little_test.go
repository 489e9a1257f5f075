package record

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// littleRun is a trial of two seconds that drains in the third.
func littleRun(t *testing.T, change func(frames []Frame)) *Result {
	load := Load{Users: 10}
	frames := []Frame{
		{OffsetS: 0, Seconds: 1, Trial: -1},
		frameOf(1, 0, true, load, 100, 0, 100), frameOf(2, 0, false, load, 100, 0, 100),
		{OffsetS: 3, Seconds: 1, Trial: -1, Phase: "drain"},
	}
	change(frames)
	return Summarise(&Run{Frames: frames, Events: []Event{
		event(t, 3, EventTrialEnd, 0, TrialEnd{Verdict: "pass"}), event(t, 3, EventValidity, -1, Validity{Valid: true}),
		event(t, 4, EventEnd, -1, map[string]string{"reason": "done"}),
	}})
}

func TestLittlesLaw(t *testing.T) {
	for name, x := range map[string]struct {
		change func([]Frame)
		fault  bool
		warned bool
	}{
		"sound":             {func([]Frame) {}, false, false},
		"requests lost":     {func(f []Frame) { f[2].InFlightMean = 30 }, true, false},
		"counted twice":     {func(f []Frame) { f[2].InFlightMean = 3 }, true, false},
		"within a tenth":    {func(f []Frame) { f[2].InFlightMean = 11 }, false, false},
		"a window too long": {func(f []Frame) { f[2].Seconds = 2 }, true, false},
		// The target hung: 20 requests of the load were answered a second after it, and were in flight all the time.
		"a target that hung": {func(f []Frame) {
			f[2].InFlightMean, f[2].InFlight = 10+20*0.9, 20
			f[3] = frameOf(3, -1, false, Load{}, 20, 0, 1800)
			f[3].InFlightMean = 20 * 0.9
		}, false, false},
		"counted wrongly, and drained": {func(f []Frame) {
			f[2].InFlightMean, f[2].InFlight = 30, 5
			f[3] = frameOf(3, -1, false, Load{}, 5, 0, 100)
		}, true, false},
		"never at rest":     {func(f []Frame) { f[0].InFlight, f[2].InFlightMean = 3, 30 }, false, false},
		"never seen to end": {func(f []Frame) { f[2].InFlightMean, f[2].InFlight, f[3].InFlight = 30, 20, 20 }, false, true},
		"few requests": {func(f []Frame) {
			f[1], f[2] = frameOf(1, 0, true, Load{Users: 1}, 10, 0, 100), frameOf(2, 0, false, Load{Users: 1}, 20, 0, 100)
			f[2].InFlightMean = 2.5 // 17 % off, of 30 requests
		}, false, false},
		"too few requests": {func(f []Frame) {
			f[1], f[2] = frameOf(1, 0, true, Load{Users: 1}, 5, 0, 100), frameOf(2, 0, false, Load{Users: 1}, 5, 0, 100)
			f[2].InFlightMean = 9
		}, false, false},
	} {
		r := littleRun(t, x.change)
		reasons := strings.Join(r.Validity.Reasons, "\n") + strings.Join(r.Trials[0].Reasons, "\n")
		if fault := strings.Count(reasons, "Little") == 2; fault != x.fault || r.Validity.Valid == x.fault || (r.Trials[0].Verdict == "invalid") != x.fault {
			t.Errorf("%s: valid %v, trial %s, reasons %q", name, r.Validity.Valid, r.Trials[0].Verdict, reasons)
		}
		if warned := strings.Contains(strings.Join(r.Warnings, "\n"), "never seen to end"); warned != x.warned {
			t.Errorf("%s: warnings %q", name, r.Warnings)
		}
	}
}

func TestLittlesLawIsNotForVegeta(t *testing.T) {
	load := Load{Users: 10}
	frames := []Frame{frameOf(0, 0, false, load, 100, 0, 100), {OffsetS: 1, Seconds: 1, Trial: -1}}
	frames[0].InFlightMean = 5
	for engine, fault := range map[string]bool{"native": true, "net/http": true, "vegeta": false} {
		r := Summarise(&Run{Info: RunInfo{Engine: engine}, Frames: frames, Events: []Event{event(t, 1, EventValidity, -1, Validity{Valid: true})}})
		if r.Validity.Valid == fault {
			t.Errorf("%s: %q", engine, r.Validity.Reasons)
		}
	}
}

// Requests of wildly different lengths, some of them hung until long after the load, recorded as they happen: the law holds, for few
// of them and for many.
func TestLittlesLawHoldsOfWhatIsRecorded(t *testing.T) {
	for _, users := range []int{1, 3, 40} {
		synctest.Test(t, func(t *testing.T) {
			folder := newFolder(t)
			clock := NewClock()
			rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"a"}})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { rec.Run(ctx) })
			for trial := range 3 {
				rec.Enter(Mark{Trial: trial, Phase: "level", Warmup: true, Load: Load{Users: users}})
				var load sync.WaitGroup
				until := clock.Now() + int64(6*time.Second)
				for u := range users {
					load.Go(func() {
						rng := rand.New(rand.NewPCG(uint64(trial), uint64(u)))
						for clock.Now() < until {
							began := clock.Now()
							rec.Shard(u).Begin(began)
							length := time.Duration(rng.ExpFloat64() * float64(200*time.Millisecond))
							if rng.IntN(20) == 0 {
								length = 9 * time.Second
							}
							time.Sleep(length)
							rec.Shard(u).Add(good(began, clock.Now()))
						}
					})
				}
				time.Sleep(1300 * time.Millisecond)
				rec.Enter(Mark{Trial: trial, Phase: "level", Load: Load{Users: users}})
				time.Sleep(4700 * time.Millisecond)
				rec.Enter(Mark{Trial: -1, Phase: "drain"})
				load.Wait()
				time.Sleep(time.Second)
			}
			cancel()
			wg.Wait()
			folder.Event(event(t, 60, EventValidity, -1, Validity{Valid: true}))
			folder.Event(event(t, 60, EventEnd, -1, map[string]string{"reason": "done"}))
			if err := folder.Close(); err != nil {
				t.Fatal(err)
			}
			run, err := Read(folder.Dir())
			if err != nil {
				t.Fatal(err)
			}
			r := Summarise(run)
			if !r.Validity.Valid || strings.Contains(strings.Join(r.Warnings, "\n"), "never seen to end") {
				t.Errorf("%d users: %q %q", users, r.Validity.Reasons, r.Warnings)
			}
			if n := len(r.Trials); n != 3 || r.Trials[0].N < uint64(4*users) {
				t.Errorf("%d users: %d trials, %+v", users, n, r.Trials)
			}
		})
	}
}
