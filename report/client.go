package report

import (
	"strings"

	"github.com/captest/captest/internal/record"
)

func clientTable(r *record.Result) table {
	c := r.Connections.Client
	t := table{
		ID: "client", Title: "captest's own connections", Caption: "What the load generator opened to the target.",
		Columns: []column{{Head: ""}, {Head: "", Number: true}},
	}
	if c.Opened == 0 && c.Reused == 0 {
		return t
	}
	t.add(plainCells("opened", count(c.Opened))...)
	t.add(plainCells("requests on a reused one", count(c.Reused)+" ("+opt(c.ReusedPercent, percent, unknown)+")")...)
	t.add(plainCells("open at most", count(uint64(max(0, c.PeakOpen))))...)
	if p := c.RequestsPerConnection; finite(p.Mean) {
		t.add(plainCells("requests on one, mean / p50 / max", digits3(*p.Mean)+" / "+opt(p.P50, number, dash)+" / "+opt(p.Max, number, dash))...)
	}
	if by := closedPhrases(c.ClosedBy); len(by) > 0 {
		t.add(plainCells("closed first by", strings.Join(by, ", "))...)
	}
	if c.BytesIn != nil && c.BytesOut != nil {
		t.add(plainCells("bytes out / in", bytesIn(float64(*c.BytesOut))+" / "+bytesIn(float64(*c.BytesIn)))...)
	}
	all := count(c.Opened + c.Reused)
	for _, x := range []struct {
		what string
		p    record.Percentiles
	}{
		{"dial p50 / p99 (n = " + count(c.Opened) + ")", c.DialMs},
		{"TLS handshake p50 / p99 (n ≤ " + count(c.Opened) + ")", c.TLSMs},
		{"wait for one, without dial and TLS, p50 / p99 (n ≤ " + all + ")", c.WaitMs},
		{"request written p50 / p99 (n ≤ " + all + ")", c.WriteMs},
		{"first byte p50 / p99 (n ≤ " + all + ")", c.FirstByteMs},
		{"first byte to last p50 / p99 (n ≤ " + all + ")", c.BodyMs},
	} {
		if finite(x.p.P50) {
			t.add(plainCells(x.what, millis(*x.p.P50)+" / "+opt(x.p.P99, millis, dash))...)
		}
	}
	if tcp := c.TCP; tcp != nil {
		t.add(plainCells("TCP round trip p50 / p99 ("+count(tcp.Samples)+" samples)", opt(tcp.RTTMs.P50, millis, dash)+" / "+opt(tcp.RTTMs.P99, millis, dash))...)
		t.add(plainCells("TCP round trip's deviation p50 / p99", opt(tcp.RTTVarianceMs.P50, millis, dash)+" / "+opt(tcp.RTTVarianceMs.P99, millis, dash))...)
		t.add(plainCells("TCP segments sent again / lost", count(tcp.Retransmits)+" / "+count(tcp.Lost))...)
	}
	return t
}

// closedPhrases: "captest 8", "the target, idle 2", in a fixed order.
func closedPhrases(by map[string]uint64) []string {
	var list []string
	for _, x := range []struct {
		who  record.ClosedBy
		name string
	}{
		{record.ByCaptest, "captest"},
		{record.ByTarget, "the target"},
		{record.ByTargetIdle, "the target, idle"},
		{record.ByReset, "a reset"},
	} {
		if n := by[x.who.String()]; n > 0 {
			list = append(list, x.name+" "+count(n))
		}
	}
	return list
}
