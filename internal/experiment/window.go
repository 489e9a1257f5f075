package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// bins waits for d and looks at the trial's sums five times a second: parts of search.BinSeconds. Workers never notice: a look takes the recorder's lock,
// not theirs.
func (x *experiment) bins(ctx context.Context, done <-chan struct{}, d time.Duration) []search.Bin {
	var b []search.Bin
	length := seconds(search.BinSeconds)
	per := x.perJourney()
	from := x.now()
	last := x.Recorder.Cut()
	for k := time.Duration(1); k*length <= d; k++ {
		if !x.wait(ctx, done, from+k*length-x.now()) {
			select {
			case <-ctx.Done():
				return b
			default: // an open load ends a moment before its window
			}
		}
		s := x.Recorder.Cut()
		b = append(b, bin(last, s, per))
		last = s
	}
	x.wait(ctx, done, from+d-x.now())
	return b
}

func bin(from, to record.TrialSums, per float64) search.Bin {
	n := float64(to.N) - float64(from.N)
	b := search.Bin{Completed: n / per, OK: (float64(to.OK) - float64(from.OK)) / per, InFlight: max(0, float64(to.InFlight))}
	if n > 0 {
		b.MeanMs = max(0, (total(to)-total(from))/n)
	}
	return b
}

// total of the response times, ms.
func total(s record.TrialSums) float64 {
	if s.Latency.MeanMs == nil {
		return 0
	}
	return *s.Latency.MeanMs * float64(s.N)
}

// figures puts a trial's sums into the search's terms: counts are of journeys.
func (x *experiment) figures(sums record.TrialSums, bins []search.Bin, began time.Duration) search.Window {
	per := x.perJourney()
	w := search.Window{
		Seconds: sums.Seconds, Offered: float64(sums.Started)/per + float64(sums.Dropped), Dropped: float64(sums.Dropped),
		Completed: float64(sums.N) / per, OK: float64(sums.OK) / per, Bins: bins,
		Unsent:      x.unsent(sums) / per,
		Stalled:     x.Observer.StoodStill(began.Nanoseconds()).Seconds(),
		LocalErrors: float64(sums.Errors[record.ErrorLocal.String()]),
	}
	w.MeanMs, _ = sums.Value("", "mean", 0)
	w.P50Ms, _ = sums.Value("", "p", 50)
	w.P95Ms, _ = sums.Value("", "p", 95)
	w.SDMs = deviation(sums.Response)
	if sums.LagP99Ms != nil {
		w.LagP99Ms = *sums.LagP99Ms
	}
	if sums.ConnWaitP99Ms != nil {
		w.ConnWaitMs = *sums.ConnWaitP99Ms
	}
	if cpu, ok := x.Observer.GeneratorCPU(began.Nanoseconds()); ok {
		w.CPU = cpu / 100 / float64(x.progress.cores)
	}
	for _, l := range x.Limits {
		if !l.LoadLevel() {
			continue
		}
		v, ok := sums.Value(l.Step, l.Metric, l.Quantile)
		if !ok {
			w.Broken = append(w.Broken, l.Expr+": no data")
			continue
		}
		if !l.Holds(v) {
			w.Broken = append(w.Broken, fmt.Sprintf("%s: %.4g %s", l.Expr, v, l.Unit))
		}
		if l.Unit == "ms" && l.Op[0] == '<' && l.Value > 0 {
			w.Excess = max(w.Excess, v/l.Value)
			if w.AllowedMs == 0 || l.Value < w.AllowedMs {
				w.AllowedMs = l.Value
			}
		}
	}
	return w
}

// unsent counts the requests that journeys did not come to because one before failed: they are missing for the target's sake and
// not because captest began too few.
func (x *experiment) unsent(sums record.TrialSums) float64 {
	missing, left, alternatives := 0.0, x.perJourney(), false
	for _, step := range x.Scenario.Steps {
		if step.Weight <= 0 || !alternatives {
			left--
		}
		alternatives = step.Weight > 0
		s := sums.Steps[step.Name]
		missing += left * float64(s.N-min(s.N, s.OK))
	}
	return missing
}

// deviation is the standard deviation of a histogram, ms.
func deviation(h *record.Histogram) float64 {
	if h == nil || h.N() == 0 {
		return 0
	}
	mean, sum := h.MeanMs(), 0.0
	h.Each(func(from, to float64, n uint64) {
		d := (from+to)/2 - mean
		sum += d * d * float64(n)
	})
	return math.Sqrt(sum / float64(h.N()))
}
