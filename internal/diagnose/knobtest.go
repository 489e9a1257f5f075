package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
)

// alike are causes that predict the same of a setting: changing it confirms none of them while another is not excluded.
func alike(setting string) []string {
	switch {
	case setting == "hash", setting == "hash_cost":
		return []string{"event-loop-blocked", "cpu-bound-hashing"}
	case setting == timeName:
		return []string{"slow-downstream", "pool-too-small", "semaphore-too-small", "unbounded-concurrency"}
	case strings.HasPrefix(setting, "pool."), strings.HasPrefix(setting, "semaphore."): // a restart gives back what leaked, too
		return []string{"slow-downstream", "leaked-connections"}
	}
	return nil
}

// ofKnob predicts test T6 (measurement 5.2): with the setting doubled that limits, throughput is within ±15 % of what the model
// said before. Beside so much other work that captest warns of it a miss says nothing; what is met in spite of it counts.
func ofKnob(s *sight, c *claim) []prediction {
	t, ok := s.test(record.TestKnob, "")
	if !ok || !slices.ContainsFunc(s.ways(c), func(w way) bool { return w.service == t.Where && w.setting == t.Words["knob"] }) {
		return nil
	}
	if s.bestDisturbed() {
		return nil // what it is compared with was measured beside other work
	}
	before, after, predicted := t.Values["before_per_second"], t.Values["after_per_second"], t.Values["predicted_per_second"]
	if !(before > 0 && predicted > 0 && after >= 0) {
		return nil
	}
	p := prediction{
		test: t.Name, what: fmt.Sprintf("throughput with %s.%s at %s instead of %s", t.Where, t.Words["knob"], t.Words["to"], t.Words["from"]),
		measured: after, unit: "/s", expected: fmt.Sprintf("%.3g/s ± %.0f %%, %s limits then; %.3g/s before", predicted, 100*queueing.ModelError, t.Words["limit"], before),
		met: math.Abs(after/predicted-1) <= queueing.ModelError, decides: predicted >= leastGain*before && after >= clearGain*before && !s.shared(t.Words["knob"], c),
	}
	// So few users do not reach the highest throughput that was predicted: below twice the knee not nearly, and up to four times
	// it not quite, where the next limit is near.
	if times := t.Values["users"] / t.Values["predicted_knee_users"]; !p.met && after < predicted && (times < 2 || times < 4 && after >= clearGain*before) {
		return nil
	}
	return s.counted(p, t)
}

// clearGain is what throughput must have risen by for a setting to be confirmed: two throughputs of one load may differ by a tenth.
const clearGain = 1.15

// bestDisturbed says whether other work is known to have taken much of the machine while the highest throughput was measured.
func (s *sight) bestDisturbed() bool {
	o := s.best.OtherWorkPercent
	return o != nil && *o > record.OtherWorkLimit
}

// shared says whether a lookalike that is not excluded predicts the same of a setting.
func (s *sight) shared(setting string, c *claim) bool {
	return slices.ContainsFunc(c.Lookalikes, func(cause string) bool { return slices.Contains(alike(setting), cause) })
}

// elasticityBand is how far a measured elasticity may be from the predicted one: two throughputs, each to some 10 %, and a
// factor of two between them leave ±0.2.
const elasticityBand = 0.3

// ofElasticity predicts test T3 (measurement 5.2). What is full only beyond the highest throughput cannot miss it. A slow downstream and what holds
// permits or connections for it predict the same; that throughput does not care is true of all that computes, and confirms none of it.
func ofElasticity(s *sight, c *claim) []prediction {
	want, ok := elasticities[c.Cause]
	if !ok {
		return nil
	}
	for _, name := range s.downstreamsOf(c) {
		t, ok := s.test(record.TestElasticity, name)
		if !ok {
			continue
		}
		e, known := t.Values["elasticity"]
		if !known || s.bestDisturbed() {
			return nil
		}
		// E is by the time of one hop's calls: of what is held for another hop that time is a part only.
		if caller, callee := t.Words["caller"], t.Words["callee"]; want != 0 && c.Cause != "slow-downstream" && (caller != c.Where || c.to != "" && callee != c.to) {
			return nil
		}
		p := prediction{
			test: t.Name, what: fmt.Sprintf("throughput's elasticity with %s at %s instead of %s", name, t.Words["to"], t.Words["from"]),
			measured: e, expected: fmt.Sprintf("%.0f ± %.1f", want, elasticityBand), met: math.Abs(e-want) <= elasticityBand,
			decides: want != 0 && c.rank == 0 && !s.shared(timeName, c) && !s.others(c, func(o *claim) bool { return elasticities[o.Cause] == want }),
		}
		if c.Cause == "slow-downstream" {
			p.expected, p.met = "below -0.6", e < -0.6
		}
		if want != 0 && s.disturbed(t) {
			return nil // other work lowers throughput too, which looks the same
		}
		if !p.met && c.rank > 0 {
			return nil // it need not limit at the load that was held
		}
		return s.counted(p, t)
	}
	return nil
}

// others says whether another claim of what is slow is such.
func (s *sight) others(c *claim, such func(*claim) bool) bool {
	return slices.ContainsFunc(s.claims, func(o claim) bool {
		return !(o.Cause == c.Cause && o.Where == c.Where && o.to == c.to) && !o.aside && !s.outlasts(&o) && such(&o)
	})
}

// counted leaves out a prediction that was missed beside much other work.
func (s *sight) counted(p prediction, t record.Test) []prediction {
	if !p.met && s.disturbed(t) {
		return nil
	}
	return []prediction{p}
}

// disturbed says whether other work took much of the machine that captest and the target share, or nobody knows how much.
func (s *sight) disturbed(t record.Test) bool {
	other, known := t.Values["other_work_percent"]
	return other > record.OtherWorkLimit || !known && s.run.Info.Host.Colocated
}
