package experiment

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/captest/captest/internal/record"
)

// Capacity is the first figure a closed ramp gives: pure, trials in → answer out.
//
// Confirmed is the goodput of the best level that held every limit, less that level's own 95 % resolution ε. Refuted is the
// highest goodput of any level plus its ε, and only when the ramp found an end: an open load above what the target can
// complete at all must build a backlog. What lies between is not known, and the figure is of one run.
func Capacity(trials []record.Trial, limits []string) record.Capacity {
	c := record.Capacity{SLO: append([]string{}, limits...), LatencyAt: []record.LatencyAt{}}
	levels := closedLevels(trials)
	var within, best *record.Trial
	for _, t := range levels {
		if t.Verdict == verdictPass && (within == nil || t.GoodputPerSecond > within.GoodputPerSecond) {
			within = t
		}
		if best == nil || t.GoodputPerSecond > best.GoodputPerSecond {
			best = t
		}
		c.LatencyAt = append(c.LatencyAt, latencyAt(t))
	}
	if best == nil || best.N == 0 {
		c.Note = "no level completed anything"
		c.Method = "closed ramp"
		return c
	}
	c.MaxPerSecond = ref(best.GoodputPerSecond)
	if within != nil {
		c.PerSecond.Confirmed = ref(within.GoodputPerSecond * (1 - resolution(within)))
		users := 0
		for _, t := range levels {
			if t.Verdict == verdictPass {
				users = max(users, t.Load.Users)
			}
		}
		c.Concurrency.MaxWithinSLO = &users
	}
	if k, ok := knee(asLevels(levels)); ok {
		c.Concurrency.Knee = &k
	}
	if ended(levels) {
		c.PerSecond.Refuted = ref(best.GoodputPerSecond * (1 + resolution(best)))
	} else {
		c.Note = "the ramp ended before more users stopped helping: capacity may be higher"
	}
	if within == nil {
		c.Note = "no level held the limits"
	}
	c.PerMinute = record.Bounds{Confirmed: times60(c.PerSecond.Confirmed), Refuted: times60(c.PerSecond.Refuted)}
	if lo, hi := c.PerSecond.Confirmed, c.PerSecond.Refuted; lo != nil && hi != nil && *lo > 0 {
		c.IntervalPercent = ref(100 * (*hi - *lo) / *lo)
	}
	c.Method = method(limits)
	return c
}

func method(limits []string) string {
	slo := "no limit given: stability (errors<1%)"
	if len(limits) > 0 {
		slo = "limits " + strings.Join(limits, ", ")
	}
	return fmt.Sprintf("closed ramp, one run (within-run resolution, 95 %%), %s; an open load's tail is not judged", slo)
}

// closedLevels are the levels of the ramp and the comparison level, in order of users; trials that say nothing are left out.
func closedLevels(trials []record.Trial) []*record.Trial {
	var out []*record.Trial
	for i := range trials {
		t := &trials[i]
		if t.Seconds < 1 && t.N == 0 {
			continue // ended as it began: a service died, or a person went on
		}
		if t.Load.Users > 0 && t.Verdict != verdictInvalid && t.Verdict != "" && (t.Phase == "baseline" || t.Phase == "ramp" || t.Phase == "level") {
			out = append(out, t)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Load.Users < out[j].Load.Users })
	return out
}

func latencyAt(t *record.Trial) record.LatencyAt {
	l := record.LatencyAt{Users: t.Load.Users, N: t.N, PerSecond: t.GoodputPerSecond}
	for _, f := range []struct {
		to   *float64
		from *float64
	}{{&l.MeanMs, t.Latency.MeanMs}, {&l.P50Ms, t.Latency.P50Ms}, {&l.P95Ms, t.Latency.P95Ms}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return l
}

func asLevels(trials []*record.Trial) []Level {
	out := make([]Level, 0, len(trials))
	for _, t := range trials {
		l := Level{Users: t.Load.Users, PerSecond: t.GoodputPerSecond, Within: t.Verdict == verdictPass, Usable: true}
		if t.Latency.MeanMs != nil {
			l.MeanMs = *t.Latency.MeanMs
		}
		out = append(out, l)
	}
	return out
}

// ended says whether the curve found its end: a limit broke, or the last doublings gained nothing.
func ended(levels []*record.Trial) bool {
	var ramp []Level
	for _, l := range asLevels(levels) {
		if l.Users&(l.Users-1) == 0 { // the comparison level is not part of the doublings
			ramp = append(ramp, l)
		}
	}
	_, why := nextLevel(ramp)
	return why == rampFlat || why == rampLimit
}

// resolution of a trial's throughput as a fraction: ε = z·sqrt(c²/n), z = 1.96, with c² the index of dispersion of its
// one-second counts where the trial has it, and 1 (Poisson) where not. Source: measurement 3.2(a).
func resolution(t *record.Trial) float64 {
	if t.ResolutionPercent != nil {
		return min(1, *t.ResolutionPercent/100)
	}
	if t.N == 0 {
		return 1
	}
	return min(1, 1.96/math.Sqrt(float64(t.N)))
}

func ref(v float64) *float64 { return &v }

func times60(v *float64) *float64 {
	if v == nil {
		return nil
	}
	return ref(*v * 60)
}
