package experiment

import "time"

// recoveryPace holds every length of the recovery test, so that one table says what an effort means.
type recoveryPace struct {
	patient, aborting time.Duration // how long each kind of client overloads
	window            time.Duration // of good probes that counts as recovered
	relapse           time.Duration // watched after the first good window
	watch             time.Duration // longest watch, at least
	most              time.Duration // longest watch, whatever the timeouts ask for; 0: longestWatch
	minProbes         int           // of each step in a window
	strict            bool          // measurement 4.3's tolerance
	rung              time.Duration // measured part of each load of the ladders; 0: no ladders, no background load
	background        float64       // first share of capacity that is kept up after a trigger
	bisect            bool          // ask one more share
	cycles            int           // short loads, each with a rest, for what only grows slowly
	cool              time.Duration // without load before the leak verdicts; 0: as long as something is left, idleCool at most
}

// Quick spends some 40 s on a target that heals: 12 s of patient and 6 s of impatient overload, two watches. The others follow
// measurement 4.2 and 4.3.
var recoveryPaces = map[Effort]recoveryPace{
	Quick: {
		patient: 12 * time.Second, aborting: 6 * time.Second,
		window: 5 * time.Second, relapse: 3 * time.Second, watch: 60 * time.Second, minProbes: minProbes,
	},
	Standard: {
		patient: 30 * time.Second, aborting: 30 * time.Second,
		window: 10 * time.Second, relapse: 30 * time.Second, watch: 120 * time.Second, minProbes: 20, strict: true,
		rung: 15 * time.Second, background: 0.5, cool: fullCool * time.Second,
	},
	Thorough: {
		patient: 90 * time.Second, aborting: 60 * time.Second,
		window: 10 * time.Second, relapse: 30 * time.Second, watch: 300 * time.Second, minProbes: 20, strict: true,
		rung: 15 * time.Second, background: 0.5, bisect: true, cycles: leakCycles, cool: fullCool * time.Second,
	},
}

// recoveryOf gives an effort's lengths; an unknown effort is Quick.
func recoveryOf(e Effort) recoveryPace {
	if p, ok := recoveryPaces[e]; ok {
		return p
	}
	return recoveryPaces[Quick]
}

// rungWarm is left out of each rung: users and pools settle.
const rungWarm = 5 * time.Second

// longestWatch bounds T_max, which grows with the timeouts of the scenario.
const longestWatch = 10 * time.Minute

func (p recoveryPace) longest() time.Duration {
	if p.most > 0 {
		return p.most
	}
	return longestWatch
}

// usual length of the whole test on a target that heals.
func (p recoveryPace) usual() time.Duration {
	watch := 3*time.Second + p.window + p.relapse
	total := p.patient + p.aborting + 2*watch + 6*time.Second
	if p.rung > 0 {
		total += 2*time.Duration(len(rungs))*(p.rung+rungWarm+2*time.Second) + p.patient + watch
	}
	if p.bisect {
		total += p.patient + watch
	}
	total += time.Duration(p.cycles) * 2 * cycleLength
	return total + max(0, p.cool-watch)
}
