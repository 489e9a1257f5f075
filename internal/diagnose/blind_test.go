package diagnose

import (
	"path/filepath"
	"slices"
	"testing"
)

// plantedAlone are the golden runs with one fault planted each, and its cause.
func plantedAlone() []string {
	var out []string
	for _, tt := range realFaults {
		if !slices.Contains([]string{"before", "phase2-starved", "phase2-impatient", "phase3"}, tt.name) {
			out = append(out, tt.name)
		}
	}
	return out
}

// TestBlind takes the metrics away from real runs, and then what the kernel showed too: the planted cause is still among the first two
// findings of most, and nothing that is wrong is more than consistent. Those runs are from before there were tests.
func TestBlind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		kernel bool
		least  float64
	}{{"kernel", true, 0.8}, {"response times alone", false, 0.3}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			right := 0.0
			all := plantedAlone()
			for _, name := range all {
				g := readGolden(t, filepath.Join("testdata", name+".json.gz"))
				g.Run.Scrapes = nil
				if !tt.kernel {
					g.Run.Procs = nil
				}
				Explain(&g.Run, &g.Res)
				var causes []string
				for _, f := range g.Res.Findings {
					causes = append(causes, f.Cause)
					if f.Confidence != C1 {
						t.Errorf("%s: %s is named at %s", name, f.Cause, f.Confidence)
					}
				}
				if slices.Contains(causes[:min(2, len(causes))], name) {
					right++
				}
				t.Logf("%s: %v", name, named(&g.Res))
			}
			if got := right / float64(len(all)); got < tt.least {
				t.Errorf("the planted cause is among the first two in %.0f %% of runs, want %.0f %%", 100*got, 100*tt.least)
			} else {
				t.Logf("%.0f %%", 100*got)
			}
		})
	}
}
