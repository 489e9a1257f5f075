//go:build !linux

package drive

import "time"

// grain 0: timers alone are used.
const grain = 0

func nap(time.Duration) {}
