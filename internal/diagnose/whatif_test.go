package diagnose

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// hashingAt10 is a service whose two cores hash ten passwords a second, 198 ms each, before a call of 0.2 s for every other journey.
func hashingAt10() scene { return flatAt(10).with(healthy(), fullHashPool) }

// TestWhatIf: cores and cost move the ceiling of hashing as they must, until the next one stands in the way.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		exprs   []string
		highest float64 // 1/s
		limit   string
	}{
		{[]string{"user.cores=4"}, 20.2, "user hash pool"},
		{[]string{"hash.cost=11"}, 20.2, "user hash pool"},
		{[]string{"hash.cost=-1"}, 20.2, "user hash pool"},
		{[]string{"user.hash_cost=+1"}, 5.05, "user hash pool"},
		{[]string{"user.cores=40"}, 100, "semaphore to"},
		{[]string{"user.cores=40", "semaphore.billing=20", "semaphore.kill-bill=20"}, 200, "user"},
		{[]string{"user.cores=40", "pool.kill-bill=5"}, 50, "billing connection pool to kill-bill"},
		{[]string{"user.hash_pool=1"}, 5.05, "user hash pool"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.exprs, " "), func(t *testing.T) {
			t.Parallel()
			run, res := hashingAt10().play()
			f, err := WhatIf(run, res, 0, tt.exprs)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.After.PerSecond.Value; math.Abs(got-tt.highest) > 0.05*tt.highest {
				t.Errorf("highest %.4g/s, want about %.4g/s; limited by %s", got, tt.highest, f.After.Limit)
			}
			if !strings.Contains(f.After.Limit, tt.limit) {
				t.Errorf("limited by %q, want %q", f.After.Limit, tt.limit)
			}
			if f.Before.Limit != "user hash pool" || math.Abs(f.Before.PerSecond.Value-10.1) > 0.3 {
				t.Errorf("before: %.4g/s by %s, want 10.1/s by the hash pool", f.Before.PerSecond.Value, f.Before.Limit)
			}
			if r := f.After.PerSecond; r.Low > r.Value || r.Value > r.High {
				t.Errorf("bounds %+v are out of order", r)
			}
			if f.Users != 10 || len(f.Before.Curve) != len(f.After.Curve) || len(f.After.Curve) < 5 {
				t.Errorf("%d users, curves of %d and %d points", f.Users, len(f.Before.Curve), len(f.After.Curve))
			}
		})
	}
}

// TestHashingOffTheLoop: moved to a pool, hashing is limited by the cores and no longer by one loop.
func TestHashingOffTheLoop(t *testing.T) {
	t.Parallel()
	s := flatAt(5).with(healthy(), services{"user": {
		"hash_pool_size": always(0), `event_loop_busy_seconds_total{worker="0"}`: counter(0, .4, .99, .99, 0),
		`event_loop_wait_seconds_total{worker="0"}`: counter(0, 0, 8, 48, 0), "hash_seconds_total": counter(0, .38, .95, .95, 0),
	}})
	for _, tt := range []struct {
		exprs   []string
		highest float64
	}{{[]string{"user.hash=pool"}, 10.5}, {[]string{"user.hash=pool", "user.cores=4"}, 21}, {[]string{"user.cores=4", "user.hash=pool", "hash.cost=11"}, 39}, {[]string{"user.cores=4"}, 5.05}} {
		run, res := s.play()
		f, err := WhatIf(run, res, 20, tt.exprs)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.After.PerSecond.Value; math.Abs(got-tt.highest) > 0.06*tt.highest {
			t.Errorf("%v: highest %.4g/s, want about %.4g/s; limited by %s", tt.exprs, got, tt.highest, f.After.Limit)
		}
	}
}

// TestWhatIfNothingIsFull: while something uninstrumented limits, fixes of what was measured promise nothing.
func TestWhatIfNothingIsFull(t *testing.T) {
	t.Parallel()
	run, res := flatAt(5).with(healthy()).play()
	f, err := WhatIf(run, res, 0, []string{"user.cores=100"})
	if err != nil {
		t.Fatal(err)
	}
	if f.After.PerSecond.High > 5 || !strings.Contains(f.After.Limit, "uninstrumented") {
		t.Errorf("%+v by %s, want the measured 5/s and no more", f.After.PerSecond, f.After.Limit)
	}
}

func TestWhatIfErrors(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		"", "=", "user.cores", "user.cores=", "=3", "user.cores=0", "user.cores=-1", "user.cores=NaN", "user.cores=1e300", "user.workers=1.5", "user.workers=many",
		"nobody.cores=2", "cores=2", "hash.cost=99", "hash.cost=3", "hash.cost=twelve", "user.hash=pool", "pool.kill-bill=0", "kill-bill.time=fast", "kill-bill.time=-1s", "semaphore.=3",
	} {
		run, res := hashingAt10().play()
		_, err := WhatIf(run, res, 0, []string{expr})
		var bad *WhatIfError
		if !errors.As(err, &bad) {
			t.Errorf("%q: %v, want an error that lists what is possible", expr, err)
			continue
		}
		for _, want := range []string{"user.cores=N", "hash.cost=N", "pool.kill-bill=N"} {
			if !strings.Contains(bad.Hint(), want) {
				t.Errorf("%q: hint %q lacks %s", expr, bad.Hint(), want)
			}
		}
	}
	run, res := hashingAt10().play()
	for _, users := range []int{-1, 1_000_000} {
		if _, err := WhatIf(run, res, users, nil); err == nil {
			t.Errorf("%d users are predicted", users)
		}
	}
	res.Trials = nil
	if _, err := WhatIf(run, res, 0, []string{"user.cores=4"}); err == nil {
		t.Error("something is predicted from a run without loads")
	}
}

// TestDemandsByRegression: busy time that is half background gives the journeys' half as demand, with bounds, once an idle
// stretch shows the background.
func TestDemandsByRegression(t *testing.T) {
	t.Parallel()
	run, res := scene{x: [3]float64{2, 5, 8}, ms: [3]float64{400, 1000, 5000}}.with(healthy(), services{"user": {"process_cpu_seconds_total": counter(.3, .5, .8, 1.1, .3)}}).play()
	Explain(run, res)
	for _, c := range res.Ceilings {
		if c.Resource != "CPU" || c.Where != "user" {
			continue
		}
		if math.Abs(c.DemandMs-100) > 5 || c.Interval == nil || !strings.Contains(c.Method, "regression over 4 loads") {
			t.Errorf("demand %.4g ms (%s), bounds %+v; want 100 ms by regression", c.DemandMs, c.Method, c.Interval)
		}
		return
	}
	t.Error("no ceiling of the user-service's CPU")
}

// TestHashRemarks: hashing's ceiling and what a claim would take are said for a service that hashes, and for no other.
func TestHashRemarks(t *testing.T) {
	t.Parallel()
	run, res := hashingAt10().play()
	Explain(run, res)
	if len(res.Remarks) != 1 || !strings.Contains(res.Remarks[0], "2 cores allow 10.") {
		t.Errorf("remarks %q", res.Remarks)
	}
	s := hashingAt10()
	delete(s.services, "user")
	run, res = s.play()
	Explain(run, res)
	if len(res.Remarks) != 0 {
		t.Errorf("remarks of a service that hashes nothing: %q", res.Remarks)
	}
}
