package diagnose

import (
	"fmt"

	"github.com/captest/captest/internal/record"
)

// compare fills in what was measured at the hop a published baseline is about: the highest rate of any level, and the
// mean duration of a call there, seen from its caller and from itself.
func compare(run *record.Run, res *record.Result) {
	b := res.Baseline
	if b == nil {
		return
	}
	// Notes and claims come from the file; measured values from this run only.
	b.Measured, b.Ratio, b.CallerMs, b.CalleeMs = record.BaselineFigure{}, nil, nil, nil
	straightAt(b, testsOf(run))
	run, res = untested(run, res)
	best := bestTrial(res.Trials)
	if best == nil {
		return
	}
	s := &sight{run: run, res: res, index: indexOf(run)}
	w := s.at(best)
	w.creations(b, best)
	if b.Claimed.PerSecond != nil && *b.Claimed.PerSecond > 0 && b.Measured.PerSecond != nil {
		r := *b.Measured.PerSecond / *b.Claimed.PerSecond
		b.Ratio = &r
	}
	if b.CalleeMs != nil && b.Claimed.MeanMs != nil && *b.CalleeMs < 2**b.Claimed.MeanMs && b.Ratio != nil && *b.Ratio < 0.5 {
		b.Notes = append(b.Notes, fmt.Sprintf("%s answered in %.0f ms, near the claim: the rate is limited before that hop, not by it", b.Service, *b.CalleeMs))
	}
}

// creation is Kill Bill's own timer of account creations, as its Dropwizard registry names it (killbill-commons ResourceTimer).
const creation = "kb_resource./1_0/kb/accounts.createAccount.POST.2xx.201"

// creations fills in what the hop itself reports of account creations, and what its caller waits for one of them: all its
// calls to the hop (an account takes two or four) divided by the accounts created. Where the hop reports nothing, the
// journeys stand in for the rate: one journey creates one account.
func (w window) creations(b *record.Baseline, best *record.Trial) {
	x, n := best.GoodputPerSecond, float64(best.N)
	made, ok := w.delta(b.Service, creation, label("stat", "count"))
	if span, known := w.span(b.Service); ok && known && made > 0 {
		x, n = made/span, made
		if mean, ok := w.mean(b.Service, creation, label("stat", "mean")); ok {
			ms := 1000 * mean // seconds, exponentially decaying over about five minutes
			b.CalleeMs, b.Measured.MeanMs = &ms, &ms
		}
	}
	b.Measured.PerSecond, b.Measured.N = &x, &n
	for _, s := range w.index.services {
		if sum, ok := w.delta(s, "http_client_request_duration_seconds_sum", label("downstream", b.Service)); ok && made > 0 && sum > 0 {
			ms := 1000 * sum / made
			b.CallerMs = &ms
		}
	}
}

// straightAt fills in what the hop did when requests were sent straight at it, past every service before it, and how many at a time
// the claim itself takes: N = X·R (Little).
func straightAt(b *record.Baseline, tests []record.Test) {
	b.Direct, b.DirectUsers, b.NeedsInFlight = nil, nil, nil
	if x, r := b.Claimed.PerSecond, b.Claimed.MeanMs; x != nil && r != nil && *x > 0 && *r > 0 {
		n := *x * *r / 1000
		b.NeedsInFlight = &n
	}
	s := &sight{tests: tests}
	d := s.direct(b.Service)
	if d == nil || d.ErrorsPercent > mostDirectErrors {
		return
	}
	b.Direct = &record.BaselineFigure{PerSecond: &d.PerSecond, MeanMs: &d.MeanMs, N: &d.N}
	b.DirectUsers = &d.Users
	if b.NeedsInFlight != nil && float64(d.Users) < *b.NeedsInFlight {
		b.Notes = append(b.Notes, fmt.Sprintf("straight at %s, %d at a time, it did %.3g/s at %.3g ms; the claimed rate takes %.3g at a time at the claimed latency, so this was no attempt at it",
			b.Service, d.Users, d.PerSecond, d.MeanMs, *b.NeedsInFlight))
	}
}
