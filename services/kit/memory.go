package kit

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

const mebibyte = 1 << 20

// page is 256 bytes of nothing but pointers: the collector has to follow every word of it.
type page [32]*page

// requestMemory is what each request of a service's own routes keeps alive until it ends.
type requestMemory struct {
	mebibytes int // 0: none
	inUse     prometheus.Gauge
}

// take allocates the memory of one request and touches all of it; the returned function lets it go.
func (m *requestMemory) take() (release func()) {
	if m.mebibytes <= 0 {
		return func() {}
	}
	const size = 256
	pages := make([]*page, m.mebibytes*mebibyte/(size+8)) // a page and the pointer to it
	for i := range pages {
		p := new(page)
		for j := range p {
			p[j] = pages[max(0, i-1-j*31)] // neighbours and strangers, so that marking jumps about
		}
		pages[i] = p
	}
	taken := float64(m.mebibytes * mebibyte)
	m.inUse.Add(taken)
	return func() {
		runtime.KeepAlive(pages)
		m.inUse.Sub(taken)
	}
}

// LimitMemory sets the memory limit of this process (GOMEMLIMIT), in MiB: near it the collector runs ever more often.
func LimitMemory(mebibytes int) { debug.SetMemoryLimit(int64(mebibytes) * mebibyte) }
