package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// capacityLabel heads the answer of a capacity run.
const capacityLabel = "Capacity"

// longerTrial is the load of a last trial that was to confirm the lower end and did not hold, and why; 0 for none.
func longerTrial(r *record.Result) (perSecond float64, why string) {
	for _, t := range r.Trials {
		if t.Phase == "confirm" && t.Verdict == "fail" {
			perSecond, why = t.Load.RatePerSecond, ""
			if len(t.Reasons) > 0 {
				why = t.Reasons[0]
			}
		}
	}
	return perSecond, why
}

// heldShortly says whether any shorter open trial held.
func heldShortly(r *record.Result) bool {
	return slices.ContainsFunc(r.Trials, func(t record.Trial) bool {
		return (t.Phase == "bracket" || t.Phase == "classify") && t.Verdict == "pass"
	})
}

func capacityFact(r *record.Result) fact {
	f := fact{Label: capacityLabel}
	c := r.Capacity
	switch {
	case finite(c.PerSecond.Confirmed):
		bounded := finite(c.PerSecond.Refuted) && *c.PerSecond.Refuted > *c.PerSecond.Confirmed
		f.Value, f.Unit = digits3(*c.PerSecond.Confirmed), noun(r)+"/s"
		if bounded {
			f.Value += "–" + digits3(*c.PerSecond.Refuted)
		}
		if finite(c.PerMinute.Confirmed) {
			f.Detail = "= " + digits3(*c.PerMinute.Confirmed)
			if bounded && finite(c.PerMinute.Refuted) {
				f.Detail += "–" + digits3(*c.PerMinute.Refuted)
			}
			f.Detail += " " + perMinuteNoun(r)
		}
		end := ""
		if bounded {
			end = "the lower end "
		}
		word := end + "confirmed"
		switch at, why := longerTrial(r); {
		case c.Kind == "":
			word = "confirmed"
		case c.Foreseen.Counts(): // neither end need be a load that was tried
			word = "by open loads and theory of one queue"
			if c.Confirmation && c.Tried != nil && c.Tried.Confirmed != nil {
				word += ": a longer trial at " + digits3(*c.Tried.Confirmed) + "/s held"
			}
		case c.Collapse != nil && c.Tried != nil && c.Tried.Confirmed != nil:
			word = "for ten minutes, by theory of how it collapses: " + digits3(*c.Tried.Confirmed) + "/s held for " + digits3(c.Collapse.HeldSeconds) + " s"
		case c.Confirmation:
		case c.Tried != nil && c.Tried.Confirmed == nil && at > 0 && heldShortly(r):
			word = join(end+"estimated from all trials: what held in a short one did not in a longer one at "+digits3(at)+"/s", ": ", why)
		case c.Tried != nil && c.Tried.Confirmed == nil:
			word = end + "estimated from all trials: no open load held"
		case at > 0:
			word = join(end+"held, but a longer trial at "+digits3(at)+"/s did not", ": ", why)
		default:
			word = end + "held, not confirmed by a longer trial"
		}
		if most := c.Concurrency.MaxWithinSLO; most != nil {
			held := plural(uint64(max(0, *most)), "user", "users")
			if c.Kind == "" {
				word += " at " + held
			} else {
				word += "; limits held up to " + held
			}
		}
		f.Detail = join(f.Detail, ", ", word)
		switch {
		case bounded:
			f.Detail = join(f.Detail, "; ", brokeAt(r))
		case brokeAt(r) != "":
			f.Detail += "; " + brokeAt(r)
		default:
			f.Detail += "; no load broke a limit, so it may be more"
		}
	case finite(c.PerSecond.Refuted):
		f.Value, f.Unit, f.Tone = "below "+digits3(*c.PerSecond.Refuted), noun(r)+"/s", "bad"
		f.Detail = "no open load tried held"
		if c.Kind == "" {
			f.Detail = "no load tried held every limit"
		}
		if finite(c.MaxPerSecond) {
			f.Detail += "; most seen at any load " + digits3(*c.MaxPerSecond) + "/s"
		}
	default:
		f.Value, f.Tone = unknown, "dim"
		f.Detail = c.Note
		if finite(c.MaxPerSecond) {
			f.Detail = join("most seen at any load "+digits3(*c.MaxPerSecond)+"/s", "; ", c.Note)
		}
	}
	return f
}

