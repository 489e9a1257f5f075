package record

import (
	"strings"
	"testing"
)

// sharing is a machine of four cores, read once a second for ten seconds from fromS on: its use, captest's and the target's, in cores.
func sharing(run *Run, fromS, machine, own, target float64) {
	for i := range 10 {
		at := fromS + float64(i) + 0.9
		run.Hosts = append(run.Hosts, HostReading{OffsetS: at, CPUPercent: known(25 * machine), GeneratorCPUPercent: known(100 * own)})
		for pid, name := range []string{"user", "billing"} { // half each
			run.Procs = append(run.Procs, ProcessReading{OffsetS: at, Service: name, PIDs: []int{pid + 1}, CPUSeconds: known(50 + target/2*at)})
		}
	}
}

func shared(machine, own, target float64) *Run {
	run := &Run{Info: RunInfo{Host: Host{CPUs: 4, Colocated: true}}}
	for i := range 10 {
		run.Frames = append(run.Frames, frameOf(10+float64(i), 0, i < 2, Load{Users: 4}, 10, 0, 100))
	}
	sharing(run, 10, machine, own, target)
	return run
}

func TestOtherWork(t *testing.T) {
	for name, x := range map[string]struct {
		run    *Run
		change func(*Run)
		want   float64 // % of the machine; below 0: unknown
	}{
		"alone":                           {shared(2.5, 0.5, 2), nil, 0},
		"the network's interrupts":        {shared(2.9, 0.5, 2), nil, 10},
		"half the machine is another's":   {shared(4, 0.5, 1.5), nil, 50},
		"more target than machine":        {shared(1, 0.5, 2), nil, 0},
		"the target runs elsewhere":       {shared(4, 0.5, 0), func(r *Run) { r.Procs = nil }, -1},
		"one service cannot be seen":      {shared(4, 0.5, 1), func(r *Run) { r.Procs = append(r.Procs, ProcessReading{Service: "kill-bill", Error: "another user's"}) }, -1},
		"it was restarted in between":     {shared(4, 0.5, 1), func(r *Run) { r.Procs[len(r.Procs)-1].PIDs = []int{99} }, -1},
		"one process with two names":      {shared(4, 0.5, 2), func(r *Run) { twins(r) }, 62.5},
		"the machine was not to be read":  {shared(4, 0.5, 1), func(r *Run) { r.Hosts = r.Hosts[:1] }, -1},
		"the number of cores is unknown":  {shared(4, 0.5, 1), func(r *Run) { r.Info.Host.CPUs = 0 }, -1},
		"nothing was read at the time":    {shared(4, 0.5, 1), func(r *Run) { later(r) }, -1},
		"readings without figures at all": {shared(4, 0.5, 1), func(r *Run) { clear(r.Hosts) }, -1},
	} {
		if x.change != nil {
			x.change(x.run)
		}
		r := Summarise(x.run)
		got := r.Trials[0].OtherWorkPercent
		if (got == nil) != (x.want < 0) || got != nil && (*got < x.want-0.01 || *got > x.want+0.01) {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
		if warned := len(r.Validity.Warnings) > 0; warned != (x.want > OtherWorkLimit) {
			t.Errorf("%s: warnings %q", name, r.Validity.Warnings)
		}
	}
}

func twins(r *Run) {
	for i := range r.Procs {
		r.Procs[i].PIDs = []int{1}
	}
}

func later(r *Run) {
	for i := range r.Hosts {
		r.Hosts[i].OffsetS += 100
	}
}

func TestOtherWorkIsToldOfByTrials(t *testing.T) {
	run := shared(4, 0.5, 1.5) // 50 %
	for i := range 20 {
		run.Frames = append(run.Frames, frameOf(30+float64(i), 1+i/10, false, Load{Users: 4}, 10, 0, 100))
	}
	sharing(run, 30, 3, 0.5, 1.5) // 25 %
	sharing(run, 40, 2, 0.5, 1.5) // none
	v := Summarise(run).Validity
	if want := "other work took 38 % of the machine during 2 of 3 trials"; len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], want) {
		t.Errorf("warnings %q, want %q", v.Warnings, want)
	}
}
