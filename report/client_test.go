package report

import (
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// The page has every figure of captest's own connections, and the summary who closed them if that was not captest.
func TestClientConnections(t *testing.T) {
	in, out := uint64(5_000_000), uint64(1_200)
	ms := func(v float64) record.Percentiles { return record.Percentiles{P50: ref(v), P99: ref(2 * v)} }
	r := &record.Result{Connections: record.Connections{Client: record.ClientConnections{
		Opened: 20, Reused: 80, ReusedPercent: ref(80), PeakOpen: 4,
		WaitMs: ms(0.01), WriteMs: ms(0.02), FirstByteMs: ms(30), BodyMs: ms(4),
		RequestsPerConnection: record.PerConnection{Mean: ref(5), P50: ref(4), Max: ref(9)},
		ClosedBy:              map[string]uint64{"captest": 4, "target": 6, "target_idle": 7, "reset": 3, "<b>": 1},
		BytesIn:               &in, BytesOut: &out,
		TCP: &record.ClientTCP{Samples: 21, RTTMs: ms(0.3), RTTVarianceMs: ms(0.1), Retransmits: 5, Lost: 2},
	}}}
	var b strings.Builder
	for _, row := range clientTable(r).Rows {
		for _, c := range row {
			b.WriteString(c.Text + "|")
		}
		b.WriteByte('\n')
	}
	for _, want := range []string{
		"mean / p50 / max|5.00 / 4 / 9|", "closed first by|captest 4, the target 6, the target, idle 7, a reset 3|",
		"bytes out / in|" + bytesIn(1200) + " / " + bytesIn(5e6), "wait for one", "request written", "first byte to last",
		"(21 samples)|0.300 ms / 0.600 ms|", "deviation", "sent again / lost|5 / 2|",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	if f := connectionsFact(r); !strings.Contains(f.Detail, ", 13 closed by the target, 3 reset") {
		t.Errorf("the summary says %q", f.Detail)
	}
	old := &record.Result{Connections: record.Connections{Client: record.ClientConnections{Opened: 20, Reused: 80}}}
	if rows := clientTable(old).Rows; len(rows) != 3 {
		t.Errorf("of an old folder the table has %d rows, want the 3 that it knows: %v", len(rows), rows)
	}
	if f := connectionsFact(old); strings.Contains(f.Detail, "closed") {
		t.Errorf("of an old folder the summary says %q", f.Detail)
	}
}

// Late arrivals stand beside the dropped ones.
func TestLateArrivals(t *testing.T) {
	late := uint64(1234)
	r := &record.Result{Trials: []record.Trial{
		{Load: record.Load{RatePerSecond: 10}, N: 5, Late: &late}, {Load: record.Load{Users: 1}, N: 5},
	}}
	x := trialsTable(r)
	at := -1
	for i, c := range x.Columns {
		if c.Head == "late" {
			at = i
		}
	}
	if at < 0 || x.Rows[0][at].Text != count(late) || x.Rows[1][at].Text != dash {
		t.Errorf("column %d of %+v", at, x.Rows)
	}
}
