package diagnose

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
)

// unevenWork: levels that shared the machine with other work to a degree that differs by so much (percent of the machine) are
// hardly of one system.
const unevenWork = 15

// curve is the model of throughput over users that the closed levels support, or why there is none. nil without two levels.
func curve(run *record.Run, res *record.Result) *record.Curve {
	levels, uneven := curveLevels(run, res)
	if len(levels) < 2 {
		return nil
	}
	c := &record.Curve{Levels: len(levels), Candidates: []record.CurveCandidate{}, Warnings: []string{}}
	choice, err := queueing.Choose(levels, run.Info.Seed)
	if err != nil {
		refuse(c, err)
		return c
	}
	c.Levels -= len(choice.Left)
	c.Warnings = append(c.Warnings, choice.Warnings...)
	if uneven {
		c.Warnings = append(c.Warnings, "other work on the machine took more of it at some levels than at others")
	}
	for _, x := range choice.Candidates {
		c.Candidates = append(c.Candidates, record.CurveCandidate{Shape: string(x.Shape), AICc: finiteOr(x.AICc), ErrorPercent: finiteOr(100 * x.Error)})
	}
	if choice.Refusal != nil {
		refuse(c, choice.Refusal)
	}
	best := choice.Best
	if best.Shape == "" {
		return c
	}
	shape := string(best.Shape)
	c.Shape, c.CeilingPerSecond, c.ErrorPercent = &shape, finiteOr(best.Ceiling), finiteOr(100*best.Error)
	if best.Single > 0 {
		c.SingleMs = finiteOr(1000 * best.Single)
	}
	if best.Servers > 0 {
		servers := best.Servers
		c.Servers, c.DemandMs = &servers, finiteOr(1000*best.Demand)
	}
	if u := choice.USL; u != nil {
		c.Sigma, c.Kappa, c.LambdaPerSecond = interval(u.Sigma), interval(u.Kappa), interval(u.Lambda)
		c.PeakUsers, c.Peaked = interval(u.Peak), u.Peaked
	}
	c.Sentence = sentence(c, best)
	return c
}

// refuse keeps the sentence and the next step.
func refuse(c *record.Curve, err error) {
	c.Refused = err.Error()
	var r *queueing.Refusal
	if errors.As(err, &r) {
		c.Reason, c.Next = string(r.Reason), r.Next
	}
}

// sentence says what the best shape means, in one line.
func sentence(c *record.Curve, best queueing.Candidate) string {
	ceiling := fmt.Sprintf("%.3g/s", best.Ceiling)
	switch best.Shape {
	case queueing.HardBound:
		return "throughput rises with the users to a corner and stays at " + ceiling + ": one resource is full"
	case queueing.ServerStation:
		return fmt.Sprintf("throughput is that of a station of about %d servers at %.3g ms a request: at most %s", best.Servers, 1000*best.Demand, ceiling)
	case queueing.Amdahl:
		if math.IsInf(best.Ceiling, 1) {
			return "throughput grows in proportion to the users: nothing limits it yet"
		}
		return "throughput is limited by a part that serves one request at a time: at most " + ceiling
	default:
		if c.Peaked {
			return fmt.Sprintf("throughput has its peak of %s at about %.3g users and falls beyond (scalability law)", ceiling, c.PeakUsers.Value)
		}
		return "each user costs the others a little (scalability law); no peak of throughput lies within the loads measured"
	}
}

// curveLevels are the closed levels with the goodput of each of their seconds. Of a level measured twice the later valid one counts.
func curveLevels(run *record.Run, res *record.Result) (levels []queueing.Level, uneven bool) {
	batches := map[int][]float64{}
	for i := range run.Frames {
		f := &run.Frames[i]
		if f.Warmup || f.Trial < 0 || f.Seconds < 0.9 {
			continue // the short frames at a trial's ends would be noise
		}
		ok := 0.0
		for _, s := range f.Steps {
			if s != nil {
				ok += float64(s.OK)
			}
		}
		batches[f.Trial] = append(batches[f.Trial], ok/f.Seconds)
	}
	at := map[int]int{} // users → index into levels
	least, most := math.Inf(1), 0.0
	for i := range res.Trials {
		t := &res.Trials[i]
		if t.Load.Users <= 0 || t.N == 0 || t.GoodputPerSecond <= 0 || len(batches[i]) == 0 || !closedLevel(t.Phase) {
			continue
		}
		l := queueing.Level{Users: float64(t.Load.Users), PerSecond: batches[i]}
		if t.ErrorPercent != nil {
			l.ErrorRatio = *t.ErrorPercent / 100
		}
		if t.Verdict == "invalid" {
			if strings.Contains(strings.Join(t.Reasons, "; "), "ended early") {
				continue
			}
			l.Flaw = queueing.GeneratorLimited
		}
		if t.OtherWorkPercent != nil {
			least, most = min(least, *t.OtherWorkPercent), max(most, *t.OtherWorkPercent)
		}
		k, again := at[t.Load.Users]
		switch {
		case !again:
			at[t.Load.Users] = len(levels)
			levels = append(levels, l)
		case l.Flaw == queueing.Sound || levels[k].Flaw != queueing.Sound:
			levels[k] = l
		}
	}
	return levels, most-least > unevenWork
}

func closedLevel(phase string) bool {
	return phase == "baseline" || phase == "ramp" || phase == "level"
}

func interval(i queueing.Interval) *record.CurveInterval {
	if math.IsInf(i.Value, 0) || math.IsNaN(i.Value) {
		return nil
	}
	out := &record.CurveInterval{Low: i.Low, Value: i.Value}
	out.High = finiteOr(i.High)
	return out
}

// finiteOr is nil, unknown, for what is not a finite number.
func finiteOr(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}
