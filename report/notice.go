package report

import (
	"strings"

	"github.com/captest/captest/internal/record"
)

// notice stands at the top of the page.
type notice struct{ Kind, Title, Text string }

// pageNotices sorts what limits belief: the state of the run first, then warnings.
func pageNotices(r *record.Result) []notice {
	var out []notice
	if r.Run.CutShort {
		out = append(out, notice{"cut-short", "Cut short", "captest was killed before the run ended. This page is rebuilt from what is on disk, where the last second or more is missing."})
	} else if r.Run.Interrupted {
		out = append(out, notice{"interrupted", "Interrupted", "The run was ended early on request. What was measured until then stands."})
	}
	if s := brakeNotice(r); s != "" {
		out = append(out, notice{"brake", "Safety brake", "It was " + s + "."})
	}
	if r.Run.NoBrake {
		out = append(out, notice{"no-brake", "No brake", "Note: " + brakeOff + "."})
	}
	if r.Run.Insecure {
		out = append(out, notice{"insecure", "Insecure", "No certificate was verified (--insecure). Whatever answered may not have been the target."})
	}
	if !r.Validity.Valid {
		out = append(out, notice{"invalid", "Not valid", "These numbers may not be about the target: " + orElse(strings.Join(r.Validity.Reasons, "; "), "no reason was recorded") + "."})
	}
	return out
}
