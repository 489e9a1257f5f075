//go:build !linux

package observe

import (
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// processes are unknown where there is no /proc.
type processes struct{}

func newProcesses(*targets.Target) *processes { return nil }

func (*processes) read(float64) []record.ProcessReading { return nil }
