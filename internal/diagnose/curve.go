package diagnose

import (
	"fmt"
	"slices"

	"github.com/captest/captest/internal/queueing"
)

// curveRemarks say what the curve of throughput over users is by itself, and whether the resources that were measured explain
// it.
func (s *sight) curveRemarks() []string {
	var out []string
	if text := s.law(); text != "" {
		out = append(out, text)
	}
	if text := s.missing(); text != "" {
		out = append(out, text)
	}
	return out
}

// law compares models of X(N). With fewer levels than a choice needs there is nothing to say.
func (s *sight) law() string {
	levels := s.levels()
	if len(levels) < fewestLevels {
		return ""
	}
	choice, err := queueing.Choose(levels, s.run.Info.Seed)
	if err != nil {
		return ""
	}
	if r := choice.Refusal; r != nil {
		return "By its curve: " + r.Sentence + "."
	}
	if u := choice.USL; u != nil {
		return fmt.Sprintf("By its curve: a universal scalability law with contention %.3g and coherency %.3g fits best.", u.Sigma.Value, u.Kappa.Value)
	}
	return ""
}

// fewestLevels are what a choice between models needs; a quick run has fewer.
const fewestLevels = 6

// batch is how long the pieces are that a level's noise is taken from, in seconds.
const batch = 2

// levels are the closed loads with their goodput in batches.
func (s *sight) levels() []queueing.Level {
	var out []queueing.Level
	for i := range s.res.Trials {
		t := &s.res.Trials[i]
		if t.Load.Users < 1 || pressing(t.Phase) || t.Verdict == verdictInvalid || t.GoodputPerSecond <= 0 {
			continue
		}
		l := queueing.Level{Users: float64(t.Load.Users), PerSecond: s.batches(i)}
		if t.ErrorPercent != nil {
			l.ErrorRatio = min(1, max(0, *t.ErrorPercent/100))
		}
		if len(l.PerSecond) < 2 {
			l.PerSecond = []float64{t.GoodputPerSecond}
		}
		out = append(out, l)
	}
	return out
}

// batches are a trial's goodput in pieces of equal length, 1/s; what is left over at the end is not among them.
func (s *sight) batches(trial int) []float64 {
	var out []float64
	ok, seconds := 0.0, 0.0
	for i := range s.run.Frames {
		f := &s.run.Frames[i]
		if f.Trial != trial || f.Warmup {
			continue
		}
		n := 0.0
		for j, name := range sorted(f.Steps) {
			if x := f.Steps[name]; x != nil && (j == 0 || float64(x.OK) < n) {
				n = float64(x.OK) // a journey is done when its rarest step is
			}
		}
		ok, seconds = ok+n, seconds+f.Seconds
		if seconds >= batch-0.05 {
			out = append(out, ok/seconds)
			ok, seconds = 0, 0
		}
	}
	return out
}

// missing is the test for a resource that was not measured: the network of those that were gives more than was reached, by
// more than predictions are off.
func (s *sight) missing() string {
	users := s.best.Load.Users
	if users < 1 || users > mostUsers {
		return ""
	}
	sys := s.system()
	if !slices.ContainsFunc(sys.Resources, func(r queueing.Resource) bool { return !r.Overlaps }) {
		return ""
	}
	o, err := sys.Outlook(users)
	if err != nil || !finite(o.Throughput.Low) {
		return ""
	}
	least := o.Throughput.Low * (1 - queueing.ModelError)
	if s.best.GoodputPerSecond >= least || o.Limit.Resource == queueing.Uninstrumented {
		return ""
	}
	return fmt.Sprintf("The resources measured would carry at least %.3g/s with %d users, and %.3g/s were reached: journeys spend time somewhere that shows no metrics.", least, users, s.best.GoodputPerSecond)
}
