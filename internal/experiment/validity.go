package experiment

import (
	"fmt"
	"sort"
	"strings"

	"github.com/captest/captest/internal/record"
)

// validity writes down whether the numbers are about the target: the generator's own CPU over the run, and what the trials found.
func (x *experiment) validity() {
	v := record.Validity{Valid: true, Reasons: []string{}}
	if cpu, ok := x.Observer.GeneratorCPU(0); ok {
		v.GeneratorCPUPercent = &cpu
		if cpu > generatorCPULimit*float64(x.progress.cores) {
			v.Valid = false
			v.Reasons = append(v.Reasons, fmt.Sprintf("captest itself used %.0f %% CPU of %d cores over the whole run", cpu, x.progress.cores))
		}
	}
	if x.trials > 0 && len(x.invalidTrials) == x.trials {
		v.Valid = false
	}
	v.Reasons = append(v.Reasons, x.invalidTrials...)
	v.ScheduleLagP99Ms = x.lagP99
	x.event(record.EventValidity, -1, strings.Join(v.Reasons, "; "), v)
}

func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// returning says whether a gauge must be back at its idle value as soon as nothing is in flight.
func returning(name string) bool {
	for _, prefix := range []string{
		"http_requests_in_progress", "semaphore_in_use", "semaphore_waiting", "http_client_connections_in_use",
		"hash_pool_busy", "hash_pool_queue", "hikaricp_connections_active", "go_sql_in_use_connections",
	} {
		if name == prefix || strings.HasPrefix(name, prefix+"{") {
			return true
		}
	}
	return false
}
