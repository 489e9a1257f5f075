package diagnose

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestHostileRuns: whatever a damaged or malicious folder holds, a diagnosis ends, is valid JSON, and says nothing that is no
// number.
func TestHostileRuns(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same runs every time
	odd := []float64{0, -1, 1e-300, 1e300, -1e300, math.MaxFloat64, 1e9, 0.5}
	pick := func() float64 { return odd[r.IntN(len(odd))] }
	for range 400 {
		run, res := flatAt(10).with(healthy(), fullHashPool).play()
		for i := range run.Scrapes {
			x := &run.Scrapes[i]
			for _, key := range sorted(x.Values) {
				if r.IntN(200) == 0 {
					x.Values[key] = pick()
				}
			}
			if r.IntN(20) == 0 {
				x.OffsetS = pick()
			}
			if r.IntN(20) == 0 {
				x.Error, x.Values = "timeout", nil
			}
			if r.IntN(50) == 0 {
				x.Values = map[string]float64{"": 1, "{": 2, `a{b="`: 3, `semaphore_limit{downstream=""}`: pick(), `pool.max{db_name="\n"}`: pick()}
			}
		}
		for i := range res.Trials {
			tr := &res.Trials[i]
			for _, f := range []*float64{&tr.StartS, &tr.Seconds, &tr.GoodputPerSecond, &tr.InFlightMean, &tr.Load.RatePerSecond, tr.Latency.MeanMs} {
				if r.IntN(8) == 0 {
					*f = pick()
				}
			}
			if r.IntN(8) == 0 {
				tr.Load.Users = []int{0, -5, 1 << 40}[r.IntN(3)]
			}
		}
		run.Frames = run.Frames[:r.IntN(len(run.Frames)+1)]
		if r.IntN(2) == 0 {
			slices.Reverse(run.Scrapes)
		}
		if r.IntN(4) == 0 {
			res.Recovery = nil
		}
		run.Procs = append(run.Procs, record.ProcessReading{OffsetS: pick()}, record.ProcessReading{OffsetS: pick(), Service: "user", Outbound: map[string]map[string]int{"x": nil}})
		run.Events = append(run.Events, record.Event{Kind: record.EventTest, Data: []byte("{")}, record.Event{Kind: record.EventPhase, Data: []byte("7")},
			straight("kill-bill", pick(), pick(), 10, map[string]float64{"errors_percent": pick(), "profiled_ms": pick(), "profiled_database_ms": pick()}), straight("user", 1, pick(), 1<<40, nil))
		Explain(run, res)
		for i, part := range []any{res.Findings, res.Ceilings, res.Remarks, res.Hops} {
			if _, err := json.Marshal(part); err != nil {
				t.Fatalf("part %d: %v in %+v", i, err, part)
			}
		}
		for _, expr := range []string{"user.cores=4", "hash.cost=10", "pool.kill-bill=3", "kill-bill.time=1s"} {
			f, err := WhatIf(run, res, 20, []string{expr})
			if err != nil {
				continue
			}
			if _, err := json.Marshal(f); err != nil {
				t.Fatal(err)
			}
		}
	}
}
