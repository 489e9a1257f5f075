package diagnose

// realFaults are what is found in each golden run.
var realFaults = []struct {
	name string
	want []string
}{
	{"event-loop-blocked", nil},
	{"lock-contention", nil},
	{"leaked-connections", nil},
	{"semaphore-too-small", nil},
	{"pool-too-small", nil},
	{"slow-downstream", nil},
	{"connection-per-request", nil},
	{"unbounded-concurrency", nil},
	{"database-pool-starved", nil},
	{"retry-storm", nil},
	{"memory-pressure", nil},
	{"descriptor-exhaustion", nil},
	{"before", nil},
}
