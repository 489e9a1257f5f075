package record

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAddAllocatesNothing(t *testing.T) {
	rec := NewRecorder(RecorderConfig{Steps: []string{"a"}, Shards: 1})
	shard := rec.Shard(0)
	i := int64(0)
	one := func() {
		i++
		now := i * ms
		shard.Begin(now)
		x := good(now, now+1+i%1000*ms)
		x.Dial, x.Flags = 50_000, NewConn
		shard.Add(x)
		shard.Lag(i % 1000 * 1000)
	}
	for range 2000 { // the range of latencies is seen, in both bins
		one()
	}
	rec.Cut()
	for range 2000 {
		one()
	}
	if got := testing.AllocsPerRun(2000, one); got != 0 {
		t.Errorf("recording one request allocates %v times", got)
	}
}

func TestOddTimesAreClampedAndCounted(t *testing.T) {
	clock := NewClock()
	rec := NewRecorder(RecorderConfig{Clock: clock, Steps: []string{"a"}, Shards: 1})
	rec.Enter(Mark{Trial: 0})
	shard := rec.Shard(0)
	now := clock.Now()
	for _, x := range []Sample{
		{Intended: now + 5*ms, Started: now + 5*ms, Done: now}, // backwards
		{Intended: now, Started: now},                          // never ended
		{Intended: math.MinInt64 / 2, Started: now, Done: now}, // wildly early
		{Intended: now, Started: now, Done: math.MaxInt64 / 2}, // wildly late
		{Intended: now, Started: now, Done: now + ms, Step: 77, Status: 9999, Error: 200},
	} {
		shard.Begin(now)
		shard.Add(x)
	}
	shard.Lag(-5)
	sums := rec.Cut()
	if sums.N != 5 || sums.OK != 4 {
		t.Errorf("n=%d ok=%d, want 5 and 4", sums.N, sums.OK)
	}
	if got := sums.Steps[unknownStep]; got.N != 1 || got.Errors["other"] != 1 {
		t.Errorf("a sample of step 77 with error 200 is %+v", got)
	}
	if rec.frame.clamped == 0 {
		t.Error("nothing was counted as clamped")
	}
	if max := *sums.Latency.MaxMs; max > 601_000 {
		t.Errorf("a wild time counts as %v ms", max)
	}
	if got := sums.InFlightMean; math.IsNaN(got) || got < 0 {
		t.Errorf("in-flight mean is %v", got)
	}
}

func TestWhatAFrameCounts(t *testing.T) {
	clock := NewClock()
	rec := NewRecorder(RecorderConfig{Clock: clock, Steps: []string{"a", "b"}, Shards: 2})
	rec.folder = &Folder{} // only so that frames are queued
	rec.Enter(Mark{Trial: 2, Phase: "level", Load: Load{Users: 3}})
	rec.queue = nil
	for range 3 {
		rec.Opened()
	}
	rec.Closed()
	s := rec.Shard(0)
	s.Begin(100)
	s.Add(Sample{Intended: 50, Started: 100, Connected: 300, FirstByte: 700, Done: 1100, Dial: 150, TLS: 20, BytesIn: 9, Status: 201, Flags: NewConn})
	s.Begin(100)
	s.Add(Sample{Intended: 100, Started: 100, Done: 2000, Step: 1, Error: ErrorRefused})
	s.Begin(100)
	s.Add(Sample{Intended: 100, Started: 100, Connected: 101, Done: 2000, Step: 1, Error: ErrorTimeout, Flags: Reused | TimedOut})
	s.Add(Sample{Intended: 100, Flags: Dropped, Error: ErrorDropped})
	s.Begin(100) // still in flight
	time.Sleep(time.Millisecond)
	rec.Enter(Mark{Trial: -1})

	f := rec.queue[0]
	steps := map[string]StepFrame{}
	for name, x := range f.Steps {
		y := *x
		y.Response, y.Service = "", ""
		steps[name] = y
	}
	want := map[string]StepFrame{
		"a": {N: 1, OK: 1, Status: map[string]uint64{"201": 1}, BytesIn: 9},
		"b": {N: 2, Errors: map[string]uint64{"refused": 1, "timeout": 1}},
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	c := f.Connections
	if c.Opened != 3 || c.Closed != 1 || c.Open != 2 || c.Peak != 3 || c.Reused != 1 || c.Errors["refused"] != 1 || len(c.Errors) != 1 {
		t.Errorf("connections are %+v", c)
	}
	for name, x := range map[string]struct {
		text string
		n    uint64
	}{"dial": {c.Dial, 1}, "tls": {c.TLS, 1}, "wait": {c.Wait, 2}, "first byte": {c.FirstByte, 1}} {
		if h, err := Decode(x.text); err != nil || h.N() != x.n {
			t.Errorf("%s holds %d values (%v), want %d", name, h.N(), err, x.n)
		}
	}
	if f.Trial != 2 || f.Phase != "level" || f.Users != 3 || f.InFlight != 1 || f.Dropped != 1 || f.Started != 4 {
		t.Errorf("the frame is %+v", f)
	}
}

func BenchmarkShardAdd(b *testing.B) {
	rec := NewRecorder(RecorderConfig{Steps: []string{"a"}, Shards: 1})
	shard := rec.Shard(0)
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		i++
		now := i * 1000
		shard.Begin(now)
		shard.Add(good(now, now+i%100*ms))
	}
}
