package observe

import (
	"runtime"

	"github.com/captest/captest/internal/record"
)

// Fingerprint describes the machine that generates the load. Results of machines with different fingerprints are not
// comparable. Whether the target shares the machine (Colocated) is for the caller to say.
func Fingerprint() record.Host {
	h := record.Host{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), GoVersion: runtime.Version(),
	}
	fingerprint(&h)
	return h
}
