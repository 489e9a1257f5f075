package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

// Sizes of the burst test.
const (
	burstRequests = 16
	burstFewest   = 8 // requests, for a target that would take too long over more
	burstRepeats  = 5
	burstSingles  = 6
	testPause     = 100 * time.Millisecond // between loads of a test
	burstBudget   = 9 * time.Second        // for the bursts together, as far as the search can tell
	burstPatience = 0.7                    // of the step's timeout, beyond which the last answers would not come
)

// unsized is why a test is not made whose size is taken from what the search has found.
const unsized = "no load of the search counts, so that nothing says how much the target carries"

// burstTest releases requests at once on a target at rest, each on a connection that is open already, and sees how their answers
// come: in single file, in groups, late and all together, or as if each were alone. Source: measurement 5.2, T1.
func (x *experiment) burstTest(ctx context.Context) (record.Test, error) {
	service, path := x.trivial()
	out := record.Test{Where: service, Words: map[string]string{"step": x.Scenario.Steps[0].Name}}
	allowed := x.Scenario.Steps[0].Timeout
	if allowed <= 0 {
		allowed = scenarios.DefaultTimeout
	}
	n, repeats, each := burstSize(x.base.MedianMs/1000, search.Best(x.found), allowed.Seconds())
	switch {
	case search.Best(x.found) <= 0:
		out.Skipped = unsized
		return out, nil
	case each >= burstPatience*allowed.Seconds():
		out.Skipped = fmt.Sprintf("a burst of %d would take about %.1f s, too near to the step's timeout of %s", burstFewest, each, allowed)
		return out, nil
	case repeats < 2:
		out.Skipped = fmt.Sprintf("a burst of %d would take about %.0f s", burstFewest, each)
		return out, nil
	}
	x.testSent = true
	timeout := seconds(3*each) + 5*time.Second
	dialled := 0
	var alone []float64
	for range burstSingles {
		a, err := x.Asker.Burst(ctx, 1, path, timeout)
		if err != nil {
			return out, err
		}
		dialled += x.count(a)
		if a[0].OK() {
			alone = append(alone, a[0].Took.Seconds())
		}
	}
	var bursts [][]float64
	failed, class := 0, record.ErrorNone
	for range repeats {
		answers, err := x.Asker.Burst(ctx, n, path, timeout)
		if err != nil {
			return out, err
		}
		var took []float64
		dialled += x.count(answers)
		for _, a := range answers {
			if a.OK() {
				took = append(took, a.Took.Seconds())
				continue
			}
			failed, class = failed+1, a.Class
		}
		bursts = append(bursts, took)
		if failed > 0 && x.drain(ctx) == search.Wounded {
			break
		}
		if err := sleep(ctx, testPause); err != nil {
			return out, err
		}
	}
	if dialled > 0 { // their times hold a dial: of the service's answers they say nothing
		out.Skipped = fmt.Sprintf("connections are not kept: %d requests had to open one anew", dialled)
		return out, nil
	}
	x.aloneMs = over(alone, 0.001)
	s, err := queueing.EstimateStaircase(alone, bursts)
	if err != nil {
		out.Skipped = err.Error()
		if failed > 0 {
			out.Skipped = fmt.Sprintf("%d of %d requests that came at once failed (%s)", failed, n*len(bursts), class)
		}
		return out, nil
	}
	out.Words["form"] = string(s.Form)
	out.Values = map[string]float64{
		"requests": float64(n), "bursts": float64(s.Bursts), "single_ms": 1000 * median(alone), "first_ms": 1000 * s.First, "last_ms": 1000 * s.Last, "variation": s.Variation,
		"failed_percent": 100 * float64(failed) / float64(n*len(bursts)),
	}
	if s.Form != queueing.Unclear {
		out.Values["servers"], out.Values["servers_low"] = s.Servers.Value, s.Servers.Low
	}
	if s.Form != queueing.Unclear && s.Form != queueing.Together { // of those there is no upper bound, and nobody waited
		out.Values["servers_high"] = s.Servers.High
		out.Values["slope_ms"], out.Values["slope_low_ms"], out.Values["slope_high_ms"] = 1000*s.Slope.Value, 1000*s.Slope.Low, 1000*s.Slope.High
		out.Values["service_ms"] = 1000 * s.Service
	}
	return out, nil
}

// count adds answers to what tests have asked for and says how many of them came on a connection that had to be opened.
func (x *experiment) count(answers []drive.Asked) (dialled int) {
	for i := range answers {
		a := &answers[i]
		x.asked.Requests++
		if !a.OK() {
			x.asked.Failed++
		}
		if a.Class == record.ErrorTimeout {
			x.asked.Aborted++
		}
		if a.Dial > 0 {
			dialled++
		}
	}
	return dialled
}

// countCrowd adds a crowd's requests to what tests have asked for.
func (x *experiment) countCrowd(c drive.CrowdSent) {
	x.asked.Requests, x.asked.Failed, x.asked.Aborted = x.asked.Requests+c.Requests, x.asked.Failed+c.Failed, x.asked.Aborted+c.TimedOut
}

// burstSize is how many requests, how often (0: not at all), and how long a burst takes at least (s): n are answered at the highest
// rate the target has shown, after the time of one. The last of them must be well within what a request is allowed (s).
func burstSize(single, perSecond, allowed float64) (n, repeats int, each float64) {
	if perSecond <= 0 {
		return burstFewest, 0, single
	}
	for _, n = range []int{burstRequests, burstFewest} {
		each, repeats = single+float64(n)/perSecond, 0
		if each < burstPatience*allowed {
			repeats = min(burstRepeats, int(burstBudget.Seconds()/each))
		}
		if repeats >= 2 {
			break
		}
	}
	return n, repeats, each
}

// trivial is a path of the first step's service that takes no work, and the service: its health check, or one that is not there.
func (x *experiment) trivial() (service, path string) {
	s, ok := x.Target.Find(x.Scenario.Steps[0].Service)
	if !ok || s.Health == "" {
		return s.Name, "/captest-asks-for-nothing"
	}
	return s.Name, s.Health
}

// singleMs is what the step takes alone and that figure's standard error, ms: as the burst test met it, or else as the quiet baseline
// did, which is longer ago. Both are medians, whose error is √(π/2) times that of a mean.
func (x *experiment) singleMs() (ms, err float64) {
	const asMean = 1.2533 // √(π/2)
	if n := len(x.aloneMs); n >= 3 {
		_, err := meanAndError(x.aloneMs)
		return median(slices.Clone(x.aloneMs)), asMean * err
	}
	if x.base.N < 2 {
		return x.base.MedianMs, 0
	}
	return x.base.MedianMs, asMean * (x.base.P95Ms - x.base.MedianMs) / 1.645 / math.Sqrt(float64(x.base.N)) // 1.645 standard deviations up lies the 95th percentile
}

// median of values, which it sorts.
func median(v []float64) float64 { return quiet(v).MedianMs }

// failedPercent of a crowd.
func failedPercent(c drive.CrowdSums) float64 {
	return 100 * float64(c.Failed) / max(1, float64(c.OK+c.Failed))
}
