package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/validate"
)

// outcome of a run, as it is kept for the next `make validate-diagnosis` of the same commit.
type outcome struct {
	Began            time.Time
	Seconds          float64 // the whole run
	Findings         []record.Finding
	OtherWorkPercent *float64 // the most of any trial; nil: not known
	RecordedBy       string   // version of captest that made the run
	Invalid          string   // why the run says nothing of the target; "" when it does
}

// TestDiagnosisMatrix is `make validate-diagnosis`: the real program, as a process, against the real services with faults
// planted, in real time. No cause that is not there may be sure, and none that is there may be missed. A run that captest itself
// calls invalid is shown, not counted and not kept.
func TestDiagnosisMatrix(t *testing.T) {
	if os.Getenv("CAPTEST_VALIDATE_DIAGNOSIS") != "1" {
		t.Skip("takes four hours: make validate-diagnosis")
	}
	cells := matrixCells(t, plantings(t), os.Getenv("VALIDATE_CELLS"))
	captest := filepath.Join(t.TempDir(), "captest")
	if out, err := exec.Command("go", "build", "-buildvcs=auto", "-o", captest, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cache := filepath.Join(validate.Cache(t), "diagnosis")
	t.Logf("finished runs are kept in %s", cache)
	done, counted := map[string]outcome{}, 0
	for i, c := range cells {
		var x outcome
		file := filepath.Join(cache, c.id+".json")
		if explained(t, os.Getenv("VALIDATE_FROM"), c, &x) {
			t.Logf("%s, %d of %d, recorded by %s", c.id, i+1, len(cells), x.RecordedBy)
		} else if !validate.Kept(file, &x) {
			const oneRun = 10 * time.Minute // a target of two seconds a request takes most of it
			if deadline, set := t.Deadline(); set && time.Until(deadline) < oneRun+30*time.Second {
				t.Errorf("the time is over after %d runs of %d: call it again, finished ones are kept", len(done), len(cells))
				break
			}
			t.Logf("%s, %d of %d", c.id, i+1, len(cells))
			ctx, cancel := context.WithTimeout(t.Context(), oneRun)
			x = diagnosed(t, ctx, captest, c)
			cancel()
			if x.Invalid == "" {
				validate.Keep(t, file, &x)
			}
		}
		done[c.id] = x
		t.Log(x.row(c))
		if x.Invalid != "" {
			continue
		}
		counted++
		if verdict, why := judge(c, x.Findings); verdict == judgedWrong || verdict == judgedMissed {
			t.Errorf("%s: %s %s", c.id, verdict, why)
		}
	}
	t.Logf("\n%s\n", matrixTables(cells, done))
	if counted < len(done) {
		t.Errorf("%d runs of %d are not counted, see their rows: call it again on a machine with less other work", len(done)-counted, len(done))
	}
}

// diagnosed runs captest once on services of its own.
func diagnosed(t *testing.T, ctx context.Context, captest string, c matrixCell) (x outcome) {
	dir := t.TempDir()
	args := c.arguments(t, dir)
	if c.blind {
		target, stop := serveBlind(t, ctx, captest, dir, c.planted)
		defer stop()
		args = append(args, "--target", target, "--baseline", "none")
	} else {
		args = append(args, "--target", "reference:"+c.profile)
		args = append(args, c.settings()...)
	}
	result := filepath.Join(dir, "run.json")
	cmd := process(ctx, captest, append(args, "--no-tui", "--out", filepath.Join(dir, "runs"), "--json", result)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	x.Began = time.Now()
	runErr := cmd.Run() // a verdict other than pass is an exit status of its own
	x.Seconds = time.Since(x.Began).Seconds()
	if keep := os.Getenv("VALIDATE_KEEP"); keep != "" { // for a look into the folder of a run that missed
		if err := os.CopyFS(filepath.Join(keep, c.id+x.Began.UTC().Format("-20060102T150405Z")), os.DirFS(dir)); err != nil {
			t.Errorf("VALIDATE_KEEP: %v", err)
		}
	}
	raw, err := os.ReadFile(result)
	if err != nil {
		t.Errorf("%s: no result: %v\n%s", c.id, runErr, stderr.Bytes())
		x.Invalid = "no result"
		return x
	}
	var r record.Result
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	x.take(&r)
	return x
}

// take what the matrix looks at of a result.
func (x *outcome) take(r *record.Result) {
	x.Findings, x.RecordedBy = r.Findings, r.Run.CaptestVersion
	for _, trial := range r.Trials {
		if o := trial.OtherWorkPercent; o != nil && (x.OtherWorkPercent == nil || *o > *x.OtherWorkPercent) {
			x.OtherWorkPercent = o
		}
	}
	switch {
	case r.Run.Interrupted:
		x.Invalid = fmt.Sprintf("not over after %.0f s", x.Seconds)
	case !r.Validity.Valid:
		x.Invalid = strings.Join(r.Validity.Reasons, "; ")
	}
}

// explained has the code of now explain the last run folder that VALIDATE_KEEP=from kept of a cell, whichever code recorded it: a
// diagnosis is a pure function of the folder. false where there is none that counts.
func explained(t *testing.T, from string, c matrixCell, x *outcome) bool {
	if from == "" {
		return false
	}
	dirs, err := filepath.Glob(filepath.Join(from, c.id+"-[0-9]*T[0-9]*Z", "runs", "*"))
	if err != nil {
		t.Fatalf("VALIDATE_FROM: %v", err)
	}
	for _, dir := range slices.Backward(dirs) { // the times in their names sort
		_, res, err := conclude(dir)
		if err != nil {
			t.Logf("%s: %v", dir, err)
			continue
		}
		*x = outcome{Began: res.Run.Started}
		if res.Run.Ended != nil {
			x.Seconds = res.Run.Ended.Sub(x.Began).Seconds()
		}
		if x.take(res); x.Invalid == "" {
			return true
		}
	}
	*x = outcome{}
	return false
}

// serveBlind starts the services apart from the run, and gives a target file that says where they are and nothing of metrics:
// captest then has response times, health checks, and what the kernel shows of processes and sockets.
func serveBlind(t *testing.T, ctx context.Context, captest, dir string, p *planted) (target string, stop func()) {
	cmd := process(ctx, captest, append([]string{"serve", "--free-ports", "--profile", p.profile}, p.settings()...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // services that are stuck are killed in the end, which is an error of theirs
	}
	text := "name: blind\nentry: user\noverload_users: 50\nservices:\n"
	var seen []string
	for lines := bufio.NewScanner(out); len(seen) < 4 && lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			continue
		}
		health := "/health"
		if fields[0] == "kill-bill" {
			health = "/1.0/healthcheck"
		}
		text += fmt.Sprintf("  %s: {url: %q, health: %s}\n", fields[0], fields[1], health)
		seen = append(seen, fields[0])
	}
	if !slices.Contains(seen, "user") {
		stop()
		t.Fatalf("captest serve did not start: it said %q\n%s", seen, stderr.Bytes())
	}
	target = filepath.Join(dir, "blind.yaml")
	if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
		stop()
		t.Fatal(err)
	}
	return target, stop
}

// process is captest, interrupted rather than killed when the time is over, so that it stops its services.
func process(ctx context.Context, captest string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, captest, args...)
	cmd.Env = append(os.Environ(), "CI=1", "CAPTEST_STORE=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}
