package record

import (
	"encoding/json"
	"strings"
	"testing"
)

// process is a reading whose figures are all n times something.
func process(at float64, pid int, n float64, outbound map[string]map[string]int) ProcessReading {
	return ProcessReading{
		OffsetS: at, Service: "user", PIDs: []int{pid}, CPUSeconds: known(n), BusiestThreadPercent: known(10 * n), RSSBytes: known(1e6 * n),
		FDs: known(20 + n), FDLimit: known(64), AcceptQueue: known(n), TimeWaitCallers: known(2 * n),
		Inbound: map[string]int{"ESTABLISHED": int(n)}, Outbound: outbound,
	}
}

func TestTargetSeenByTheKernel(t *testing.T) {
	to := func(established, closed int) map[string]map[string]int {
		states := map[string]int{"ESTABLISHED": established}
		if closed > 0 {
			states["CLOSE_WAIT"] = closed
		}
		return map[string]map[string]int{"billing": states}
	}
	run := &Run{
		Frames: []Frame{{OffsetS: 0, Seconds: 1, Trial: -1}, frameOf(1, 0, false, Load{Users: 4}, 10, 0, 100), {OffsetS: 2, Seconds: 3, Trial: -1}},
		Procs: []ProcessReading{
			process(0.5, 7, 1, to(1, 0)),
			process(1.5, 7, 8, to(5, 9)),
			{OffsetS: 1.7, Service: "user", Error: "nothing listens on port 80"},
			process(1.8, 7, 9, nil),       // too many descriptors to look at each
			process(2.5, 8, 2, to(2, 0)),  // another process: its CPU time began at 0
			process(4.5, 8, 4, to(3, 11)), // after the load
			{OffsetS: 4.5, Service: "billing", Error: "whose the listening socket is cannot be seen"},
		},
		Hosts: []HostReading{{OffsetS: 0, ListenOverflows: known(400)}, {OffsetS: 1}, {OffsetS: 4, ListenOverflows: known(407)}},
	}
	c := Summarise(run).Connections
	k := c.Target["user"].Kernel
	if k == nil {
		t.Fatal("the kernel's readings are lost")
	}
	for what, x := range map[string]struct {
		got  *float64
		want float64
	}{
		"listen overflows": {c.ListenOverflows, 7}, "processes": {k.Processes, 1}, "CPU": {k.CPUSeconds, 7 + 1 + 2 + 2}, "busiest thread": {k.BusiestThreadPeakPercent, 90},
		"memory": {k.RSSPeakBytes, 9e6}, "descriptors before": {k.FDsBefore, 21}, "peak": {k.FDsPeak, 29}, "after": {k.FDsAfter, 24}, "limit": {k.FDLimit, 64},
		"accept queue": {k.AcceptQueuePeak, 9}, "TIME_WAIT": {k.TimeWaitCallersPeak, 18}, "TIME_WAIT after": {k.TimeWaitCallersAfter, 8},
	} {
		if x.got == nil || *x.got != x.want {
			t.Errorf("%s is %v, want %v", what, x.got, x.want)
		}
	}
	if k.Readings != 6 || k.ReadingsFailed != 1 || k.OutboundUnread != 1 {
		t.Errorf("%d readings, %d failed, %d without outbound", k.Readings, k.ReadingsFailed, k.OutboundUnread)
	}
	for what, x := range map[string]struct {
		got         Sockets
		peak, after int
	}{
		"inbound": {k.Inbound["ESTABLISHED"], 9, 4}, "to billing": {k.Outbound["billing"]["ESTABLISHED"], 5, 3}, "closed by billing": {k.Outbound["billing"]["CLOSE_WAIT"], 11, 11},
	} {
		if x.got.Peak != x.peak || x.got.After == nil || *x.got.After != x.after {
			t.Errorf("%s: %+v, want %d and %d", what, x.got, x.peak, x.after)
		}
	}
	if b := c.Target["billing"].Kernel; b == nil || b.Readings != 1 || b.FDsPeak != nil || b.CPUSeconds != nil || b.ReadingsFailed != 1 {
		t.Errorf("a process that cannot be seen is %+v", b)
	}
}

func TestWhatTheKernelDoesNotSayIsNull(t *testing.T) {
	run := &Run{
		Frames:  []Frame{frameOf(0, 0, false, Load{Users: 4}, 10, 0, 100)},
		Scrapes: []Scrape{{Service: "user", Values: map[string]float64{"process_open_fds": 3}}},
		Procs:   []ProcessReading{process(0.5, 7, 1, nil)}, // the run was cut short under load
		Hosts:   []HostReading{{ListenOverflows: known(5)}},
	}
	run.Procs[0].Service = "billing"
	c := Summarise(run).Connections
	if c.Target["user"].Kernel != nil || c.ListenOverflows != nil {
		t.Errorf("a service elsewhere: %+v, overflows after one reading %v", c.Target["user"].Kernel, c.ListenOverflows)
	}
	k := c.Target["billing"].Kernel
	if k.FDsAfter != nil || k.FDsBefore != nil || k.CPUSeconds != nil || k.Inbound["ESTABLISHED"].After != nil {
		t.Errorf("nothing was read before or after the load: %+v", k)
	}
	text, err := json.Marshal(c.Target)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"kernel":null`, `"fds_after":null`, `"cpu_seconds":null`, `"after":null`, `"downstream":{}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("run.json lacks %s: %s", want, text)
		}
	}
}
