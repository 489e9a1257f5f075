//go:build unix

package observe

import "golang.org/x/sys/unix"

// cpuSeconds is the CPU time this process has used, user and system.
func cpuSeconds() (float64, bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, true
}

// descriptorLimit is how many descriptors this process may open; nil unknown.
func descriptorLimit() *float64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return nil
	}
	return known(float64(l.Cur))
}
