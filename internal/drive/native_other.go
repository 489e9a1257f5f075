//go:build !linux

package drive

import (
	"net/netip"

	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// CheckNative says why the native engine cannot send a scenario to a target.
func CheckNative(*scenarios.Scenario, *targets.Target) error { return errNoNative }

// NewNative is for Linux.
func NewNative(Config) (Engine, error) { return nil, errNoNative }

// CheckSource is the native engine's.
func CheckSource(netip.Addr) error { return errNoNative }

const errNoNative = nativeError("it needs Linux's epoll")
