package experiment

import (
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
	h.Deceived = a.deceived(h)
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
type second struct{ health, function int }

func (b *second) add(p record.Probe) {
	to := &b.function
	if p.Probe == "health" {
		to = &b.health
	}
	if p.OK {
		*to++
	} else {
		*to--
	}
}

// deceived: for ten seconds or more the health check passed in 99 of 100 while fewer than half of the functional probes did.
func (a Aftermath) deceived(h record.HealthStates) bool {
	if h.Deceptive < 10 {
		return false
	}
	last := 0.0 // the function's failures end here
	for _, p := range a.after("functional") {
		if !p.OK {
			last = max(last, p.OffsetS+p.Ms/1000)
		}
	}
	hOK, hN := count(a.after("health"), a.ReleasedS, last, "")
	fOK, fN := count(a.after("functional"), a.ReleasedS, last, "")
	return hN > 0 && float64(hOK) >= 0.99*float64(hN) && 2*fOK < fN
}
