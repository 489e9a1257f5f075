package record

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What shards are told of connections is in run.json as it was told, whichever shard and whichever frame had it.
func TestStretchesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := newFolder(t)
		rec := NewRecorder(RecorderConfig{Clock: NewClock(), Folder: folder, Steps: []string{"a"}, Shards: 2})
		rec.Enter(Mark{Trial: 0, Load: Load{RatePerSecond: 10}})
		tcp := TCPInfo{Known: true, RTTUs: 2000, RTTVarUs: 500, Retransmits: 2, Lost: 1}
		rec.Shard(0).Stretch(Stretch{BytesIn: 100, BytesOut: 10, TCP: tcp})
		rec.Shard(0).Late()
		time.Sleep(time.Second)
		rec.Enter(Mark{Trial: 0, Load: Load{RatePerSecond: 10}})
		rec.Shard(1).Stretch(Stretch{BytesIn: 5, BytesOut: 1, TCP: tcp, Closed: ByTarget, Requests: 7})
		rec.Shard(0).Stretch(Stretch{BytesIn: 1, TCP: TCPInfo{Known: true}, Closed: ByReset, Requests: 1}) // never measured a round trip
		rec.Shard(0).Stretch(Stretch{Closed: ByTargetIdle, Requests: 2})                                   // nothing is known of TCP
		rec.Shard(0).Stretch(Stretch{Closed: ByCaptest, Requests: 0})
		time.Sleep(time.Second)
		if got := rec.Cut().Late; got != 1 {
			t.Errorf("%d late in the trial so far", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rec.Run(ctx)
		if err := folder.Close(); err != nil {
			t.Fatal(err)
		}
		run, err := Read(folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		r := Summarise(run)
		c := r.Connections.Client
		if !cmp.Equal(c.ClosedBy, map[string]uint64{"target": 1, "reset": 1, "target_idle": 1, "captest": 1}) {
			t.Errorf("closed by %v", c.ClosedBy)
		}
		if p := c.RequestsPerConnection; *p.Mean != 2.5 || *p.P50 != 1 || *p.Max != 7 {
			t.Errorf("requests per connection: mean %v, p50 %v, max %v", *p.Mean, *p.P50, *p.Max)
		}
		if *c.BytesIn != 106 || *c.BytesOut != 11 {
			t.Errorf("%d bytes in, %d out", *c.BytesIn, *c.BytesOut)
		}
		if x := c.TCP; x.Samples != 3 || x.Retransmits != 4 || x.Lost != 2 || *x.RTTMs.P50 != 2 || *x.RTTMs.Mean != 2 || *x.RTTVarianceMs.Max != 0.5 {
			t.Errorf("TCP %+v", *x)
		}
		if late := r.Trials[0].Late; late == nil || *late != 1 || run.Sums(0).Late != 1 {
			t.Errorf("late %v, in the sums %d", late, run.Sums(0).Late)
		}
	})
}

// A folder from before connections were told of says nothing of them, rather than that there was nothing.
func TestAnOldFolderKnowsNothingOfConnections(t *testing.T) {
	var f Frame
	old := `{"offset_s":0,"seconds":1,"trial":0,"rate_per_second":5,"in_flight":0,"in_flight_mean":1,"started":5,` +
		`"connections":{"opened":2,"reused":3,"closed":2,"open":0,"peak":2}}`
	if err := json.Unmarshal([]byte(old), &f); err != nil {
		t.Fatal(err)
	}
	r := Summarise(&Run{Frames: []Frame{f}})
	c := r.Connections.Client
	if c.Opened != 2 || c.ClosedBy != nil || c.BytesIn != nil || c.BytesOut != nil || c.TCP != nil || c.RequestsPerConnection != (PerConnection{}) ||
		c.WaitMs != (Percentiles{}) || r.Trials[0].Late != nil || r.Validity.ConnectionWaitP99Ms != nil {
		t.Errorf("connections %+v, trial %+v", c, r.Trials[0])
	}
}

// Who never got to the end of a write is among the write times; who answered unseen, or was not looked at, is not.
func TestWriteTimes(t *testing.T) {
	for name, x := range map[string]struct {
		sample Sample
		want   int64 // 0: none
	}{
		"written":                    {Sample{Connected: 10, Wrote: 15, FirstByte: 30, Done: 40}, 5},
		"written, then broken":       {Sample{Connected: 10, Wrote: 15, Done: 40, Error: ErrorTimeout}, 5},
		"broken off":                 {Sample{Connected: 10, Done: 40, Error: ErrorTimeout}, 30},
		"no connection":              {Sample{Done: 40, Error: ErrorRefused}, 0},
		"not looked at":              {Sample{Connected: 10, Wrote: -1, Done: 40, Error: ErrorTimeout}, 0},
		"answered before it was out": {Sample{Connected: 10, FirstByte: 12, Done: 40}, 0},
	} {
		if got, ok := x.sample.writeTime(); got != x.want || ok != (x.want > 0) {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, x.want)
		}
	}
}

func TestStretchesAllocateNothing(t *testing.T) {
	rec := NewRecorder(RecorderConfig{Steps: []string{"a"}, Shards: 1})
	x := Stretch{BytesIn: 1, TCP: TCPInfo{Known: true, RTTUs: 100, RTTVarUs: 50}, Closed: ByTarget, Requests: 9}
	if n := testing.AllocsPerRun(1000, func() { rec.Shard(0).Stretch(x) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
