package observe

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// Limits of one look at the target's processes, so that looking stays cheap beside what is looked at.
const (
	mostThreads     = 512  // threads of a service whose CPU time is read one by one
	mostDescriptors = 1024 // descriptors of a service whose targets are read
	mostPeers       = 16   // peers of a service that are counted by name
	lookShare       = 0.02 // share of the time that looking may take
)

// processes watches the services that run on this machine through /proc: their CPU time, memory, descriptors and sockets. It
// needs nothing of the service, and sees what a service's own metrics cannot say when they hang. A service's processes are those
// that hold the socket it listens on: worker processes share it.
type processes struct {
	fs       procfs.FS
	services []*watched
	peers    map[uint16]string // port → service that listens there
	table    socketTable
	next     time.Time // no look before
}

// watched is a service on this machine.
type watched struct {
	name  string
	host  netip.Addr // invalid: any of loopback
	port  uint16
	inode uint64 // of the listening socket, when pids was found
	pids  []int
	// Of each thread, CPU seconds at the last look.
	threads map[int]float64
	at      time.Time
}

// newProcesses watches those of the target's services that this machine runs; nil when there is none.
func newProcesses(t *targets.Target) *processes {
	fs, err := procfs.NewDefaultFS()
	if err != nil || t == nil {
		return nil
	}
	p := &processes{fs: fs, peers: map[uint16]string{}}
	for _, s := range t.Services {
		if w := watchService(s); w != nil {
			p.services = append(p.services, w)
			p.peers[w.port] = w.name
		}
	}
	if len(p.services) == 0 {
		return nil
	}
	return p
}

// watchService gives nil for a service that is elsewhere.
func watchService(s targets.Service) *watched {
	u, err := url.Parse(s.URL)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil
	}
	w := &watched{name: s.Name, port: uint16(port)}
	if u.Hostname() == "localhost" {
		return w
	}
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil || !ours(host) {
		return nil
	}
	w.host = host.Unmap()
	return w
}

// ours says whether an address is this machine's.
func ours(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(x net.Addr) bool {
		prefix, err := netip.ParsePrefix(x.String())
		return err == nil && prefix.Addr().Unmap() == a.Unmap()
	})
}

// read looks at every service. It gives nothing when the last look was so costly that it is too early for another.
func (p *processes) read(offsetS float64) (out []record.ProcessReading) {
	began := time.Now()
	if p == nil || began.Before(p.next) {
		return nil
	}
	all, err := p.table.read()
	for _, w := range p.services {
		r := record.ProcessReading{OffsetS: offsetS, Service: w.name}
		if err != nil {
			r.Error = "sockets: " + err.Error()
		} else {
			p.readService(w, all, &r)
		}
		out = append(out, r)
	}
	p.next = began.Add(time.Duration(float64(time.Since(began)) / lookShare))
	return out
}

func (p *processes) readService(w *watched, all []socket, r *record.ProcessReading) {
	at := slices.IndexFunc(all, w.listens)
	if at < 0 {
		w.pids, w.inode = nil, 0
		r.Error = "nothing listens on port " + strconv.Itoa(int(w.port))
		return
	}
	s := all[at]
	r.AcceptQueue = known(float64(s.queue))
	if s.inode != w.inode || !p.alive(w) {
		w.pids, w.inode, w.threads = p.holders(s.inode), s.inode, nil
	}
	if len(w.pids) == 0 {
		r.Error = "whose the listening socket is cannot be seen: it is another user's, or in another container"
		return
	}
	r.PIDs = w.pids
	inodes := p.readProcesses(w, r)
	p.countSockets(w, all, inodes, r)
}

func (w *watched) listens(s socket) bool {
	if s.state != listening || s.localPort != w.port {
		return false
	}
	a := s.local
	return a.IsUnspecified() || a == w.host || !w.host.IsValid() && a.IsLoopback()
}

func (p *processes) alive(w *watched) bool {
	for _, pid := range w.pids {
		if _, err := p.fs.Proc(pid); err != nil {
			return false
		}
	}
	return len(w.pids) > 0
}

