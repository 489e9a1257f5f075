//go:build !unix

package observe

// Elsewhere captest's own use of CPU and descriptors is unknown, which is said, not guessed.
func cpuSeconds() (float64, bool) { return 0, false }

func descriptorLimit() *float64 { return nil }
