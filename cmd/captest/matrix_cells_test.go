package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/services"
)

// planted is what a cell of the matrix has wrong with it, by construction.
type planted struct {
	name    string // row of the matrix
	profile string
	set     map[string]string // as for --set
	causes  []place           // one of them must be named as what limits; none: nothing is wrong
	true    []string          // causes that hold of it besides, and may be named
	runs    int               // with metrics
	blind   bool              // and one without
	load    []string          // a fixed load instead of the plan, which cannot run
	hurried bool              // with clients that give up after 2 s
}

// place is a cause where it lives.
type place struct{ cause, where string }

// pairs are faults that set no knob twice.
var pairs = [][2]string{
	{"event-loop-blocked", "slow-downstream"},
	{"lock-contention", "connection-per-request"},
	{"semaphore-too-small", "lock-contention"},
	{"memory-pressure", "pool-too-small"},
}

// plantings are the rows of the matrix: nothing, each named fault on phase2, pairs of them, and the profiles of the incident.
func plantings(t *testing.T) []planted {
	t.Helper()
	// What limits phase2 as it is, and is therefore true of a fault that takes nothing from it.
	hashing := []string{"cpu-bound-hashing"}
	rows := []planted{{name: "healthy", profile: "phase2", true: hashing, runs: 5}}
	faults := map[string]services.Fault{}
	for _, f := range services.Faults() {
		faults[f.Name] = f
		p := planted{
			name: f.Name, profile: "phase2", set: map[string]string{"fault": f.Name}, causes: []place{{f.Cause, f.Service}},
			true: hashing, runs: 2, blind: true,
		}
		switch f.Name {
		case "lock-contention": // who waits for a lock does not notice that the client has gone
			p.true = append(slices.Clone(hashing), "abandoned-work")
		case "breaker-flapping": // no quiet request gets through, so the plan ends before it begins
			p.load = []string{"--concurrent", "10", "--duration", "40s", "--no-brake"}
		case "abandoned-work": // the plan's clients are patient until its overload
			p.load, p.hurried = []string{"--concurrent", "40", "--duration", "25s", "--no-brake"}, true
		}
		rows = append(rows, p)
	}
	for _, two := range pairs {
		a, b := faults[two[0]], faults[two[1]]
		set := map[string]string{"fault": a.Name}
		for knob, value := range b.Set {
			if _, twice := a.Set[knob]; twice {
				t.Fatalf("%s and %s both set %s", a.Name, b.Name, knob)
			}
			set[knob] = value
		}
		besides := slices.Clone(hashing)
		if slices.Contains(two[:], "lock-contention") {
			besides = append(besides, "abandoned-work") // as where it is alone
		}
		rows = append(rows, planted{
			name: a.Name + "+" + b.Name, profile: "phase2", set: set, true: besides, runs: 1,
			causes: []place{{a.Cause, a.Service}, {b.Cause, b.Service}},
		})
	}
	// The profiles as they were, with their several causes: see profiles.yaml. phase1 has as many loops as the hashes have use for.
	incident := []string{
		"descriptor-exhaustion", "leaked-connections", "abandoned-work", "unbounded-concurrency", "connection-per-request", "cpu-bound-hashing",
	}
	return append(rows,
		planted{name: "before", profile: "before", causes: []place{{"event-loop-blocked", "user"}}, true: incident, runs: 1},
		planted{
			name: "phase1", profile: "phase1", true: incident, runs: 1,
			causes: []place{{"event-loop-blocked", "user"}, {"cpu-bound-hashing", "user"}},
		})
}

// matrixCell is one run.
type matrixCell struct {
	*planted
	id    string // for VALIDATE_CELLS and the cache
	blind bool
}

// matrixCells are all runs, with metrics first, those that VALIDATE_CELLS (patterns, by comma) names.
func matrixCells(t *testing.T, rows []planted, patterns string) []matrixCell {
	t.Helper()
	var all []matrixCell
	for i := range rows {
		p := &rows[i]
		for n := range p.runs {
			all = append(all, matrixCell{planted: p, id: fmt.Sprintf("%s-%d", p.name, n+1)})
		}
		if p.blind {
			all = append(all, matrixCell{planted: p, id: p.name + "-blind", blind: true})
		}
	}
	if patterns == "" {
		return all
	}
	var chosen []matrixCell
	for pattern := range strings.SplitSeq(patterns, ",") {
		before := len(chosen)
		for _, c := range all {
			match, err := path.Match(strings.TrimSpace(pattern), c.id)
			if err != nil {
				t.Fatalf("VALIDATE_CELLS: %q: %v", pattern, err)
			}
			if match && !slices.ContainsFunc(chosen, func(x matrixCell) bool { return x.id == c.id }) {
				chosen = append(chosen, c)
			}
		}
		if len(chosen) == before {
			t.Fatalf("VALIDATE_CELLS: no (further) cell is %q: there are %s-1, …-2, …-blind and so on", pattern, strings.Join(names(rows), "-1, "))
		}
	}
	return chosen
}

func names(rows []planted) []string {
	var list []string
	for i := range rows {
		list = append(list, rows[i].name)
	}
	return list
}

// settings are the --set flags, in order.
func (p *planted) settings() []string {
	var args []string
	for _, knob := range slices.Sorted(maps.Keys(p.set)) {
		args = append(args, "--set", knob+"="+p.set[knob])
	}
	return args
}

// arguments of captest run but for the target.
func (p *planted) arguments(t *testing.T, dir string) []string {
	t.Helper()
	args := []string{"run"}
	if p.hurried {
		file := filepath.Join(dir, "impatient.yaml")
		if err := os.WriteFile(file, []byte(impatient), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	if p.load == nil {
		args = append(args, "--effort", "quick")
	}
	return append(args, p.load...)
}

const impatient = `name: impatient
data: {email: "u{{unique}}@load.example"}
steps:
  - name: register
    timeout: 2s
    request:
      method: POST
      path: /auth/register
      json: {email: "{{email}}", password: "Correct-Horse-{{n}}", first_name: Load, last_name: Test, accept_terms: true}
    expect: {status: 201}
`

func TestMatrixCells(t *testing.T) {
	t.Parallel()
	rows := plantings(t)
	if got, want := len(matrixCells(t, rows, "")), 3*len(services.Faults())+5+len(pairs)+2; got != want {
		t.Errorf("%d cells, want %d", got, want)
	}
	for i := range rows {
		if err := services.CheckKnobs(rows[i].profile, rows[i].set); err != nil {
			t.Errorf("%s: %v", rows[i].name, err)
		}
	}
	var ids []string
	for _, c := range matrixCells(t, rows, "healthy-[12],lock-contention-blind, before-*") {
		ids = append(ids, c.id)
	}
	if want := []string{"healthy-1", "healthy-2", "lock-contention-blind", "before-1"}; !slices.Equal(ids, want) {
		t.Errorf("chosen %v, want %v", ids, want)
	}
}
