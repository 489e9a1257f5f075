//go:build unix && !linux

package targets

func deathSignal() int { return 0 }

func gettid() int { return 0 }
