package record

import "fmt"

// Damage says what a finished run's folder has lost, whole loads and all readings of the machine among it; none where captest itself
// did not get to the end, which CutShort tells.
func (run *Run) Damage() []string {
	var ended float64
	loads, framed := 0, map[int]bool{}
	for i := range run.Frames {
		framed[run.Frames[i].Trial] = true
	}
	lost := 0
	for i := range run.Events {
		switch e := &run.Events[i]; e.Kind {
		case EventEnd:
			ended = e.OffsetS
		case EventTrialEnd:
			if loads++; !framed[e.Trial] {
				lost++
			}
		}
	}
	var out []string
	if ended == 0 {
		return nil
	}
	if lost > 0 {
		out = append(out, fmt.Sprintf("the folder is damaged: %s has nothing of %d of %d loads; restore it from a copy, or run again", FramesFile, lost, loads))
	}
	const shortest = 10 // s; below it a run may end before the first reading
	if len(run.Hosts) == 0 && !run.Info.Started.IsZero() && ended > shortest {
		out = append(out, fmt.Sprintf("the folder is damaged: %s has no reading of the machine; restore it from a copy, or run again", MetricsFile))
	}
	return out
}