// brokeAt names the smallest load above the confirmed one that failed.
func brokeAt(r *record.Result) string {
	at := -1
	for i, t := range r.Trials {
		if t.Verdict != "fail" || t.Load.Users == 0 || gate.Stimulus(t.Phase) {
			continue
		}
		if m := r.Capacity.Concurrency.MaxWithinSLO; m != nil && t.Load.Users <= *m {
			continue
		}
		if at < 0 || t.Load.Users < r.Trials[at].Load.Users {
			at = i
		}
	}
	if at < 0 {
		return ""
	}
	return gate.Load(r.Trials[at].Load) + " broke a limit"
}

// loadLabel heads the answer of a fixed run.
const loadLabel = "Load"

// loadFact sums a fixed run up: "100 journeys, 20 at a time: 100 ok in 13.2 s".
func loadFact(r *record.Result) fact {
	f := fact{Label: loadLabel}
	completed, ok := requests(r)
	if completed == 0 {
		f.Value, f.Tone, f.Detail = unknown, "dim", "no request completed"
		return f
	}
	what := "journeys"
	if len(r.Steps) > 1 { // several steps or alternatives: journeys cannot be told from requests here
		what = "requests"
	}
	f.Value, f.Unit = count(completed), what
	var shape string
	if len(r.Trials) > 0 {
		switch l := r.Trials[0].Load; {
		case len(r.Trials) > 1:
		case l.Users > 0:
			shape = ", " + count(uint64(l.Users)) + " at a time"
		case l.RatePerSecond > 0:
			shape = " at " + digits3(l.RatePerSecond) + "/s"
		}
	}
	f.Unit += shape
	f.Detail = count(ok) + " ok"
	if s := loadSeconds(r); s > 0 {
		f.Detail += " in " + seconds(s)
		perSecond := float64(ok) / s
		if len(r.Trials) == 1 { // its measured part leaves the warm-up out
			perSecond = r.Trials[0].GoodputPerSecond
		}
		f.Detail += " = " + digits3(perSecond) + "/s, " + digits3(perSecond*60) + "/minute"
	}
	f.Tone = "good"
	if ok < completed {
		f.Tone = "bad"
	}
	return f
}

func loadSeconds(r *record.Result) float64 {
	if finite(r.Run.LoadSeconds) {
		return *r.Run.LoadSeconds
	}
	sum := 0.0
	for _, t := range r.Trials {
		sum += t.Seconds
	}
	return sum
}

// tenUsers is the level the incident quotes its latency at, and so the level quoted first.
const tenUsers = 10

func latencyFact(r *record.Result) fact {
	f := fact{Label: "Latency"}
	if at, ok := levelNear(r.Capacity.LatencyAt, tenUsers); ok && r.Run.Plan == gate.PlanCapacity {
		f.Value, f.Unit = millis(at.MeanMs), "mean at "+plural(uint64(max(0, at.Users)), "user", "users")
		f.Detail = fmt.Sprintf("p50 %s, p95 %s (n = %s)", millis(at.P50Ms), millis(at.P95Ms), count(at.N))
		return f
	}
	if len(r.Trials) == 1 && r.Trials[0].N > 0 && finite(r.Trials[0].Latency.MeanMs) {
		t := r.Trials[0]
		f.Value, f.Unit = millis(*t.Latency.MeanMs), "mean"
		f.Detail = fmt.Sprintf("p50 %s, p95 %s, max %s (n = %s)", opt(t.Latency.P50Ms, millis, unknown),
			opt(t.Latency.P95Ms, millis, unknown), opt(t.Latency.MaxMs, millis, unknown), count(t.N))
		return f
	}
	f.Value, f.Tone = unknown, "dim"
	return f
}

// levelNear is the level at users, or else the largest below it, or else the smallest.
func levelNear(levels []record.LatencyAt, users int) (record.LatencyAt, bool) {
	at := -1
	for i, l := range levels {
		if l.N == 0 {
			continue
		}
		switch {
		case at < 0,
			l.Users <= users && (levels[at].Users > users || l.Users > levels[at].Users),
			l.Users > users && levels[at].Users > users && l.Users < levels[at].Users:
			at = i
		}
	}
	if at < 0 {
		return record.LatencyAt{}, false
	}
	return levels[at], true
}

