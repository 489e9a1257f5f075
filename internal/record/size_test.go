package record

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A frame's size follows the spread of its latencies, not the number of its requests: a day at full rate stays affordable.
func TestFrameSizeIsBounded(t *testing.T) {
	for _, c := range []struct {
		perSecond int
		most      int64 // bytes
	}{{10, 1500}, {200, 4000}, {5000, 12_000}} {
		synctest.Test(t, func(t *testing.T) {
			folder := newFolder(t)
			clock := NewClock()
			rec := NewRecorder(RecorderConfig{Clock: clock, Folder: folder, Steps: []string{"register"}, Shards: 2})
			rng := rand.New(rand.NewPCG(1, 2))
			const frames = 5
			for i := range frames {
				rec.Enter(Mark{Trial: 0, Phase: "level", Load: Load{RatePerSecond: float64(c.perSecond)}})
				for range c.perSecond {
					now := clock.Now()
					rec.Shard(0).Begin(now)
					x := good(now, now+int64(200e6*math.Exp(0.3*rng.NormFloat64()))) // the Kill Bill stand-in's service time
					x.Intended -= rng.Int64N(2 * ms)
					x.FirstByte = x.Done - 40_000
					rec.Shard(0).Add(x)
					rec.Shard(0).Lag(now - x.Intended)
				}
				time.Sleep(time.Second)
				if i == frames-1 {
					rec.Enter(Mark{Trial: -1})
				}
			}
			rec.write()
			if err := folder.Close(); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(folder.Dir(), FramesFile))
			if err != nil {
				t.Fatal(err)
			}
			size := info.Size() / frames
			t.Logf("%d requests a second: %d bytes a frame", c.perSecond, size)
			if size > c.most {
				t.Errorf("%d requests a second make %d bytes a frame, want at most %d", c.perSecond, size, c.most)
			}
		})
	}
}

func BenchmarkTick(b *testing.B) {
	rec := NewRecorder(RecorderConfig{Steps: []string{"a", "b", "c"}, Shards: 8})
	rec.Enter(Mark{Trial: 0})
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range 1000 {
			now := rec.clock.Now()
			rec.Shard(i).Begin(now)
			x := good(now, now+int64(100e6*rng.ExpFloat64()))
			x.Step = uint16(i % 3)
			rec.Shard(i).Add(x)
		}
		b.StartTimer()
		rec.tick(false)
	}
}
