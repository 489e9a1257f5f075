package experiment

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/internal/experiment/search"
	"github.com/captest/captest/internal/record"
)

// Sizes of the short-circuit test.
const (
	shortAsked  = 10
	shortLoaded = 2 * time.Second
	shortFewest = 3
	shortMost   = 5000 // requests beside the refusals
)

// shortCircuitTest sends the step with an empty object, which a service that validates refuses at once. What a good request takes
// more than that lies behind the validation; and where a refusal waits under load, something is shared before it. Source:
// measurement 5.2, T4.
func (x *experiment) shortCircuitTest(ctx context.Context) (record.Test, error) {
	step := x.Scenario.Steps[0]
	s, _ := x.Target.Find(step.Service)
	out := record.Test{Where: s.Name, Words: map[string]string{"step": step.Name}}
	if step.Request.JSON == nil || writes(step) == 0 {
		out.Skipped = "the step sends no JSON object that could be left empty"
		return out, nil
	}
	x.testSent = true
	ms, why, err := x.refusals(ctx, shortAsked, 0)
	switch {
	case err != nil:
		return out, err
	case why != "":
		out.Skipped = why
		return out, nil
	}
	short := median(ms)
	alone, _ := x.singleMs()
	out.Values = map[string]float64{"refused": float64(len(ms)), "refused_ms": short, "single_ms": alone, "behind_percent": 100 * max(0, 1-short/alone)}
	users := x.kneeUsers(2)
	if users < 2 {
		return out, nil
	}
	var wg sync.WaitGroup
	var crowd drive.CrowdSums
	var crowdErr error
	wg.Go(func() {
		crowd, crowdErr = x.Asker.Crowd(ctx, users, drive.KeptConnections, shortLoaded, shortMost)
	})
	loaded, _, err := x.refusals(ctx, 3*shortAsked, shortLoaded)
	wg.Wait()
	if err != nil || crowdErr != nil {
		return out, cmp.Or(err, crowdErr)
	}
	x.countCrowd(crowd.Sent)
	if len(loaded) >= shortFewest && crowd.OK > 0 {
		mean, _ := meanAndError(loaded)
		out.Values["load_users"], out.Values["load_step_ms"], out.Values["load_refused_ms"] = float64(users), 1000*crowd.Mean.Seconds(), mean
	}
	return out, nil
}

// refusals asks one after the other, at most n times and, unless it is 0, for so long, and gives the times of those that were
// refused, ms, or why the test cannot be made: an empty object was taken for a good one, or not answered.
func (x *experiment) refusals(ctx context.Context, n int, length time.Duration) (ms []float64, why string, err error) {
	began := x.now()
	for range n {
		if length > 0 && x.now()-began > length {
			break
		}
		a, ok, err := x.Asker.Empty(ctx, 0)
		if ok && err == nil {
			x.asked.Requests++
			if a.Status == 0 || a.Status >= 500 { // what is refused was not lost
				x.asked.Failed++
			}
			if a.Class == record.ErrorTimeout {
				x.asked.Aborted++
			}
		}
		switch {
		case err != nil:
			return nil, "", err
		case !ok:
			return nil, "the step sends no JSON object that could be left empty", nil
		case a.Status >= 200 && a.Status < 400:
			return nil, fmt.Sprintf("an empty object is accepted (status %d)", a.Status), nil
		case a.Status >= 400 && a.Status < 500 && a.Status != 429:
			ms = append(ms, 1000*a.Took.Seconds())
		case length == 0:
			return nil, fmt.Sprintf("an empty object is not refused but fails (status %d, %s)", a.Status, a.Class), nil
		}
		if length > 0 && sleep(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	return ms, "", context.Cause(ctx)
}

// kneeUsers is so many times as many users as can be under way before others wait, between 1 and 50.
func (x *experiment) kneeUsers(times float64) int {
	k, ok := search.Knee(x.found)
	if !ok {
		k = search.Best(x.found) * x.base.MedianMs / 1000
	}
	return int(min(50, max(1, math.Ceil(times*k))))
}
