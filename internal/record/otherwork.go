package record

import (
	"fmt"
	"slices"
)

// OtherWorkLimit is the share of the machine, in percent, above which work that is neither captest nor the target must be told
// of: a target on the same machine would have had that much more. Interrupts of the network's, which belong to no process, stay
// below it.
const OtherWorkLimit = 15

// OtherWork is the machine's CPU use less captest's and the target's, in percent of all cores, between two instants of a run (s). A
// database of the target that is no service of it counts as other work, and so does what a hypervisor took away. false: the
// machine, captest or one of the target's services was not read often enough, or none of them runs on this machine.
func OtherWork(hosts []HostReading, procs []ProcessReading, fromS, toS float64, cpus int) (percent float64, ok bool) {
	machine, own, n := 0.0, 0.0, 0
	for i := range hosts {
		h := &hosts[i] // its figures are means since the reading before, usually for a second
		if h.OffsetS < fromS+0.5 || h.OffsetS > toS || h.CPUPercent == nil || h.GeneratorCPUPercent == nil {
			continue
		}
		machine, own, n = machine+*h.CPUPercent, own+*h.GeneratorCPUPercent, n+1
	}
	target, ok := targetCPU(procs, fromS, toS)
	if n < fewestReadings || !ok || cpus <= 0 {
		return 0, false
	}
	return max(0, machine/float64(n)-(own/float64(n)+target)/float64(cpus)), true
}

// fewestReadings for a mean: of one second nothing is known.
const fewestReadings = 2

// targetCPU is what the target's services used, in percent of one core, all together; false when one of them is unknown.
func targetCPU(procs []ProcessReading, fromS, toS float64) (percent float64, ok bool) {
	type span struct{ first, last *ProcessReading }
	services := map[string]*span{}
	for i := range procs {
		p := &procs[i]
		w := services[p.Service]
		if w == nil {
			w = &span{}
			services[p.Service] = w
		}
		if p.OffsetS < fromS || p.OffsetS > toS || p.CPUSeconds == nil {
			continue
		}
		if w.first == nil {
			w.first = p
		}
		w.last = p
	}
	var seen [][]int
	for _, w := range services {
		if w.first == nil || w.last.OffsetS <= w.first.OffsetS || !slices.Equal(w.first.PIDs, w.last.PIDs) {
			return 0, false
		}
		if slices.ContainsFunc(seen, func(pids []int) bool { return slices.Equal(pids, w.first.PIDs) }) {
			continue // one program that listens as several services
		}
		seen = append(seen, w.first.PIDs)
		percent += 100 * max(0, *w.last.CPUSeconds-*w.first.CPUSeconds) / (w.last.OffsetS - w.first.OffsetS)
	}
	return percent, len(services) > 0
}

// otherWork fills in each trial's and warns when there was too much of it.
func (s *summary) otherWork(r *Result) {
	told, disturbed, sum := 0, 0, 0.0
	for i := range r.Trials {
		t := &r.Trials[i]
		from, to, ok := s.trialSpan(i)
		if !ok {
			continue
		}
		// A run has a few dozen trials and a reading a second: looking through all of them for each is cheap enough.
		x, ok := OtherWork(s.run.Hosts, s.run.Procs, from, to, s.run.Info.Host.CPUs)
		if !ok {
			continue
		}
		told++
		t.OtherWorkPercent = &x
		if x > OtherWorkLimit {
			disturbed++
			sum += x
		}
	}
	if disturbed > 0 {
		r.Validity.Warnings = append(r.Validity.Warnings, fmt.Sprintf("other work took %.0f %% of the machine during %d of %d trials: figures are lower than the machine can do",
			sum/float64(disturbed), disturbed, told))
	}
}

// trialSpan is from a trial's first frame to the end of its last, warm-up included.
func (s *summary) trialSpan(trial int) (from, to float64, ok bool) {
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if f.Trial != trial {
			continue
		}
		if !ok {
			from, ok = f.OffsetS, true
		}
		to = f.OffsetS + f.Seconds
	}
	return from, to, ok
}
