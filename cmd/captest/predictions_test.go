package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/diagnose"
	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/services"
)

// cure is what a finding of the profile before asks for: in thought, and for the services. What the model has no demand for it
// expects to change no throughput: such a cure is for what outlasts the load, or for latency.
type cure struct {
	finding string
	whatIf  []string
	set     []string
}

var cures = []cure{
	{"none", nil, nil},
	{"event-loop-blocked", []string{"user.hash=pool"}, []string{"user.hash=pool"}},
	{"event-loop-blocked", []string{"user.workers=4"}, []string{"user.workers=4"}},
	{"event-loop-blocked", []string{"user.hash_cost=11"}, []string{"user.hash_cost=11"}},
	{"connection-per-request", []string{"user.client=pooled", "billing.client=pooled"}, []string{"client=pooled"}},
	{"unbounded-concurrency", []string{"billing.semaphore.kill-bill=10"}, []string{"billing.semaphore=10"}},
	{"leaked-connections", nil, []string{"error_path=closes", "undo=closes"}},
	{"descriptor-exhaustion", nil, []string{"nofile=none"}},
	{"abandoned-work", nil, []string{"abandoned=cancelled"}},
}

// TestPredictionsOfCures is `make validate-predictions`: one run of the profile before, and for each finding's cure the
// throughput that --what-if predicts from it beside the one that the services then have, at the knee and at four times as many
// users. Where the forecast says that this throughput takes more descriptors than a service has, the cure gets them too, as anyone would who
// reads it; what it does without them is a row of its own, which is not counted. Misses are for the table, not for the exit status: on a shared
// machine both figures move. VALIDATE_RUN names a run folder to predict from instead of a new one.
func TestPredictionsOfCures(t *testing.T) {
	if os.Getenv("CAPTEST_VALIDATE_PREDICTIONS") != "1" {
		t.Skip("takes ten minutes: make validate-predictions")
	}
	captest := filepath.Join(t.TempDir(), "captest")
	if out, err := exec.Command("go", "build", "-o", captest, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	from := os.Getenv("VALIDATE_RUN")
	if from == "" {
		from = recorded(t, captest, 6*time.Minute, "--effort", "quick", "--no-brake")
	}
	run, res, err := conclude(from)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range res.Findings {
		found = append(found, fmt.Sprintf("%s@%s %s %s", f.Cause, f.Where, f.Confidence, f.Role))
	}
	t.Logf("predicted from a run that found %s", strings.Join(found, ", "))
	var table strings.Builder
	table.WriteString("| finding | cure | users | predicted | measured | off | other work |\n|---|---|---:|---:|---:|---:|---:|\n")
	within, all := 0, 0
	for _, c := range cures {
		f, err := diagnose.WhatIf(run, res, 0, c.whatIf)
		if err != nil {
			t.Errorf("%v: %v", c.whatIf, err)
			continue
		}
		knee := max(2, int(math.Ceil(f.After.KneeUsers)))
		for _, users := range []int{knee, 4 * knee} {
			f, err := diagnose.WhatIf(run, res, users, c.whatIf)
			if err != nil {
				t.Fatal(err)
			}
			at := f.After.Curve[slices.IndexFunc(f.After.Curve, func(p diagnose.Point) bool { return p.Users == users })].PerSecond
			measured := func(set []string) (dir string, x float64, other string) {
				args := []string{"--concurrent", fmt.Sprint(users), "--duration", "15s", "--no-brake"}
				for _, s := range set {
					args = append(args, "--set", s)
				}
				dir = recorded(t, captest, 2*time.Minute, args...)
				x, other = steady(t, dir)
				return dir, x, other
			}
			row := func(set []string, x float64, said, other string) {
				text := fmt.Sprintf("| %s | `%s` | %d | %.3g/s (%.3g–%.3g) | %.3g/s | %s | %s |\n", c.finding, strings.Join(set, " "), users, at.Value, at.Low, at.High, x, said, other)
				t.Log(text)
				table.WriteString(text)
			}
			set := slices.Clone(c.set)
			if c.whatIf != nil && slices.ContainsFunc(f.Sentences, func(s string) bool { return strings.Contains(s, "descriptors") }) {
				dir, x, other := measured(set)
				said := "not counted: held without more descriptors"
				if outOfDescriptors(t, dir) {
					said = "not counted: out of descriptors, as the forecast said it may be"
				}
				row(set, x, said, other)
				set = append(set, "nofile=none")
			}
			_, x, other := measured(set)
			off := x/at.Value - 1
			said := fmt.Sprintf("**%+.0f %%**", 100*off)
			all++
			if math.Abs(off) <= queueing.ModelError {
				within++
				said = fmt.Sprintf("%+.0f %%", 100*off)
			}
			row(set, x, said, other)
		}
	}
	t.Logf("within ±%.0f %%: %d of %d\n%s", 100*queueing.ModelError, within, all, table.String())
}

// outOfDescriptors says whether a run names that a service ran out of them.
func outOfDescriptors(t *testing.T, dir string) bool {
	t.Helper()
	_, res, err := conclude(dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(res.Findings, func(f record.Finding) bool { return f.Cause == "descriptor-exhaustion" && f.Confidence != diagnose.C1 })
}

// recorded runs captest on the profile before and gives the run folder.
func recorded(t *testing.T, captest string, most time.Duration, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	out := t.TempDir()
	cmd := process(ctx, captest, append([]string{"run", "--target", "reference:before", "--no-tui", "--out", out}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	runErr := cmd.Run() // a verdict other than pass is an exit status of its own
	dirs, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("captest %v left %q: %v, %v\n%s", args, dirs, err, runErr, stderr.Bytes())
	}
	if keep := os.Getenv("VALIDATE_KEEP"); keep != "" {
		if err := os.CopyFS(filepath.Join(keep, filepath.Base(dirs[0])+"-"+strings.Join(args[1:2], "")), os.DirFS(dirs[0])); err != nil {
			t.Errorf("VALIDATE_KEEP: %v", err)
		}
	}
	return dirs[0]
}

// steady is the goodput of a fixed load of 15 s without its first 3 s and without the answers that came after its end, and what
// other work took of the machine meanwhile.
func steady(t *testing.T, dir string) (perSecond float64, other string) {
	t.Helper()
	run, err := record.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	load := record.Summarise(run).Trials[0]
	ok, long := 0.0, 0.0
	for _, f := range run.Frames {
		if since := f.OffsetS - load.StartS; f.Trial != 0 || since < 3 || since+f.Seconds > 15.05 {
			continue
		}
		long += f.Seconds
		for _, s := range f.Steps {
			ok += float64(s.OK)
		}
	}
	other = "?"
	if load.OtherWorkPercent != nil {
		other = fmt.Sprintf("%.0f %%", *load.OtherWorkPercent)
	}
	return ok / math.Max(long, 1e-9), other
}

// TestCuresExist holds the table against the knobs there are.
func TestCuresExist(t *testing.T) {
	t.Parallel()
	for _, c := range cures {
		for _, s := range c.set {
			knob, value, _ := strings.Cut(s, "=")
			if err := services.CheckKnobs("before", map[string]string{knob: value}); err != nil {
				t.Error(err)
			}
		}
	}
}
