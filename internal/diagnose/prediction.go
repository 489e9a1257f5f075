package diagnose

import (
	"encoding/json"
	"slices"

	"github.com/captest/captest/internal/record"
)

// prediction is what a claim says a test must show, beside what it did show.
type prediction struct {
	test     string // its name
	what     string // was measured
	measured float64
	unit     string
	expected string // for people
	met      bool
	// decides: no lookalike predicts the same. A prediction that several causes share contradicts when it is not met, and
	// confirms nothing when it is.
	decides bool
}

// predictors say, cause by cause, what each test must show if the claim is true; none for a test that says nothing of it. A
// test is looked at by its figures alone, so a run without tests, or with some of them, is a run with fewer predictions.
var predictors = []func(s *sight, c *claim) []prediction{servedAtOnce, slowsDown, dialsLate, straightAtDownstream, ofKnob, ofElasticity}

// predicted are the predictions of a claim for the tests that were made.
func (s *sight) predicted(c *claim) []prediction {
	var out []prediction
	for _, of := range predictors {
		for _, p := range of(s, c) {
			if finite(p.measured) {
				out = append(out, p)
			}
		}
	}
	return out
}

// test gives the last test of a name that has figures, made at a service or, with where "", at any.
func (s *sight) test(name, where string) (record.Test, bool) {
	for _, t := range slices.Backward(s.tests) {
		if t.Name == name && (where == "" || t.Where == where) && t.Skipped == "" {
			return t, true
		}
	}
	return record.Test{}, false
}

// testsOf are the tests that were made to tell causes apart, in order. A line that is none is left out: it was damaged.
func testsOf(run *record.Run) []record.Test {
	var out []record.Test
	for _, e := range run.Events {
		var t record.Test
		if e.Kind == record.EventTest && json.Unmarshal(e.Data, &t) == nil {
			out = append(out, t)
		}
	}
	return out
}
