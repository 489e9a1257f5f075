// Package diagnose EXPLAINS: from one run folder it says which resource limits, how sure that is, and what was ruled out.
//
// It stands between record and report and is a pure function of the run. It never measures, sends or reads anything, and
// it names a cause only on evidence: without it the answer is "unknown".
//
//	scrapes, probes, kernel ─► index ─► sight (loads, quiet, resources) ─► causes ─► claims ─► weigh, settle, roles ─► findings
//
// Each cause is a function of the sight alone, in a file of its own, and claims what its evidence carries. Only then are
// claims weighed against each other: one cause may bring about what looks like another.
package diagnose

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/captest/captest/internal/record"
)

// Roles of a finding.
const (
	SlowBecause  = "slow-because"
	StuckBecause = "stuck-because"
	Next         = "next"
)

// Confidence of a finding. C1: the black box fits. C2: the target's own metrics fit too, or the kernel beside them. C3: a test's prediction was met too.
const (
	C1 = "C1"
	C2 = "C2"
	C3 = "C3"
)

// causes in order of decision (hard limits, then what is slow, then what adds to it).
var causes = []func(*sight) []claim{
	generator,
	descriptors, backlog, network,
	loopBlocked, memoryPressure, starvedDatabase, lockContention, hashing,
	smallPool, smallSemaphore, slowDownstream,
	retryStorm, breakerFlapping, unbounded,
	leaked, abandoned, churn,
}

// mostFailed is the share of failed requests, in percent, beyond which busy time ÷ goodput is no demand.
const mostFailed = 10

// unmeasured says why a run tells no demands; "" where it does.
func (s *sight) unmeasured() string {
	if e := s.best.ErrorPercent; e != nil && *e > mostFailed {
		return fmt.Sprintf("%.0f %% of the requests failed in the load with the highest goodput: what a good one takes of each resource is not known", *e)
	}
	return ""
}

// planCapacity is RunInfo.Plan of a run that looked for the capacity.
const planCapacity = "capacity"

// Explain fills the result's Ceilings, Findings, the curve of its Capacity and the measured side of its Baseline.
func Explain(run *record.Run, res *record.Result) {
	res.Ceilings, res.Findings, res.Remarks, res.Hops = []record.Ceiling{}, []record.Finding{}, []string{}, []record.Hop{}
	compare(run, res)
	if res.Run.Plan == planCapacity {
		res.Capacity.Curve = curve(run, res)
	}
	s := look(run, res)
	if s.best == nil {
		return
	}
	if why := s.unmeasured(); why != "" {
		res.Remarks = append(res.Remarks, why+", so there are no ceilings")
	} else {
		res.Ceilings = s.ceilings()
	}
	res.Hops = s.hops
	res.Remarks = append(res.Remarks, s.hashRemarks(res.Baseline)...)
	if text := s.missing(); text != "" {
		res.Remarks = append(res.Remarks, text)
	}
	for _, c := range s.findings() {
		res.Findings = append(res.Findings, c.Finding)
	}
}

func (s *sight) findings() []claim {
	var all []claim
	for _, cause := range causes {
		all = append(all, cause(s)...)
	}
	all = weigh(all)
	saturated := s.saturated()
	all = slices.DeleteFunc(all, func(c claim) bool {
		// While more users still bring more, nothing that is full is the limit yet. What is wrong without load stays wrong.
		return !saturated && !c.stuck && !c.aside && c.Cause != "generator-saturated" && s.best.Phase != "fixed"
	})
	blind := !s.index.answered()
	named := false
	s.claims = slices.Clone(all)
	for i := range all {
		all[i].settle(s.predicted(&all[i]), blind)
		named = named || !all[i].aside && !s.outlasts(&all[i])
	}
	if !named && blind {
		if o := s.outside(); saturated || s.stuck() || s.slowToRecover() || o.failing() {
			for _, c := range o.candidates(all) {
				c.settle(s.predicted(&c), blind)
				named = true
				all = append(all, c)
			}
		}
	}
	if !named && saturated {
		all = append([]claim{unknown(s)}, all...)
		all[0].settle(nil, blind)
	}
	s.roles(all)
	s.exonerate(all)
	s.predict(all)
	return all
}

// phaseOf is the phase an event enters; "" for other events.
func phaseOf(e record.Event) string {
	var p struct {
		Phase string `json:"phase"`
	}
	if e.Kind != record.EventPhase || json.Unmarshal(e.Data, &p) != nil {
		return ""
	}
	return p.Phase
}
