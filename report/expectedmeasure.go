package report

import (
	"fmt"
	"strings"

	"github.com/captest/captest/internal/record"
)

// comparedUsers is the level that the plan's latency and this table's rate are of.
const comparedUsers = 10

// tried is a closed load and how it fared.
type tried struct {
	users  int
	n, bad uint64
}

// closedLoads lists the battery's loads, those of clients that waited. The overload counts with its last answers, which its trial
// does not have. why says what is missing.
func closedLoads(r *record.Result) (out []tried, why string) {
	for _, t := range r.Trials {
		switch {
		case t.Load.Users == 0 || t.Phase == "overload" || t.Phase == "abort" || t.Phase == record.PhaseTests:
		case t.Verdict == "invalid":
			why = lastReason(t)
		case t.N > 0:
			bad := uint64(0)
			if finite(t.ErrorPercent) {
				bad = uint64(*t.ErrorPercent/100*float64(t.N) + 0.5)
			}
			out = append(out, tried{t.Load.Users, t.N, bad})
		}
	}
	if r.Recovery != nil {
		for _, t := range r.Recovery.Triggers {
			if t.Clients == "patient" && t.Users > 0 && t.Requests > 0 {
				out = append(out, tried{t.Users, t.Requests, t.Failed})
			}
		}
	}
	if why == "" && len(out) == 0 {
		why = "nothing completed"
	}
	return out, why
}

// lastReason of a trial that was not valid: that it ended early stands behind what it looked like until then.
func lastReason(t record.Trial) string {
	if len(t.Reasons) == 0 {
		return "its trial was not valid"
	}
	return t.Reasons[len(t.Reasons)-1]
}

// toleratedShare of failed requests, in a load that counts as carried.
const toleratedShare = 0.01

func maxConcurrent(r *record.Result) (*ExpectedMeasure, string) {
	loads, why := closedLoads(r)
	if len(loads) == 0 {
		return nil, why
	}
	m := &ExpectedMeasure{Unit: "users"}
	most, broke := tried{}, tried{}
	for _, l := range loads {
		switch {
		case float64(l.bad) < toleratedShare*float64(l.n):
			if broke.users == 0 && l.users > most.users {
				most = l
			}
		case broke.users == 0:
			broke = l
		}
	}
	v := float64(most.users)
	m.Value, m.N = &v, most.n+broke.n
	switch {
	case broke.users == 0:
		m.Text = fmt.Sprintf("≥ %d, the most tried: %d of %s failed", most.users, most.bad, count(most.n))
	case most.users == 0:
		m.Text = fmt.Sprintf("0: %s of %s failed at %d", count(broke.bad), count(broke.n), broke.users)
	default:
		m.Text = fmt.Sprintf("%d to %d: %s of %s failed at %d", most.users, broke.users-1, count(broke.bad), count(broke.n), broke.users)
	}
	return m, ""
}

func recoveryAfter(r *record.Result) (*ExpectedMeasure, string) {
	x := r.Recovery
	if x == nil || x.Class == record.NotTested || x.Class == "" {
		return nil, "the run ended before it was known"
	}
	m := &ExpectedMeasure{Unit: "seconds", Value: x.Seconds, Half: x.ResolutionSeconds, N: uint64(len(x.Triggers)), Text: x.Class}
	if finite(x.Seconds) {
		m.Text += " in " + tenths(*x.Seconds)
		if finite(x.ResolutionSeconds) {
			m.Text += " ± " + tenths(*x.ResolutionSeconds)
		}
	} else if x.WatchedSeconds > 0 {
		m.Text += ": not back after " + tenths(x.WatchedSeconds)
	}
	if x.Restart != nil && x.Restart.Cured {
		m.Text += "; restarting " + strings.Join(x.Restart.Services, ", ") + " cured it"
	}
	m.Text += fmt.Sprintf(" (n = %s)", plural(m.N, "overload", "overloads"))
	return m, ""
}

// atTen gives the trial at ten users, or why there is none.
func atTen(r *record.Result) (*record.Trial, string) {
	for i := range r.Trials {
		t := &r.Trials[i]
		if t.Load.Users != comparedUsers || t.Phase == "overload" || t.Phase == "abort" || t.Phase == record.PhaseTests {
			continue
		}
		switch {
		case t.Verdict == "invalid":
			return nil, lastReason(*t)
		case t.N == 0:
			return nil, "nothing completed at 10 users"
		}
		return t, ""
	}
	return nil, "the run ended before it came to 10 users"
}

// around adds ± and n to a figure.
func around(m *ExpectedMeasure, format func(float64) string, percentHalf *float64) {
	m.Text = format(*m.Value)
	switch {
	case finite(percentHalf):
		half := *m.Value * *percentHalf / 100
		m.Half = &half
		m.Text += " ± " + format(half)
	default:
		m.Text += " ± unknown"
	}
	m.Text += " (n = " + count(m.N) + ")"
}

func usersPerMinute(r *record.Result) (*ExpectedMeasure, string) {
	t, why := atTen(r)
	if t == nil {
		return nil, why
	}
	v := 60 * t.GoodputPerSecond
	m := &ExpectedMeasure{Unit: "per_minute", Value: &v, N: t.N}
	around(m, digits3, t.ResolutionPercent)
	return m, ""
}

func latencyAtTen(r *record.Result) (*ExpectedMeasure, string) {
	t, why := atTen(r)
	if t == nil {
		return nil, why
	}
	if !finite(t.Latency.MeanMs) {
		return nil, "no response time was recorded"
	}
	v := *t.Latency.MeanMs
	m := &ExpectedMeasure{Unit: "ms", Value: &v, N: t.N}
	around(m, millis, t.ResolutionPercent)
	return m, ""
}

func stability(r *record.Result) (*ExpectedMeasure, string) {
	loads, why := closedLoads(r)
	var n, bad uint64
	for _, l := range loads {
		n, bad = n+l.n, bad+l.bad
	}
	if n == 0 {
		return nil, why
	}
	v := 100 * float64(bad) / float64(n)
	m := &ExpectedMeasure{Unit: "percent", Value: &v, N: n, Text: fmt.Sprintf("%s of %s failed", count(bad), count(n))}
	switch x := r.Recovery; {
	case x == nil || x.CooledSeconds == nil || r.Run.Interrupted:
		m.Text += "; leaks not measured"
	case len(x.Leaks) == 0:
		m.Text += "; no leak seen"
	default:
		m.Text += "; " + plural(uint64(len(x.Leaks)), "leak", "leaks")
	}
	if x := r.Recovery; x != nil && x.Health != nil && x.Health.Deceived {
		m.Text += "; healthy face without function for " + tenths(x.Health.Deceptive)
	}
	if len(r.Brakes) > 0 {
		m.Text += "; the safety brake was pulled"
	}
	return m, ""
}
