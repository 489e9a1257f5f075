package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/internal/record"
)

// Verdicts of a cell.
const (
	judgedRight  = "right"
	judgedNext   = "next"   // named and sure, but not as what limits
	judgedMissed = "missed" // nothing sure, and nothing wrong
	judgedWrong  = "wrong"
)

// judge holds findings against what was planted.
//
// With metrics: right is the planted cause where it lives, at C2 or C3, as what the target is slow or stuck because of. A sure
// cause that is neither planted nor true of the profile is wrong; and so is hashing as what limits, where the planted cause,
// which takes the load away from it, is not sure. With nothing planted, hashing alone may be named, however sure. Without metrics:
// right is the planted cause among the first two, where it lives or without a place, which only the kernel shows, and nothing above C1
// that no test was made for.
func judge(c matrixCell, findings []record.Finding) (verdict, why string) {
	sure := func(f record.Finding) bool { return f.Confidence == diagnose.C2 || f.Confidence == diagnose.C3 }
	is := func(f record.Finding) bool { return slices.Contains(c.causes, place{f.Cause, f.Where}) }
	limits := func(f record.Finding) bool { return f.Role == diagnose.SlowBecause || f.Role == diagnose.StuckBecause }
	if c.blind {
		for _, f := range findings {
			if sure(f) && !slices.ContainsFunc(f.Evidence, ofATest) {
				return judgedWrong, said(f) + " without metrics"
			}
			if sure(f) && !is(f) && !slices.Contains(c.true, f.Cause) {
				return judgedWrong, said(f)
			}
		}
		if slices.ContainsFunc(findings[:min(2, len(findings))], func(f record.Finding) bool {
			return is(f) || f.Where == "" && slices.ContainsFunc(c.causes, func(p place) bool { return p.cause == f.Cause })
		}) {
			return judgedRight, ""
		}
		return judgedMissed, ""
	}
	found := slices.ContainsFunc(findings, func(f record.Finding) bool { return sure(f) && is(f) })
	for _, f := range findings {
		planted := slices.ContainsFunc(c.causes, func(p place) bool { return p.cause == f.Cause })
		switch {
		case len(c.causes) == 0 && f.Cause != "unknown" && !slices.Contains(c.true, f.Cause):
			return judgedWrong, said(f)
		case !sure(f) || is(f) || planted && found:
		case !slices.Contains(c.true, f.Cause):
			return judgedWrong, said(f)
		case limits(f) && !found && len(c.causes) > 0:
			return judgedWrong, said(f) + ", and nothing planted"
		}
	}
	switch {
	case len(c.causes) == 0 || slices.ContainsFunc(findings, func(f record.Finding) bool { return sure(f) && is(f) && limits(f) }):
		return judgedRight, ""
	case found:
		return judgedNext, ""
	}
	return judgedMissed, ""
}

func ofATest(e record.Evidence) bool { return strings.HasPrefix(e.Source, "test ") }

func said(f record.Finding) string {
	return strings.TrimSpace(fmt.Sprintf("%s@%s %s %s", f.Cause, f.Where, f.Confidence, f.Role))
}

