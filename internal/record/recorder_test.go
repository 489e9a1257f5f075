package record

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = int64(time.Millisecond)

// good makes a successful sample of step 0 that ran from start to end.
func good(start, end int64) Sample {
	return Sample{Intended: start, Started: start, Connected: start + 1, FirstByte: end - 1, Done: end, Status: 201, Flags: Reused}
}

func TestCountsAreExactUnderConcurrency(t *testing.T) {
	const workers, each = 32, 2000
	dir := t.TempDir()
	folder, err := Create(dir, "s", "t", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	clock := NewClock()
	rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"a", "b"}, Shards: 5})
	rec.Enter(Mark{Trial: 0, Phase: "fixed"})
	ctx, cancel := context.WithCancel(context.Background())
	var run, work sync.WaitGroup
	run.Go(func() { rec.Run(ctx) })
	for w := range workers {
		work.Go(func() {
			shard := rec.Shard(w)
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range each {
				start := clock.Now()
				shard.Begin(start)
				x := good(start, start+rng.Int64N(50*ms)+10)
				x.Step = uint16(i % 2)
				if i%10 == 0 {
					x.Error, x.Status = ErrorTimeout, 0
				}
				rec.Shard(w + i).Add(x) // another shard than Begin: the sum must not care
				if w == 0 && i%200 == 0 {
					rec.Cut()
				}
				if i%500 == 0 {
					rec.Shard(w).Add(Sample{Intended: start, Flags: Dropped, Error: ErrorDropped})
				}
			}
		})
	}
	work.Wait()
	sums := rec.Cut()
	cancel()
	run.Wait()
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}

	if sums.N != workers*each || sums.OK != workers*each*9/10 || sums.Dropped != workers*4 || sums.Started != workers*each {
		t.Errorf("Cut counts n=%d ok=%d dropped=%d started=%d", sums.N, sums.OK, sums.Dropped, sums.Started)
	}
	if got := sums.Errors["timeout"]; got != workers*each/10 {
		t.Errorf("Cut counts %d timeouts", got)
	}
	if got := sums.Steps["a"].N + sums.Steps["b"].N; got != workers*each || sums.Steps["a"].Response.N() != workers*each/2 {
		t.Errorf("steps hold %d requests, a's histogram %d", got, sums.Steps["a"].Response.N())
	}
	back, err := Read(folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var n, ok, dropped uint64
	for _, f := range back.Frames {
		dropped += f.Dropped
		for _, s := range f.Steps {
			n += s.N
			ok += s.OK
			h, err := Decode(s.Response)
			if err != nil || h.N() != s.N {
				t.Fatalf("a frame's histogram holds %d of %d: %v", h.N(), s.N, err)
			}
		}
	}
	if n != workers*each || ok != workers*each*9/10 || dropped != workers*4 {
		t.Errorf("frames on disk count n=%d ok=%d dropped=%d", n, ok, dropped)
	}
	snap := rec.Snapshot()
	if !snap.Done || snap.Total != workers*each || snap.InFlight != 0 {
		t.Errorf("last snapshot: done=%v total=%d in flight=%d", snap.Done, snap.Total, snap.InFlight)
	}
}

// Ten requests of known length overlap in a known way: the time average of the gauge is arithmetic.
func TestInFlightMeanIsTheExactIntegral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, err := Create(t.TempDir(), "s", "t", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		clock := NewClock()
		rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"a"}, Shards: 3})
		rec.Enter(Mark{Trial: 0})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { rec.Run(ctx) })
		// Request i runs from i·100 ms for (i+1)·170 ms, so that several straddle frame boundaries.
		var area time.Duration
		var work sync.WaitGroup
		for i := range 10 {
			length := time.Duration(i+1) * 170 * time.Millisecond
			area += length
			work.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				start := clock.Now()
				rec.Shard(i).Begin(start)
				time.Sleep(length)
				rec.Shard(i + 1).Add(good(start, clock.Now()))
			})
		}
		work.Wait()
		time.Sleep(400*time.Millisecond + 1) // past a tick: never at the same instant as one
		sums := rec.Cut()
		want := area.Seconds() / sums.Seconds
		if diff := sums.InFlightMean - want; diff > 1e-6 || diff < -1e-6 {
			t.Errorf("in-flight mean of the trial is %v, want %v", sums.InFlightMean, want)
		}
		cancel()
		wg.Wait()
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
		back, err := Read(folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		// First second: request i runs from 0.1·i until 0.1·i+0.17·(i+1) or 1 s.
		want = 0
		for i := range 10 {
			from, to := 0.1*float64(i), 0.1*float64(i)+0.17*float64(i+1)
			want += min(to, 1) - from
		}
		if got := back.Frames[0].InFlightMean; got < want-1e-6 || got > want+1e-6 || back.Frames[0].Seconds != 1 {
			t.Errorf("in-flight mean of the first second is %v over %v s, want %v", got, back.Frames[0].Seconds, want)
		}
	})
}

func TestEnterIsAClearBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, err := Create(t.TempDir(), "s", "t", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		clock := NewClock()
		rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"a"}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { rec.Run(ctx) })
		add := func(n int) {
			for i := range n {
				now := clock.Now()
				rec.Shard(i).Begin(now)
				rec.Shard(i).Add(good(now, now+5*ms))
			}
		}
		time.Sleep(300 * time.Millisecond)
		add(1)
		rec.Enter(Mark{Trial: 0, Phase: "ramp", Warmup: true, Load: Load{Users: 4}})
		time.Sleep(500 * time.Millisecond)
		add(2)
		if got := rec.Cut(); got.N != 0 || got.Seconds != 0 {
			t.Errorf("warm-up counts: n=%d over %v s", got.N, got.Seconds)
		}
		rec.Enter(Mark{Trial: 0, Phase: "ramp", Load: Load{Users: 4}})
		add(4)
		time.Sleep(1500 * time.Millisecond)
		add(8)
		if got := rec.Cut(); got.N != 12 || got.Seconds != 1.5 {
			t.Errorf("trial 0 counts %d over %v s, want 12 over 1.5", got.N, got.Seconds)
		}
		rec.Enter(Mark{Trial: 0, Phase: "hold", Load: Load{Users: 5}}) // a person changed the load: the trial goes on
		add(1)
		if got := rec.Cut(); got.N != 13 {
			t.Errorf("after a change within it trial 0 counts %d, want 13", got.N)
		}
		rec.Enter(Mark{Trial: 1, Phase: "level", Load: Load{RatePerSecond: 7}})
		add(16)
		if got := rec.Cut(); got.N != 16 {
			t.Errorf("trial 1 counts %d, want 16", got.N)
		}
		cancel()
		wg.Wait()
		rec.Enter(Mark{Trial: -1, Phase: "after"}) // after the end: still written
		add(32)
		time.Sleep(time.Millisecond)
		rec.Enter(Mark{Trial: -1, Phase: "later"})
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
		back, err := Read(folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		var length, end float64
		for _, f := range back.Frames {
			key := f.Phase
			if f.Warmup {
				key += " warm-up"
			}
			if s := f.Steps["a"]; s != nil {
				got[key] += s.N
			}
			if f.OffsetS < end-1e-9 {
				t.Errorf("frame at %v begins before the last one ended at %v", f.OffsetS, end)
			}
			end = f.OffsetS + f.Seconds
			length += f.Seconds
		}
		want := map[string]uint64{"": 1, "ramp warm-up": 2, "ramp": 12, "hold": 1, "level": 16, "after": 32}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests by mark (-want +got):\n%s", diff)
		}
		if diff := length - end; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("frames cover %v of %v s", length, end)
		}
	})
}
