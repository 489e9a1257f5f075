//go:build !linux

package observe

import "github.com/captest/captest/internal/record"

// machine is unknown where there is no /proc.
type machine struct{}

func newMachine() *machine { return &machine{} }

func (*machine) read(*record.HostReading) {}

func residentBytes() *float64 { return nil }

func openDescriptors() *float64 { return nil }

func fingerprint(*record.Host) {}