// matrixTables are the confusion matrix, planted by what was named first, and each run of it; Markdown.
func matrixTables(cells []matrixCell, done map[string]outcome) string {
	var text strings.Builder
	first := map[string]map[string]int{} // planted, then named
	var rows, columns []string
	right := map[string]int{}
	row := func(c matrixCell) string {
		if c.blind {
			return c.name + ", no metrics"
		}
		return c.name
	}
	for _, c := range cells {
		x, ok := done[c.id]
		if !ok || x.Invalid != "" {
			continue
		}
		r, name := row(c), "nothing"
		if len(x.Findings) > 0 {
			name = x.Findings[0].Cause
		}
		if first[r] == nil {
			first[r] = map[string]int{}
			rows = append(rows, r)
		}
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
		first[r][name]++
		if verdict, _ := judge(c, x.Findings); verdict == judgedRight {
			right[r]++
		}
	}
	slices.Sort(columns)
	fmt.Fprintf(&text, "| planted ↓, named first → | runs | right | %s |\n|---|---:|---:|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)))
	for _, r := range rows {
		n := 0
		counts := ""
		for _, name := range columns {
			n += first[r][name]
			if k := first[r][name]; k > 0 {
				counts += fmt.Sprintf(" %d |", k)
			} else {
				counts += " |"
			}
		}
		fmt.Fprintf(&text, "| %s | %d | %d |%s\n", r, n, right[r], counts)
	}
	text.WriteString("\n| run | findings, in order | other work | s | judged |\n|---|---|---:|---:|---|\n")
	for _, c := range cells {
		x, ok := done[c.id]
		if !ok {
			fmt.Fprintf(&text, "| %s | | | | not run |\n", c.id)
			continue
		}
		text.WriteString(x.row(c))
	}
	return text.String()
}

// row of the table of runs.
func (x *outcome) row(c matrixCell) string {
	var list []string
	for _, f := range x.Findings {
		list = append(list, said(f))
	}
	verdict, why := judge(c, x.Findings)
	if x.Invalid != "" {
		verdict, why = "not counted", x.Invalid
	}
	if why != "" {
		verdict += ": " + why
	}
	other := "?"
	if x.OtherWorkPercent != nil {
		other = fmt.Sprintf("%.0f %%", *x.OtherWorkPercent)
	}
	return fmt.Sprintf("| %s | %s | %s | %.0f | %s |\n", c.id, cmp.Or(strings.Join(list, " · "), "none"), other, x.Seconds, verdict)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	finding := func(text string) record.Finding { // cause@where confidence role [source]
		f := strings.Fields(text)
		cause, where, _ := strings.Cut(f[0], "@")
		x := record.Finding{Cause: cause, Where: where, Confidence: f[1], Role: f[2]}
		if len(f) > 3 {
			x.Evidence = []record.Evidence{{Source: strings.Join(f[3:], " ")}}
		}
		return x
	}
	healthy := planted{true: []string{"cpu-bound-hashing"}}
	lock := planted{causes: []place{{"lock-contention", "user"}}, true: healthy.true}
	for _, tt := range []struct {
		name     string
		planted  *planted
		blind    bool
		findings []string
		want     string
	}{
		{"healthy, hashing", &healthy, false, []string{"cpu-bound-hashing@user C2 slow-because"}, judgedRight},
		{"healthy, nothing", &healthy, false, nil, judgedRight},
		{"healthy, something else that is not sure", &healthy, false, []string{"pool-too-small@billing C1 slow-because"}, judgedWrong},
		{"healthy, unknown", &healthy, false, []string{"unknown@ C1 slow-because"}, judgedRight},
		{"healthy, something else", &healthy, false, []string{"cpu-bound-hashing@user C2 slow-because", "pool-too-small@billing C2 next"}, judgedWrong},
		{"named", &lock, false, []string{"lock-contention@user C2 slow-because", "cpu-bound-hashing@user C2 next"}, judgedRight},
		{"named, not as what limits", &lock, false, []string{"cpu-bound-hashing@user C2 slow-because", "lock-contention@user C3 next"}, judgedNext},
		{"named, not sure", &lock, false, []string{"lock-contention@user C1 slow-because"}, judgedMissed},
		{"named elsewhere", &lock, false, []string{"lock-contention@billing C2 slow-because"}, judgedWrong},
		{"named, and another", &lock, false, []string{"lock-contention@user C2 slow-because", "slow-downstream@kill-bill C2 next"}, judgedWrong},
		{"hashing instead", &lock, false, []string{"cpu-bound-hashing@user C2 slow-because"}, judgedWrong},
		{"unknown", &lock, false, []string{"unknown@ C1 slow-because"}, judgedMissed},
		{"no metrics, second", &lock, true, []string{"unknown@ C1 slow-because", "lock-contention@user C1 next"}, judgedRight},
		{"no metrics, nowhere", &lock, true, []string{"database-pool-starved@ C1 slow-because", "lock-contention@ C1 or-because"}, judgedRight},
		{"no metrics, elsewhere", &lock, true, []string{"lock-contention@billing C1 slow-because"}, judgedMissed},
		{"no metrics, third", &lock, true, []string{"unknown@ C1 slow-because", "slow-downstream@kill-bill C1 next", "lock-contention@user C1 next"}, judgedMissed},
		{"no metrics, too sure", &lock, true, []string{"lock-contention@user C2 slow-because closed ramp"}, judgedWrong},
		{"no metrics, a test met", &lock, true, []string{"lock-contention@user C3 slow-because test T2"}, judgedRight},
		{"no metrics, sure by the kernel alone", &lock, true, []string{"lock-contention@user C2 slow-because kernel"}, judgedWrong},
		{"no metrics, another by a test", &lock, true, []string{"accept-backlog@user C2 slow-because test T5", "lock-contention@user C1 next"}, judgedWrong},
	} {
		var list []record.Finding
		for _, text := range tt.findings {
			list = append(list, finding(text))
		}
		if got, why := judge(matrixCell{planted: tt.planted, blind: tt.blind}, list); got != tt.want {
			t.Errorf("%s: %s (%s), want %s", tt.name, got, why, tt.want)
		}
	}
}
