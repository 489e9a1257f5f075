package diagnose

// machineName is where the CPU of the machine lives that captest and the services share.
const machineName = "captest's machine"

// machineCPU is all CPU that services on captest's own machine and captest itself use: each process may have every core, and all of
// them together no more than there are. ok is false where a service runs elsewhere, or nobody knows what one of them uses.
func (s *sight) machineCPU(processors []resource) (resource, bool) {
	cores, ok := s.cores()
	if !ok || len(processors) == 0 {
		return resource{}, false
	}
	for i := range processors {
		if len(s.processes(s.all, processors[i].where)) == 0 { // the kernel of this machine does not know it
			return resource{}, false
		}
	}
	return resource{kind: machine, where: machineName, servers: cores, overlaps: true, busy: func(w window) (float64, bool) {
		sum, ok := s.generatorCPU(w)
		for i := range processors {
			used, known := processors[i].busy(w)
			sum, ok = sum+used, ok && known
		}
		return sum, ok
	}}, true
}

// generatorCPU is captest's own mean CPU use within a window, in cores.
func (s *sight) generatorCPU(w window) (float64, bool) {
	sum, n := 0.0, 0.0
	for i := range s.run.Hosts {
		if h := &s.run.Hosts[i]; h.GeneratorCPUPercent != nil && h.OffsetS >= w.from && h.OffsetS <= w.to+0.5 {
			sum, n = sum+*h.GeneratorCPUPercent/100, n+1
		}
	}
	return sum / max(n, 1), n > 0
}
