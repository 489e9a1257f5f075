package diagnose

import (
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestCurveOfAStation: two servers of 200 ms each, whatever their name, are seen in the curve alone, and no law is invented.
func TestCurveOfAStation(t *testing.T) {
	t.Parallel()
	run, res := &record.Run{}, &record.Result{Validity: record.Validity{Valid: true}}
	at := 0.0
	for i, users := range []int{1, 2, 3, 4, 6, 8, 12, 16} {
		x := min(float64(users)/0.2, 10)
		ms := 1000 * float64(users) / x
		res.Trials = append(res.Trials, record.Trial{Phase: "ramp", Load: record.Load{Users: users}, StartS: at, Seconds: 20, N: uint64(20 * x), GoodputPerSecond: x, Verdict: "pass", Latency: record.Latency{MeanMs: &ms, P50Ms: &ms}})
		for second := range 20 {
			n := uint64(x)
			if second%4 == 1 {
				n++
			}
			if second%4 == 3 {
				n--
			}
			run.Frames = append(run.Frames, record.Frame{OffsetS: at, Seconds: 1, Trial: i, Phase: "ramp", InFlight: users, Steps: map[string]*record.StepFrame{"a": {N: n, OK: n}}})
			at++
		}
	}
	Explain(run, res)
	if !slices.ContainsFunc(res.Remarks, func(s string) bool { return strings.Contains(s, "no scalability law") }) {
		t.Errorf("remarks %q, want that no law is needed", res.Remarks)
	}
	res.Trials = res.Trials[:4]
	Explain(run, res)
	if len(res.Remarks) != 0 {
		t.Errorf("four levels say %q", res.Remarks)
	}
}

// TestMissingResource: resources that would carry twice what is reached leave something unmeasured.
func TestMissingResource(t *testing.T) {
	t.Parallel()
	say := func(s scene) bool {
		run, res := s.with(healthy()).play()
		Explain(run, res)
		return slices.ContainsFunc(res.Remarks, func(s string) bool { return strings.Contains(s, "shows no metrics") })
	}
	if !say(scene{x: [3]float64{2, 5, 5.9}, ms: [3]float64{1100, 2000, 6000}}) {
		t.Error("journeys of 1 s, 0.4 s of which were measured, lack nothing")
	}
	run, res := hashingAt10().play()
	Explain(run, res)
	if slices.ContainsFunc(res.Remarks, func(s string) bool { return strings.Contains(s, "shows no metrics") }) {
		t.Errorf("a service whose pool is full: %q", res.Remarks)
	}
}
