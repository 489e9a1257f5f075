package experiment

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// capacityOf writes an answer in run.json's words. per is how many requests a journey makes: figures count requests.
func capacityOf(p search.Plan, found []search.Trial, per float64) record.Capacity {
	a := p.Answer(found)
	c := record.Capacity{
		SLO: append([]string{}, p.Limits...), LatencyAt: []record.LatencyAt{}, Kind: record.KindStability, Repeatability: record.WithinRun,
		PerSecond:    record.Bounds{Confirmed: positive(a.Confirmed * per), Refuted: positive(a.Refuted * per)},
		MaxPerSecond: positive(a.Best * per), Confirmation: a.IsConfirmed, Method: a.Method, Note: a.Note,
		PromisedPercent: positive(100 * a.Promised), PlannedPercent: positive(100 * a.Planned), GeneratorLimit: a.GeneratorLimit,
		Concurrency: record.Concurrency{Knee: positive(a.Knee)},
	}
	if len(p.Limits) > 0 {
		c.Kind = record.KindLimits
	}
	if a.Users > 0 {
		c.Concurrency.MaxWithinSLO = &a.Users
	}
	if a.Lower > 0 || a.Upper > 0 {
		c.Tried = &record.Bounds{Confirmed: positive(a.Lower * per), Refuted: positive(a.Upper * per)}
	}
	if a.Lower > 0 {
		c.ResolutionPercent = positive(100 * a.Resolution)
	}
	c.MeanMs, c.MeanHalfMs = positive(a.MeanMs), positive(a.MeanHalfMs)
	if a.Credible != nil {
		c.Credible90 = &record.Bounds{Confirmed: positive(a.Credible.Low * per), Refuted: positive(a.Credible.High * per)}
		c.NoisyTarget = a.Credible.Noisy()
	}
	if f := a.Foreseen; f != nil {
		c.Foreseen = &record.Foreseen{PerSecond: f.PerSecond * per, Percent: f.Percent, BusyPerSecond: f.Busy * per, Variability: f.C2, Against: f.Against}
	}
	if g := a.Aging; g != nil {
		c.Aging = &record.Aging{LostPercent: g.Percent, Seconds: g.Seconds, LikelyPercent: 100 * g.Likely}
	}
	if x := a.Collapse; x != nil {
		c.Collapse = &record.Collapse{SlowerPercent: x.SlowerPercent, LoweredPercent: x.LoweredPercent, HeldSeconds: x.Seconds}
	}
	c.PerMinute = record.Bounds{Confirmed: times60(c.PerSecond.Confirmed), Refuted: times60(c.PerSecond.Refuted)}
	c.IntervalPercent = positive(100 * a.Width)
	for _, t := range search.Levels(found) {
		w := &t.Window
		c.LatencyAt = append(c.LatencyAt, record.LatencyAt{
			Users: t.Action.Users, N: uint64(w.Completed*per + 0.5), MeanMs: w.MeanMs, P50Ms: w.P50Ms, P95Ms: w.P95Ms, PerSecond: w.Goodput() * per,
		})
	}
	return c
}

// positive is nil, unknown, for what is not above zero.
func positive(v float64) *float64 {
	if v > 0 && !math.IsInf(v, 0) {
		return &v
	}
	return nil
}

// Capacity is the figure that closed levels alone give, for a run whose search did not live to state its own: pure, trials in →
// answer out.
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
	if k, ok := search.Knee(asSearch(levels)); ok {
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

func asSearch(trials []*record.Trial) []search.Trial {
	out := make([]search.Trial, 0, len(trials))
	for _, t := range trials {
		phase := search.PhaseRamp
		if t.Load.Users&(t.Load.Users-1) != 0 {
			phase = search.PhaseLevel // the comparison level is not part of the doublings
		}
		w := search.Window{Seconds: t.Seconds, Completed: float64(t.N), OK: t.GoodputPerSecond * t.Seconds}
		if t.Latency.MeanMs != nil {
			w.MeanMs = *t.Latency.MeanMs
		}
		out = append(out, search.Trial{Action: search.Action{Kind: search.Closed, Phase: phase, Users: t.Load.Users}, Window: w, Verdict: search.Verdict{Outcome: search.Outcome(t.Verdict)}})
	}
	return out
}

// ended says whether the curve found its end: a limit broke, or the last doublings gained nothing.
func ended(levels []*record.Trial) bool { return search.Ended(asSearch(levels)) }

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
