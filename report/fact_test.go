package report

import (
	"testing"

	"github.com/captest/captest/internal/record"
)

// TestCapacityFact: the interval comes first, then what is known of its lower end.
func TestCapacityFact(t *testing.T) {
	t.Parallel()
	v := func(x float64) *float64 { return &x }
	users := 8
	result := func(change func(*record.Result)) *record.Result {
		r := &record.Result{Run: record.RunInfo{Scenario: "registration", Plan: "capacity"}}
		c := &r.Capacity
		c.Kind, c.Concurrency.MaxWithinSLO, c.Tried = "open", &users, &record.Bounds{Confirmed: v(9.4), Refuted: v(10.5)}
		c.PerSecond, c.PerMinute = record.Bounds{Confirmed: v(8.5), Refuted: v(10.5)}, record.Bounds{Confirmed: v(510), Refuted: v(630)}
		r.Trials = []record.Trial{{Phase: "confirm", Verdict: "fail", Load: record.Load{RatePerSecond: 10}, Reasons: []string{"not steady: slower"}}}
		if change != nil {
			change(r)
		}
		return r
	}
	for name, tt := range map[string]struct {
		change        func(*record.Result)
		value, detail string
	}{
		"a longer trial failed": {nil, "8.50–10.5", "= 510–630 users/minute, the lower end held, but a longer trial at 10.0/s did not: not steady: slower; limits held up to 8 users"},
		"confirmed":             {func(r *record.Result) { r.Capacity.Confirmation = true }, "8.50–10.5", "= 510–630 users/minute, the lower end confirmed; limits held up to 8 users"},
		"by theory":             {func(r *record.Result) { r.Capacity.Foreseen = &record.Foreseen{PerSecond: 9.4} }, "8.50–10.5", "= 510–630 users/minute, by open loads and theory of one queue; limits held up to 8 users"},
		"by theory, and a longer trial": {func(r *record.Result) {
			at := 8.2
			r.Capacity.Foreseen, r.Capacity.Confirmation, r.Capacity.Tried.Confirmed = &record.Foreseen{PerSecond: 9.4}, true, &at
		}, "8.50–10.5", "= 510–630 users/minute, by open loads and theory of one queue: a longer trial at 8.20/s held; limits held up to 8 users"},
		"theory that does not count": {func(r *record.Result) {
			r.Capacity.Foreseen, r.Capacity.Confirmation = &record.Foreseen{PerSecond: 9.4, Against: "it fell"}, true
		}, "8.50–10.5", "= 510–630 users/minute, the lower end confirmed; limits held up to 8 users"},
		"what holds for ten minutes": {func(r *record.Result) {
			r.Capacity.Collapse, r.Capacity.Confirmation = &record.Collapse{HeldSeconds: 13}, true
		}, "8.50–10.5", "= 510–630 users/minute, for ten minutes, by theory of how it collapses: 9.40/s held for 13.0 s; limits held up to 8 users"},
		"no longer trial": {func(r *record.Result) { r.Trials = nil }, "8.50–10.5", "= 510–630 users/minute, the lower end held, not confirmed by a longer trial; limits held up to 8 users"},
		"nothing held":    {func(r *record.Result) { r.Capacity.Tried.Confirmed = nil }, "8.50–10.5", "= 510–630 users/minute, the lower end estimated from all trials: no open load held; limits held up to 8 users"},
		"nothing held for long": {func(r *record.Result) {
			r.Capacity.Tried.Confirmed = nil
			r.Trials = append(r.Trials, record.Trial{Phase: "bracket", Verdict: "pass", Load: record.Load{RatePerSecond: 11}})
		}, "8.50–10.5", "= 510–630 users/minute, the lower end estimated from all trials: what held in a short one did not in a longer one at 10.0/s: not steady: slower; limits held up to 8 users"},
		"no upper end": {func(r *record.Result) {
			r.Capacity.PerSecond.Refuted, r.Capacity.PerMinute.Refuted, r.Capacity.Confirmation, r.Trials = nil, nil, true, nil
		}, "8.50", "= 510 users/minute, confirmed; limits held up to 8 users; no load broke a limit, so it may be more"},
	} {
		f := capacityFact(result(tt.change))
		if f.Value != tt.value || f.Detail != tt.detail {
			t.Errorf("%s: %q, %q\nwant %q, %q", name, f.Value, f.Detail, tt.value, tt.detail)
		}
	}
}
