package diagnose

import "testing"

// TestConfidenceIsEarned: a prediction that was met and is its cause's own confirms, one that lookalikes share does not, and
// one that was not met contradicts.
func TestConfidenceIsEarned(t *testing.T) {
	t.Parallel()
	own := prediction{test: "knob", what: "throughput with the setting doubled", measured: 19.4, unit: "/s", expected: "20 ± 15 %", met: true, decides: true}
	shared, missed := own, own
	shared.decides, missed.met = false, false
	for _, c := range []struct {
		name        string
		predictions []prediction
		inside      bool
		want        string
	}{
		{"no test", nil, true, C2},
		{"its own, met", []prediction{own}, true, C3},
		{"shared, met", []prediction{shared}, true, C2},
		{"not met", []prediction{missed}, true, C1},
		{"one met, one not", []prediction{own, missed}, true, C1},
		{"no test, from outside alone", nil, false, C1},
		{"met, from outside alone", []prediction{own}, false, C2},
		{"shared, met, from outside alone", []prediction{shared}, false, C1},
		{"one met, one not, from outside alone", []prediction{own, missed}, false, C1},
	} {
		x := claimOf("cpu-bound-hashing", "user")
		x.inside = c.inside
		x.settle(c.predictions)
		if x.Confidence != c.want || len(x.Evidence) != len(c.predictions) {
			t.Errorf("%s: %s with %d pieces of evidence, want %s with %d", c.name, x.Confidence, len(x.Evidence), c.want, len(c.predictions))
		}
	}
}
