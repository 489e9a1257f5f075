package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// brakeNotice says each time the safety brake was pulled, why, and what was not done because of it; "" when it never was.
func brakeNotice(r *record.Result) string {
	var list []string
	for _, b := range r.Brakes {
		s := fmt.Sprintf("pulled %s into the run, phase %s, %s: %s. ", seconds(b.OffsetS), b.Phase, gate.Load(b.Load), b.Why)
		switch {
		case !b.EndedPlan:
			s += "That load ended early, and the target was watched coming back from it"
		case r.Run.Plan == gate.PlanCapacity:
			s += "The load ended, no more was tried, and the target was watched coming back"
		default:
			s += "The load ended there"
		}
		list = append(list, s)
	}
	return strings.Join(list, ". Then ")
}

// braked says whether the brake ended a run's plan.
func braked(r *record.Result) bool {
	return slices.ContainsFunc(r.Brakes, func(b record.Brake) bool { return b.EndedPlan })
}

const brakeOff = "the safety brake was switched off (--no-brake): load went on however badly the target fared"
