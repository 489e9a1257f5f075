package diagnose

import "github.com/captest/captest/internal/record"

// untested is a run without what tests did to it: it ends when a setting of the target is first changed, and loads that tests
// held are not among its trials. What tests found is in the events, which are all there.
func untested(run *record.Run, res *record.Result) (*record.Run, *record.Result) {
	out := *res
	out.Trials = nil
	for _, t := range res.Trials {
		if t.Phase != record.PhaseTests {
			out.Trials = append(out.Trials, t)
		}
	}
	return run.Unaltered(), &out
}
