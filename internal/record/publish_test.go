package record

import (
	"bufio"
	"context"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSnapshotOfEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		rec := NewRecorder(RecorderConfig{Clock: clock, Steps: []string{"a", "b"}, Shards: 2})
		if s := rec.Snapshot(); s == nil || s.Trial != -1 {
			t.Fatalf("before the run the snapshot is %+v", s)
		}
		rec.Decorate(func(s *Snapshot) { s.Scenario = "registration" })
		rec.Decorate(func(s *Snapshot) { s.Gauges = append(s.Gauges, Gauge{Name: "x"}) })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { rec.Run(ctx) })
		rec.Enter(Mark{Trial: 0, Phase: "level", Load: Load{Users: 2}})
		synctest.Wait()
		if s := rec.Snapshot(); s.Phase != "level" || s.Scenario != "registration" || len(s.Gauges) != 1 {
			t.Errorf("a new phase is not shown at once: %+v", s)
		}
		// History is nearly full of older seconds.
		for range historyTicks - 10 {
			rec.history = append(rec.history, Tick{Goodput: 3, Errors: 2, Phase: "level"})
		}
		// 20 one-second rounds: 3 good and 1 failed request of 20 ms each, one dropped arrival.
		for i := range 20 {
			time.Sleep(500 * time.Millisecond)
			now := clock.Now()
			for j := range 4 {
				shard := rec.Shard(j)
				shard.Begin(now)
				x := good(now, now+20*ms)
				if j == 3 {
					x.Error, x.Step = ErrorReset, 1
				}
				shard.Add(x)
			}
			rec.Shard(0).Add(Sample{Intended: now, Flags: Dropped})
			if i == 15 {
				rec.Enter(Mark{Trial: 1, Phase: "overload"}) // in the middle of a second: rates must not notice
			}
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		s := rec.Snapshot()
		if s.OfferedPerSecond != 5 || s.GoodputPerSecond != 3 || s.ErrorsPerSecond != 2 {
			t.Errorf("rates are %v, %v, %v, want 5, 3, 2", s.OfferedPerSecond, s.GoodputPerSecond, s.ErrorsPerSecond)
		}
		if s.Total != 4*20 || s.TotalOK != 3*20 || s.TotalErrors != 20 || s.Dropped != 20 {
			t.Errorf("totals are %d, %d, %d, %d", s.Total, s.TotalOK, s.TotalErrors, s.Dropped)
		}
		if s.Latency.N != 4 || s.Latency.P95Ms < 19.9 || s.Latency.P95Ms > 20.1 {
			t.Errorf("latency is %+v", s.Latency)
		}
		if s.TrialLatency.N != 4*4 || len(s.Steps) != 2 || s.Steps[1].N != 4 || s.Steps[1].OK != 0 {
			t.Errorf("trial 1 holds %d requests, steps %+v", s.TrialLatency.N, s.Steps)
		}
		if len(s.Errors) != 1 || s.Errors[0] != (Count{"reset", 20}) {
			t.Errorf("errors are %v", s.Errors)
		}
		if len(s.History) != historyTicks || s.History[0].Phase != "level" || s.History[historyTicks-1].Phase != "overload" {
			t.Errorf("%d seconds of history, first %+v", len(s.History), s.History[0])
		}
		for i, tick := range s.History {
			if tick.Goodput != 3 || tick.Errors != 2 {
				t.Fatalf("history[%d] is %+v", i, tick)
			}
		}
		before := s.History[0]
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.History[0] != before {
			t.Error("a published snapshot changed")
		}
		if now := rec.Snapshot(); now.Latency != s.Latency || now.GoodputPerSecond != 0 {
			t.Errorf("after two idle seconds: latency %+v, goodput %v", now.Latency, now.GoodputPerSecond)
		}
		cancel()
		wg.Wait()
		if !rec.Snapshot().Done {
			t.Error("the last snapshot is not the last")
		}
	})
}

// A disk that takes nothing, here a full pipe, must not hold up workers, Enter or Cut; and nothing may be lost.
func TestAStuckDiskDelaysNobody(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	folder := &Folder{dir: "pipe", frames: &appender{file: in}}
	clock := NewClock()
	rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"a"}})
	filled := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // more than a pipe holds: the write blocks with the file's lock held
		folder.frames.mu.Lock()
		defer folder.frames.mu.Unlock()
		close(filled)
		if _, err := in.Write(make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
	})
	<-filled
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { rec.Run(ctx) })
	const trials, each = 20, 500
	for trial := range trials {
		rec.Enter(Mark{Trial: trial})
		for i := range each {
			now := clock.Now()
			rec.Shard(i).Begin(now)
			rec.Shard(i).Add(good(now, now+ms))
		}
		if got := rec.Cut().N; got != each {
			t.Errorf("trial %d counts %d", trial, got)
		}
	}
	cancel()

	var n uint64
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			line := lines.Bytes()
			for len(line) > 0 && line[0] == 0 {
				line = line[1:]
			}
			var f Frame
			if err := checkLine(line); err != nil {
				t.Error(err)
			} else if err := decodeAs(kindFrame, kindFrame, line, &f); err != nil {
				t.Error(err)
			} else if s := f.Steps["a"]; s != nil {
				n += s.N
			}
		}
	}()
	wg.Wait()
	in.Close()
	<-read
	if n != trials*each {
		t.Errorf("%d of %d requests reached the disk", n, trials*each)
	}
}

func TestWriteErrorsReachTheScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := newFolder(t)
		rec := NewRecorder(RecorderConfig{Folder: folder, Steps: []string{"a"}})
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { rec.Run(ctx) })
		time.Sleep(2500 * time.Millisecond)
		if s := rec.Snapshot(); len(s.Warnings) != 1 {
			t.Errorf("warnings are %q", s.Warnings)
		}
		cancel()
		wg.Wait()
	})
}
