package services

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// effect is what flipping one knob alone does. look drives a stack and gives one number; it is taken of the stack as
// phase2 has it and of the stack with the knob flipped, and must lie in was and then in becomes.
type effect struct {
	knob    string
	to      string
	on      map[string]string // set in both stacks: what must be there for the knob to show. SERVICE stands for the service
	look    func(r *rig, service string) float64
	was     span
	becomes span
	frees   []string // what of the steady things the knob may change, by the beginning of its name
	only    string   // one service, where another row has the others

	processes bool // acts on a process
	fresh     bool // look ends the service
}

// span of numbers, both ends included.
type span struct{ low, high float64 }

func exactly(v float64) span { return span{v, v} }
func atLeast(v float64) span { return span{v, math.Inf(1)} }
func atMost(v float64) span  { return span{math.Inf(-1), v} }

func (s span) has(v float64) bool { return s.low <= v && v <= s.high }

// settings of a row for one service; flipped with the knob, too.
func (e *effect) settings(service string, flipped bool) map[string]string {
	set := map[string]string{}
	for k, v := range e.on {
		set[strings.ReplaceAll(k, "SERVICE", service)] = v
	}
	if flipped {
		set[service+"."+e.knob] = e.to
	}
	return set
}

// TestEachKnobAloneChangesWhatItShouldAndNothingElse flips every knob of the table, for every service that has it, on
// phase2: the row's own number must change, and what a quiet sequence of requests makes of the stack must not.
func TestEachKnobAloneChangesWhatItShouldAndNothingElse(t *testing.T) {
	longTest(t)
	table, err := readTable(profilesFile)
	if err != nil {
		t.Fatal(err)
	}
	type job struct {
		effect  *effect
		service string
	}
	var jobs []job
	for _, k := range table.Knobs {
		for _, service := range k.For {
			i := slices.IndexFunc(effects, func(e effect) bool { return e.knob == k.Name && (e.only == "" || e.only == service) })
			if i < 0 {
				t.Errorf("%s.%s: no row says what it changes", service, k.Name)
				continue
			}
			jobs = append(jobs, job{&effects[i], service})
		}
	}
	for _, e := range effects {
		if !slices.ContainsFunc(table.Knobs, func(k knob) bool { return k.Name == e.knob }) {
			t.Errorf("a row for %s, but no such knob", e.knob)
		}
	}

	// Most of the time is waiting, so more stacks run at once than there are cores. The stack as it was serves all rows that
	// set the same on it, one at a time.
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	bases := &bases{t: t, by: map[string]*base{}}
	for _, j := range jobs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			t.Run(j.service+"."+j.effect.knob, func(t *testing.T) { j.effect.check(t, j.service, bases) })
		})
	}
	wg.Wait()
}

func (e *effect) check(t *testing.T, service string, bases *bases) {
	was, quiet := bases.look(t, e, service)
	if !e.was.has(was) {
		t.Errorf("unflipped: %v, want %v", was, e.was)
	}
	r := startRig(t, e.settings(service, true), e.processes)
	still := r.quiet()
	for _, what := range slices.Sorted(maps.Keys(quiet)) {
		free := slices.ContainsFunc(e.frees, func(f string) bool {
			return strings.HasPrefix(what, strings.ReplaceAll(f, "SERVICE", service))
		})
		if !free && still[what] != quiet[what] {
			t.Errorf("%s.%s=%s also changes the %s: %v, was %v", service, e.knob, e.to, what, still[what], quiet[what])
		}
	}
	if got := e.look(r, service); !e.becomes.has(got) {
		t.Errorf("%s.%s=%s: %v, want %v (unflipped %v)", service, e.knob, e.to, got, e.becomes, was)
	}
}

// bases are the stacks without the flip, by what is set on them and for whom: looks at one stack come one at a time.
type bases struct {
	t  *testing.T
	mu sync.Mutex
	by map[string]*base
}

type base struct {
	mu    sync.Mutex
	rig   *rig
	quiet steady
}

// look takes a row's number of the stack without the flip.
func (b *bases) look(t *testing.T, e *effect, service string) (float64, steady) {
	t.Helper()
	set := e.settings(service, false)
	key := fmt.Sprint(service, set, e.processes)
	if e.fresh {
		key = t.Name()
	}
	b.mu.Lock()
	own := b.by[key]
	if own == nil {
		own = &base{}
		b.by[key] = own
	}
	b.mu.Unlock()
	own.mu.Lock()
	defer own.mu.Unlock()
	if own.rig == nil {
		own.rig = startRig(b.t, set, e.processes)
		own.quiet = own.rig.quiet()
	}
	own.rig.t = t
	return e.look(own.rig, service), own.quiet
}
