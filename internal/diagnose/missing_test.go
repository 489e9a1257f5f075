package diagnose

import (
	"slices"
	"strings"
	"testing"
)

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