func recoveryFact(r *record.Result) fact {
	f := fact{Label: "Recovery"}
	v := r.Recovery
	if v == nil || v.Class == "" || v.Class == record.NotTested {
		f.Value, f.Tone, f.Detail = "not tested", "dim", "no overload was tried"
		if v != nil && v.Summary != "" {
			f.Detail = v.Summary
		}
		return f
	}
	f.Value, f.Detail = v.Class, v.Summary
	if v.SubClass != "" {
		f.Value += " (" + v.SubClass + ")"
	}
	switch {
	case finite(v.Seconds):
		f.Unit = "in " + tenths(*v.Seconds)
	case v.Class == record.Stuck || v.Class == record.StuckRestart:
		f.Unit = "for " + tenths(v.WatchedSeconds)
	}
	switch v.Class {
	case record.SelfHealing:
		f.Tone = "good"
	case record.Slow, record.Degraded:
	default:
		f.Tone = "bad"
	}
	return f
}

func connectionsFact(r *record.Result) fact {
	f := fact{Label: "Connections"}
	c := r.Connections.Client
	if c.Opened == 0 && c.Reused == 0 {
		f.Value, f.Tone = unknown, "dim"
	} else {
		f.Value, f.Unit = count(c.Opened), "opened"
		f.Detail = opt(c.ReusedPercent, percent, unknown) + " reused, peak " + count(uint64(max(0, c.PeakOpen)))
		if n := c.ClosedBy[record.ByTarget.String()] + c.ClosedBy[record.ByTargetIdle.String()]; n > 0 {
			f.Detail += ", " + count(n) + " closed by the target"
		}
		if n := c.ClosedBy[record.ByReset.String()]; n > 0 {
			f.Detail += ", " + count(n) + " reset"
		}
	}
	if down := downstreamPhrases(r.Connections.Target); len(down) > 0 {
		f.Detail = join(f.Detail, "; ", "per request the target opened "+strings.Join(down, ", "))
	}
	return f
}

// downstreamPhrases: "user→billing 0.01", in a fixed order.
func downstreamPhrases(target map[string]record.TargetConnections) []string {
	var list []string
	for _, service := range sortedKeys(target) {
		for _, to := range sortedKeys(target[service].Downstream) {
			d := target[service].Downstream[to]
			if finite(d.OpenedPerRequest) {
				list = append(list, service+"→"+to+" "+digits3(*d.OpenedPerRequest))
			}
		}
	}
	return list
}

func baselineFact(b *record.Baseline) fact {
	f := fact{Label: baselineName(b.Name)}
	if finite(b.Measured.MeanMs) {
		f.Value, f.Unit = millis(*b.Measured.MeanMs), "at its hop"
		if finite(b.Measured.N) {
			f.Unit += " (n = " + number(*b.Measured.N) + ")"
		}
	} else {
		f.Value, f.Tone = unknown, "dim"
	}
	f.Detail = "claimed " + opt(b.Claimed.MeanMs, millis, unknown) + " and " + opt(b.Claimed.PerSecond, digits3, unknown) + "/s"
	if b.Provenance != "" {
		f.Detail += " (" + b.Provenance + ")"
	}
	if finite(b.Measured.PerSecond) {
		f.Detail += "; asked for " + digits3(*b.Measured.PerSecond) + "/s here"
	}
	if d := b.Direct; d != nil && finite(d.PerSecond) && finite(d.MeanMs) && b.DirectUsers != nil {
		f.Detail += "; straight at it " + digits3(*d.PerSecond) + "/s at " + millis(*d.MeanMs) + ", " + count(uint64(max(0, *b.DirectUsers))) + " at a time"
		if finite(b.NeedsInFlight) {
			f.Detail += " (the claim takes " + digits3(*b.NeedsInFlight) + ")"
		}
	}
	return f
}

func baselineName(name string) string {
	if name == "killbill" {
		return "Kill Bill"
	}
	return name
}

// exoneration reads caller-side against callee-side duration of the same call.
func exoneration(b *record.Baseline) string {
	if !finite(b.CallerMs) || !finite(b.CalleeMs) || *b.CalleeMs <= 0 {
		return ""
	}
	s := fmt.Sprintf("The caller waits %s for a callee that works %s.", millis(*b.CallerMs), millis(*b.CalleeMs))
	if *b.CallerMs >= 2**b.CalleeMs { // below twice, transfer and scheduling may be all of it
		return s + " The time is lost on the caller's side."
	}
	return s + " No time is lost between them."
}

func join(a, sep, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
