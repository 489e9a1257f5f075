package diagnose

// realRun is a golden file and what is found in it.
type realRun struct {
	name string
	want []string
}

// realFaults are what is found in each golden run: a fault that was planted, or a profile as it is. In "starved" other programs
// took three quarters of the cores; in "impatient" clients gave up after 2 s and their work was cancelled.
var realFaults = []realRun{
	{"before", []string{"descriptor-exhaustion@billing C2 stuck-because", "descriptor-exhaustion@user C2 stuck-because", "leaked-connections@billing C2 stuck-because", "leaked-connections@user C2 stuck-because", "abandoned-work@user C2 stuck-because", "event-loop-blocked@user C2 slow-because", "unbounded-concurrency@billing C2 next", "unbounded-concurrency@user C2 next", "connection-per-request@billing C2 next", "connection-per-request@user C2 next"}},
	{"phase2-starved", []string{"cpu-bound-hashing@user C1 slow-because"}},
	{"phase2-impatient", nil},
	{"phase3", []string{"cpu-bound-hashing@user C2 slow-because"}},
	{"event-loop-blocked", []string{"event-loop-blocked@user C2 slow-because"}},
	{"lock-contention", []string{"lock-contention@user C2 slow-because", "cpu-bound-hashing@user C1 next"}},
	{"leaked-connections", []string{"leaked-connections@billing C2 next"}},
	{"semaphore-too-small", []string{"semaphore-too-small@billing C2 slow-because"}},
	{"pool-too-small", []string{"pool-too-small@billing C2 slow-because"}},
	{"slow-downstream", []string{"slow-downstream@kill-bill C2 slow-because"}},
	{"connection-per-request", []string{"cpu-bound-hashing@user C2 slow-because", "connection-per-request@billing C2 next"}},
	{"unbounded-concurrency", []string{"unbounded-concurrency@billing C2 slow-because", "cpu-bound-hashing@user C1 next"}},
	{"database-pool-starved", []string{"database-pool-starved@user C2 slow-because"}},
	{"retry-storm", []string{"retry-storm@billing C2 slow-because"}},
	{"memory-pressure", []string{"memory-pressure@user C2 slow-because"}},
	{"descriptor-exhaustion", []string{"descriptor-exhaustion@user C2 slow-because"}},
	{"accept-backlog", []string{"accept-backlog@billing C2 slow-because"}},
	{"breaker-flapping", []string{"breaker-flapping@billing C2 slow-because"}},
	{"abandoned-work", []string{"abandoned-work@user C2 slow-because"}},
}

// testedFaults are runs of `make validate-diagnosis`, on a quiet machine but for the blind event loop (39 % other work) and the blind
// unbounded one (59 %).
var testedFaults = []realRun{
	{"tested-healthy", []string{"cpu-bound-hashing@user C3 slow-because"}},
	{"tested-before", []string{"descriptor-exhaustion@billing C2 stuck-because", "leaked-connections@user C2 stuck-because", "leaked-connections@billing C2 stuck-because", "abandoned-work@user C2 stuck-because", "event-loop-blocked@user C2 slow-because", "unbounded-concurrency@user C2 next", "unbounded-concurrency@billing C2 next", "connection-per-request@user C2 next", "connection-per-request@billing C2 next"}},
	{"tested-event-loop-blocked", []string{"event-loop-blocked@user C3 slow-because"}},
	{"tested-semaphore-too-small", []string{"semaphore-too-small@billing C3 slow-because"}},
	{"tested-database-pool-starved", []string{"database-pool-starved@user C2 slow-because"}},
	{"tested-lock-contention-blind", []string{"lock-contention@user C1 slow-because"}},
	{"tested-pool-too-small-blind", []string{"pool-too-small@billing C1 slow-because", "semaphore-too-small@billing C1 or-because"}},
	{"tested-event-loop-blocked-blind", []string{"event-loop-blocked@user C1 slow-because", "slow-downstream@kill-bill C1 or-because", "abandoned-work@user C1 or-because"}},
	{"tested-connection-per-request-blind", []string{"connection-per-request@billing C1 slow-because", "slow-downstream@kill-bill C1 or-because", "leaked-connections@billing C1 or-because"}},
	{"tested-unbounded-concurrency-blind", []string{"unbounded-concurrency@billing C1 slow-because", "slow-downstream@kill-bill C1 or-because", "retry-storm@billing C1 or-because"}},
	{"tested-connection-per-request", []string{"connection-per-request@billing C3 slow-because"}},
	{"tested-leaked-connections", []string{"leaked-connections@billing C2 stuck-because", "cpu-bound-hashing@user C3 slow-because"}},
	{"tested-slow-downstream", []string{"slow-downstream@kill-bill C3 slow-because"}},
	{"tested-retry-storm", []string{"retry-storm@billing C2 slow-because"}},
	{"tested-descriptor-exhaustion", []string{"descriptor-exhaustion@user C2 stuck-because", "unknown@ C1 slow-because"}},
	{"tested-leaked-connections-blind", []string{"leaked-connections@billing C1 stuck-because", "cpu-bound-hashing@user C1 slow-because", "unbounded-concurrency@billing C1 or-because", "retry-storm@billing C1 or-because", "lock-contention@user C1 or-because"}},
	{"tested-accept-backlog-blind", []string{"accept-backlog@billing C1 slow-because", "unbounded-concurrency@billing C1 or-because", "retry-storm@billing C1 or-because"}},
	{"tested-memory-pressure-blind", []string{"memory-pressure@user C1 slow-because", "cpu-bound-hashing@user C1 or-because", "abandoned-work@user C1 or-because", "database-pool-starved@user C1 or-because"}},
}
