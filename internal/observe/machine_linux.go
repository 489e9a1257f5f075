package observe

import (
	"os"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/captest/captest/internal/record"
)

// machine reads the host from /proc. Whatever cannot be read stays unknown.
type machine struct {
	fs          procfs.FS
	ok          bool
	busy, total float64 // CPU seconds at the last reading
}

func newMachine() *machine {
	fs, err := procfs.NewDefaultFS()
	m := &machine{fs: fs, ok: err == nil}
	m.cpu() // the first reading's difference is from here
	return m
}

// read fills in the machine's part of a reading.
func (m *machine) read(h *record.HostReading) {
	if !m.ok {
		return
	}
	h.CPUPercent = m.cpu()
	if self, err := m.fs.Self(); err == nil {
		// Through our own process, because the network files belong to its namespace.
		if x, err := self.Netstat(); err == nil {
			h.ListenOverflows = x.TcpExt.ListenOverflows
		}
		if x, err := self.Snmp(); err == nil {
			h.RetransSegs = x.Tcp.RetransSegs
		}
	}
	if x, err := m.fs.NetSockstat(); err == nil {
		for _, p := range x.Protocols {
			if p.Protocol != "TCP" {
				continue
			}
			h.TCPInUse = known(float64(p.InUse))
			if p.TW != nil {
				h.TCPTimeWait = known(float64(*p.TW))
			}
		}
	}
}

// cpu is the machine's CPU use since the last call, in percent of all cores; nil when unknown.
func (m *machine) cpu() *float64 {
	if !m.ok {
		return nil
	}
	stat, err := m.fs.Stat()
	if err != nil {
		return nil
	}
	c := stat.CPUTotal // guest time is part of user time
	total := c.User + c.Nice + c.System + c.Idle + c.Iowait + c.IRQ + c.SoftIRQ + c.Steal
	busy := total - c.Idle - c.Iowait
	dBusy, dTotal := busy-m.busy, total-m.total
	m.busy, m.total = busy, total
	if dTotal <= 0 {
		return nil
	}
	return known(100 * min(1, max(0, dBusy/dTotal)))
}

// residentBytes is captest's own resident memory; nil unknown.
func residentBytes() *float64 {
	p, err := procfs.Self()
	if err != nil {
		return nil
	}
	stat, err := p.Stat()
	if err != nil {
		return nil
	}
	return known(float64(stat.ResidentMemory()))
}

// openDescriptors is how many descriptors captest has open; nil unknown.
func openDescriptors() *float64 {
	p, err := procfs.Self()
	if err != nil {
		return nil
	}
	n, err := p.FileDescriptorsLen()
	if err != nil {
		return nil
	}
	return known(float64(n))
}

// fingerprint fills in what only the operating system knows.
func fingerprint(h *record.Host) {
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.Kernel = strings.TrimSpace(string(text))
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return
	}
	if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
		h.CPUModel = strings.TrimSpace(cpus[0].ModelName)
	}
	if h.CPUModel == "" {
		h.CPUModel = runtime.GOARCH
	}
	if mem, err := fs.Meminfo(); err == nil && mem.MemTotal != nil {
		h.MemoryBytes = *mem.MemTotal * 1024 // the file is in KiB
	}
}