// holders are the processes that have a socket open.
func (p *processes) holders(inode uint64) (pids []int) {
	procs, err := p.fs.AllProcs()
	if err != nil {
		return nil
	}
	want := "socket:[" + strconv.FormatUint(inode, 10) + "]"
	for _, proc := range procs {
		if held, err := proc.FileDescriptorTargets(); err == nil && slices.Contains(held, want) {
			pids = append(pids, proc.PID)
		}
	}
	return pids
}

// readProcesses adds up what the service's processes use, and gives the sockets they hold; nil when those are unknown.
func (p *processes) readProcesses(w *watched, r *record.ProcessReading) (inodes map[uint64]bool) {
	var cpu, rss, threads, fds, limit float64
	for _, pid := range w.pids {
		proc, err := p.fs.Proc(pid)
		if err != nil {
			continue
		}
		stat, err := proc.Stat()
		if err != nil {
			continue
		}
		r.Name = stat.Comm
		cpu += stat.CPUTime()
		rss += float64(stat.ResidentMemory())
		threads += float64(stat.NumThreads)
		if limits, err := proc.Limits(); err == nil && (limit == 0 || float64(limits.OpenFiles) < limit) {
			limit = float64(limits.OpenFiles)
		}
		n, err := proc.FileDescriptorsLen()
		if err != nil {
			continue
		}
		if fds += float64(n); fds > mostDescriptors {
			inodes = nil
			continue
		}
		held, err := proc.FileDescriptorTargets()
		if err != nil {
			continue
		}
		if inodes == nil {
			inodes = map[uint64]bool{}
		}
		for _, to := range held {
			if rest, ok := strings.CutPrefix(to, "socket:["); ok {
				if inode, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64); err == nil {
					inodes[inode] = true
				}
			}
		}
	}
	r.CPUSeconds, r.RSSBytes, r.Threads = known(cpu), known(rss), known(threads)
	if fds > 0 {
		r.FDs = known(fds)
	}
	if limit > 0 {
		r.FDLimit = known(limit)
	}
	if threads <= mostThreads {
		r.BusiestThreadPercent = p.busiest(w)
	}
	if fds > mostDescriptors {
		return nil
	}
	return inodes
}

// busiest is the share of a core that the busiest thread used since the last look, in percent: 100 is an event loop, or another
// single thread, that has no time left. nil at the first look.
func (p *processes) busiest(w *watched) *float64 {
	now, before, elapsed := time.Now(), w.threads, 0.0
	if before != nil {
		elapsed = now.Sub(w.at).Seconds()
	}
	used := map[int]float64{}
	var most *float64
	for _, pid := range w.pids {
		threads, err := p.fs.AllThreads(pid)
		if err != nil {
			continue
		}
		for _, t := range threads {
			stat, err := t.Stat()
			if err != nil {
				continue
			}
			used[t.PID] = stat.CPUTime()
			if elapsed <= 0 {
				continue
			}
			if share := 100 * (used[t.PID] - before[t.PID]) / elapsed; most == nil || share > *most {
				most = known(min(100, max(0, share))) // the kernel counts in ticks of 10 ms
			}
		}
	}
	w.threads, w.at = used, now
	return most
}

// countSockets sorts the service's sockets by who is at the other end and their state. A socket in TIME_WAIT stays with the end
// that closed first and belongs to no process any more: those of the service's callers are counted by its port alone.
func (p *processes) countSockets(w *watched, all []socket, inodes map[uint64]bool, r *record.ProcessReading) {
	r.Inbound = map[string]int{}
	if inodes != nil {
		r.Outbound = map[string]map[string]int{}
	}
	callers := 0
	defer func() { r.TimeWaitCallers = known(float64(callers)) }()
	for _, s := range all {
		switch {
		case s.state == listening:
		case s.localPort == w.port:
			r.Inbound[s.state.String()]++
		case s.remotePort == w.port && s.state == timeWait:
			callers++
		case inodes[s.inode] && s.inode != 0:
			peer, known := p.peers[s.remotePort]
			if !known {
				peer = "port " + strconv.Itoa(int(s.remotePort))
			}
			if r.Outbound[peer] == nil {
				if len(r.Outbound) >= mostPeers {
					peer = "others"
				}
				if r.Outbound[peer] == nil {
					r.Outbound[peer] = map[string]int{}
				}
			}
			r.Outbound[peer][s.state.String()]++
		}
	}
}
