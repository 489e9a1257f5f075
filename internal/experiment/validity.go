package experiment

import (
	"fmt"
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
