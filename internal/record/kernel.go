package record

import "slices"

// kernelWatch follows what the kernel said of one service on captest's own machine.
type kernelWatch struct {
	out     KernelConnections
	pids    []int
	cpu     counter
	peak    map[string]map[string]int // "" for the service's own port, else a peer → TCP state → most sockets
	last    ProcessReading            // latest good one
	anyLoad bool
}

// inbound stands for the service's own port among its peers.
const inbound = ""

// targetKernel reads each service's side from the kernel. A service that runs elsewhere has none.
func (s *summary) targetKernel(into map[string]TargetConnections) {
	loadFrom, loadTo, any := s.loadWindow()
	services := map[string]*kernelWatch{}
	for i := range s.own.Procs {
		p := &s.own.Procs[i]
		w := services[p.Service]
		if w == nil {
			w = &kernelWatch{peak: map[string]map[string]int{}}
			services[p.Service] = w
		}
		w.out.Readings++
		if p.Error != "" {
			w.out.ReadingsFailed++
			continue
		}
		w.read(p)
		if p.FDs != nil && (!any || p.OffsetS < loadFrom) {
			w.out.FDsBefore = p.FDs
		}
		w.anyLoad = any && p.OffsetS > loadTo
	}
	for name, w := range services {
		t, ok := into[name]
		if !ok { // it has no metrics
			t.Downstream = map[string]DownstreamConnections{}
		}
		k := w.result()
		t.Kernel = &k
		into[name] = t
	}
}

func (w *kernelWatch) read(p *ProcessReading) {
	another := w.pids != nil && !slices.ContainsFunc(p.PIDs, func(pid int) bool { return slices.Contains(w.pids, pid) })
	if p.PIDs != nil {
		w.pids = p.PIDs
		w.out.Processes = known(max(orZero(w.out.Processes), float64(len(p.PIDs))))
	}
	if p.CPUSeconds != nil {
		w.cpu.at(*p.CPUSeconds, another)
	}
	for _, x := range []struct {
		to **float64
		v  *float64
	}{
		{&w.out.FDsPeak, p.FDs},
		{&w.out.AcceptQueuePeak, p.AcceptQueue},
		{&w.out.TimeWaitCallersPeak, p.TimeWaitCallers},
		{&w.out.BusiestThreadPeakPercent, p.BusiestThreadPercent},
		{&w.out.RSSPeakBytes, p.RSSBytes},
	} {
		if x.v != nil {
			*x.to = larger(*x.to, *x.v)
		}
	}
	if p.FDLimit != nil {
		w.out.FDLimit = p.FDLimit
	}
	if p.Inbound != nil {
		w.sockets(inbound, p.Inbound)
	}
	if p.Outbound == nil {
		w.out.OutboundUnread++
	}
	for peer, states := range p.Outbound {
		w.sockets(peer, states)
	}
	w.last = *p
}

func (w *kernelWatch) sockets(peer string, states map[string]int) {
	to := w.peak[peer]
	if to == nil {
		to = map[string]int{}
		w.peak[peer] = to
	}
	for state, n := range states {
		to[state] = max(to[state], n)
	}
}

func (w *kernelWatch) result() KernelConnections {
	out := w.out
	out.CPUSeconds = w.cpu.total()
	out.Inbound, out.Outbound = map[string]Sockets{}, map[string]map[string]Sockets{}
	if w.anyLoad {
		out.FDsAfter, out.TimeWaitCallersAfter = w.last.FDs, w.last.TimeWaitCallers
	}
	for peer, states := range w.peak {
		now, seen := w.last.Outbound[peer], w.last.Outbound != nil
		if peer == inbound {
			now, seen = w.last.Inbound, w.last.Inbound != nil
		}
		to := make(map[string]Sockets, len(states))
		for state, n := range states {
			x := Sockets{Peak: n}
			if w.anyLoad && seen {
				after := now[state]
				x.After = &after
			}
			to[state] = x
		}
		if peer == inbound {
			out.Inbound = to
		} else {
			out.Outbound[peer] = to
		}
	}
	return out
}

// listenOverflows is by how much the machine's counter of connections lost to full accept queues grew over the run; nil
// before there are two readings. It counts for the whole network namespace, the target's services and others alike.
func listenOverflows(hosts []HostReading) *float64 {
	var c counter
	for _, h := range hosts {
		if h.ListenOverflows != nil {
			c.at(*h.ListenOverflows, false)
		}
	}
	return c.total()
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
