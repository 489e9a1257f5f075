package record

import (
	"strings"
	"testing"
	"time"
)

// TestDamage: a run that went on to its end, and whose files do not, is not valid; one that was killed is cut short, and says so itself.
func TestDamage(t *testing.T) {
	t.Parallel()
	run := func(change func(*Run)) *Run {
		r := &Run{Info: RunInfo{Started: time.Unix(1, 0)}, Hosts: []HostReading{{OffsetS: 1}}}
		for i := range 3 {
			r.Frames = append(r.Frames, Frame{Trial: i, OffsetS: float64(10 * i), Seconds: 1})
			r.Events = append(r.Events, Event{Kind: EventTrialEnd, Trial: i, OffsetS: float64(10*i + 9)})
		}
		r.Events = append(r.Events, Event{Kind: EventEnd, Trial: -1, OffsetS: 40}, Event{Kind: EventValidity, Trial: -1, Data: []byte(`{"valid":true}`)})
		if change != nil {
			change(r)
		}
		return r
	}
	for name, tt := range map[string]struct {
		change func(*Run)
		want   string
	}{
		"whole":          {nil, ""},
		"frames lost":    {func(r *Run) { r.Frames = r.Frames[:1] }, "frames.jsonl has nothing of 2 of 3 loads"},
		"metrics lost":   {func(r *Run) { r.Hosts = nil }, "metrics.jsonl has no reading"},
		"killed":         {func(r *Run) { r.Events, r.Frames, r.Hosts = r.Events[:2], r.Frames[:1], nil }, ""},
		"shortest of it": {func(r *Run) { r.Hosts, r.Events[3].OffsetS = nil, 2 }, ""},
	} {
		r := run(tt.change)
		got := strings.Join(r.Damage(), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if name == "killed" {
			continue // nobody vouched for it
		}
		if res := Summarise(r); res.Validity.Valid != (tt.want == "") {
			t.Errorf("%s: valid: %v, %q", name, res.Validity.Valid, res.Validity.Reasons)
		}
	}
}
