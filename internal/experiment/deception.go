package experiment

import (
	"maps"
	"slices"

	"github.com/captest/captest/internal/record"
)

// health counts the seconds after the release by what the health check said and what the service did (measurement 4.6). A
// second counts as soon as both have spoken for it.
func (a Aftermath) health() record.HealthStates {
	by := map[int]*second{}
	for _, kind := range []string{"functional", "health"} {
		asked := map[[2]string]record.Probe{} // by connection and step
		all := a.after(kind)
		for _, p := range all {
			key := [2]string{p.Connection, p.Step}
			if last, ok := asked[key]; ok {
				speak(by, last, p.OffsetS)
			}
			asked[key] = p
		}
		for _, p := range asked {
			speak(by, p, min(a.NowS, p.OffsetS+p.Ms/1000))
		}
	}
	var h record.HealthStates
	for _, b := range by {
		health, function := b.health > 0, b.function > 0
		switch {
		case b.health == 0 || b.function == 0:
		case health && function:
			h.BothOK++
		case health:
			h.Deceptive++
		case function:
			h.KillRisk++
		default:
			h.BothBad++
		}
	}
	h.Deceived = longestDeception(by) >= 10
	return h
}

// speak lets a probe count for the seconds from its start until the next of its kind was sent: what hung says how things were
// when it was sent, and what was answered since knows better.
func speak(by map[int]*second, p record.Probe, until float64) {
	for s := int(p.OffsetS); float64(s) < until || s == int(p.OffsetS); s++ {
		b := by[s]
		if b == nil {
			b = &second{}
			by[s] = b
		}
		b.add(p)
	}
}

// second sums up the probes that speak for one second: above 0 good, below 0 bad, 0 silent or divided.
type second struct {
	health, function int
	unhealthy        int // failed health probes
}

func (b *second) add(p record.Probe) {
	to := &b.function
	if p.Probe == "health" {
		to = &b.health
		if !p.OK {
			b.unhealthy++
		}
	}
	if p.OK {
		*to++
	} else {
		*to--
	}
}

// longestDeception is the longest stretch of seconds in each of which no health probe failed and the function did: health at
// 99 % or more, function below half.
func longestDeception(by map[int]*second) int {
	longest, now, last := 0, 0, 0
	for _, s := range slices.Sorted(maps.Keys(by)) {
		b := by[s]
		if b.unhealthy > 0 || b.health <= 0 || b.function >= 0 {
			now = 0
			continue
		}
		if s != last+1 {
			now = 0
		}
		now, last = now+1, s
		longest = max(longest, now)
	}
	return longest
}
