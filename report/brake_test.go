package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

func TestABrakeIsToldWhereverAResultIs(t *testing.T) {
	run, res := fixed(t)
	res.Limits, res.Recovery = nil, nil
	brake := record.Brake{OffsetS: 12, Phase: "fixed", Load: record.Load{Users: 20}, Cause: record.BrakeErrors, Why: "60 of 80 requests failed within 5 s (status 60)", EndedPlan: true}
	res.Brakes, res.Run.NoBrake = []record.Brake{brake, {OffsetS: 40, Phase: "overload", Why: "no health check was answered for 30 s"}}, true
	gate.Judge(run, res, nil)
	said := strings.Join(strings.Fields(text(t, res, TextOptions{Width: 80})), " ")
	var page bytes.Buffer
	if err := HTML(&page, run, res); err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]string{"text": said, "page": page.String()} {
		for _, want := range []string{brake.Why, "no health check was answered for 30 s", "pulled 12.0 s into the run, phase fixed, 20 users", "--no-brake", "the target was in distress"} {
			if !strings.Contains(of, want) {
				t.Errorf("the %s does not say %q", name, want)
			}
		}
	}
	if strings.Count(page.String(), `id="brake"`) != 1 {
		t.Error("two parts of the page have one name")
	}
}
