package experiment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
)

// restartCure proves that a stuck target needs a restart: first the entry alone, then everything, innermost service first.
func (t *recoveryTest) restartCure(ctx context.Context) {
	r := &t.verdict
	can := t.restartable()
	if len(can) == 0 {
		r.Summary += "; restart not tested: captest was given no command that restarts it (restart: in the target file)"
		r.Undecided = append(r.Undecided, record.Undecided{What: "whether a restart cures it", Why: "the target file names no restart command"})
		return
	}
	tries := [][]string{can}
	if entry := t.Target.Entry; slices.Contains(can, entry) && len(can) > 1 {
		tries = [][]string{{entry}, can}
	}
	for _, names := range tries {
		what := strings.Join(names, ", ")
		t.phase("restart", "restarting "+what, 10*time.Second)
		r.Restart = &record.Restart{Services: names}
		began := t.now()
		for _, name := range names {
			if err := t.Restart(ctx, name); err != nil {
				r.Restart.Note = brief(err)
				t.warn("restarting %s: %s", name, r.Restart.Note)
			}
		}
		if t.works(ctx) {
			r.Class = record.StuckRestart
			r.Restart.Cured, r.Restart.Seconds = true, ref((t.now() - began).Seconds())
			r.Summary += "; restarting " + what + " cured it"
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
	r.Summary += "; restarting " + strings.Join(can, ", ") + " did not cure it"
}

// brief is an error without the end of a service's log: who reads the run folder need not be who may read that.
func brief(err error) string {
	text, _, _ := strings.Cut(err.Error(), "; the last lines")
	return text
}

// restartable lists the services captest can restart, the innermost first: files and stacks name the entry first.
func (t *recoveryTest) restartable() []string {
	var all []string
	if t.Restart == nil {
		return all
	}
	for _, s := range slices.Backward(t.Target.Services) {
		if t.Target.Bundled || s.Restart != "" {
			all = append(all, s.Name)
		}
	}
	return all
}

// restartPatience is how long a restarted service may take to serve: its command returns before it does.
const restartPatience = 30 * time.Second

// restartPause lies between two questions to a service that does not serve yet.
const restartPause = 500 * time.Millisecond

// works asks until a few functional probes in a row have succeeded, or patience is over.
func (x *experiment) works(ctx context.Context) bool {
	until := x.now() + restartPatience
	for row := 0; x.now() < until && ctx.Err() == nil; {
		probes := x.walk(ctx, "fresh", x.probeTimeout(x.bases))
		if slices.ContainsFunc(probes, func(p record.Probe) bool { return !p.OK }) {
			row = 0
			_ = sleep(ctx, restartPause) // ended early: the loop sees it
			continue
		}
		if row++; row == minProbes {
			return true
		}
	}
	return false
}
