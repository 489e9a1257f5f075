//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// steadyTarget answers after 10 ms, of which two at a time are served, and gives the scenario that asks it.
func steadyTarget(t *testing.T) (scenario, url string) {
	t.Helper()
	room := make(chan struct{}, 2)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		room <- struct{}{}
		time.Sleep(10 * time.Millisecond)
		<-room
	}))
	t.Cleanup(s.Close)
	scenario = filepath.Join(t.TempDir(), "work.yaml")
	if err := os.WriteFile(scenario, []byte("name: work\nsteps: [{name: work, request: {path: /work}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return scenario, s.URL
}

// trialOf waits for a trial of a phase to begin, or to end, and gives its number.
func (p *program) trialOf(phase string, kind record.EventKind, not int) int {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		phases := map[int]string{}
		for _, e := range p.events() {
			if e.Kind == record.EventTrialStart {
				var d record.TrialStart
				if err := json.Unmarshal(e.Data, &d); err != nil {
					p.t.Fatal(err)
				}
				phases[e.Trial] = d.Phase
			}
			if e.Kind == kind && e.Trial != not && phases[e.Trial] == phase {
				return e.Trial
			}
		}
	}
	p.t.Fatalf("no %s of phase %q\n%s", kind, phase, p.stderr.String())
	return -1
}

// stop stops captest for two seconds, half a second into its trial.
func (p *program) stop() {
	p.t.Helper()
	time.Sleep(500 * time.Millisecond)
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := p.cmd.Process.Signal(s); err != nil {
			p.t.Fatal(err)
		}
		if s == syscall.SIGSTOP {
			time.Sleep(2 * time.Second)
		}
	}
}

const stoodStill = "captest itself stood still for 2."

// A generator that was stopped says nothing about its target: the trial is invalid, not failed, whatever the limit.
func TestAStoppedGeneratorBlamesNobody(t *testing.T) {
	t.Parallel()
	for name, load := range map[string][]string{
		"closed":           {"--concurrent", "4"},
		"closed, net/http": {"--concurrent", "4", "--engine", "http"},
		"open":             {"--rate", "50"},
		"open, bounded":    {"--rate", "50", "--connections", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario, url := steadyTarget(t)
			p := start(t, append([]string{"run", scenario, "--target", url, "--duration", "4s", "--limit", "max<1s", "--limit", "goodput>1000/s"}, load...)...)
			p.trialOf("fixed", record.EventTrialStart, -1)
			p.stop()
			code := p.wait()
			r := p.result()
			if len(r.Trials) != 1 || r.Trials[0].Verdict != "invalid" || !strings.Contains(strings.Join(r.Trials[0].Reasons, "; "), stoodStill) {
				t.Errorf("trials %+v, want one that is invalid because %q", r.Trials, stoodStill)
			}
			if r.Validity.Valid || !strings.Contains(strings.Join(r.Validity.Reasons, "; "), stoodStill) || code != gate.ExitInconclusive {
				t.Errorf("exit %d, validity %+v; want %d and %q", code, r.Validity, gate.ExitInconclusive, stoodStill)
			}
		})
	}
}

// In a search the trial is held again, and its capacity is not that of a stopped generator.
func TestASearchRepeatsWhatAStopSpoilt(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	scenario, url := steadyTarget(t)
	p := start(t, "run", scenario, "--target", url)
	spoilt := map[string]int{}
	for _, phase := range []string{"baseline", "bracket"} {
		spoilt[phase] = p.trialOf(phase, record.EventTrialStart, -1)
		p.stop()
		p.trialOf(phase, record.EventTrialEnd, -1)
	}
	p.trialOf("bracket", record.EventTrialStart, spoilt["bracket"])
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait()
	r := p.result()
	for phase, i := range spoilt {
		tr, next := r.Trials[i], r.Trials[i+1]
		if tr.Phase != phase || tr.Verdict != "invalid" || !strings.Contains(strings.Join(tr.Reasons, "; "), stoodStill) {
			t.Errorf("trial %+v, want one of phase %s that is invalid because %q", tr, phase, stoodStill)
		}
		if next.Phase != phase || next.Load != tr.Load {
			t.Errorf("after the trial at %+v comes %s at %+v, want the same again", tr.Load, next.Phase, next.Load)
		}
	}
	if n := strings.Count(strings.Join(r.Validity.Reasons, "; "), stoodStill); n < 2 {
		t.Errorf("validity %+v, want both trials", r.Validity)
	}
}
