package observe

import (
	"runtime"

	"github.com/captest/captest/internal/record"
)

// past keeps the readings of the last minutes, to say of a trial that has just ended what it shared the machine with.
type past struct {
	hosts []record.HostReading
	procs []record.ProcessReading
}

// pastSeconds is longer than any trial but a person's own.
const pastSeconds = 900

func (p *past) host(h record.HostReading) {
	p.hosts = append(p.hosts, h)
	for len(p.hosts) > 0 && p.hosts[0].OffsetS < h.OffsetS-pastSeconds {
		p.hosts = p.hosts[1:]
	}
}

// processes keeps of each reading what OtherWork reads.
func (p *past) processes(all []record.ProcessReading) {
	for _, x := range all {
		p.procs = append(p.procs, record.ProcessReading{OffsetS: x.OffsetS, Service: x.Service, PIDs: x.PIDs, CPUSeconds: x.CPUSeconds})
	}
	last := p.procs[len(p.procs)-1].OffsetS
	for p.procs[0].OffsetS < last-pastSeconds {
		p.procs = p.procs[1:]
	}
}

// OtherWork is the share of the machine, in percent of all cores, that work of neither captest nor the target took between two
// instants (s since the run began); false when it is not known, or longer ago than a quarter of an hour.
func (o *Observer) OtherWork(fromS, toS float64) (percent float64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return record.OtherWork(o.past.hosts, o.past.procs, fromS, toS, runtime.NumCPU())
}
