package diagnose

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// leveller builds a capacity run whose levels have a known throughput: 30 measured seconds each, of 100 × the given one, with 1 % noise.
type leveller struct {
	t      *testing.T
	run    record.Run
	rng    *rand.Rand
	now    float64
	trials int
}

func (l *leveller) level(users int, perSecond, failed float64, verdict string, reasons ...string) {
	event := func(kind record.EventKind, data any) {
		e, err := record.NewEvent(l.now, kind, l.trials, "", data)
		if err != nil {
			l.t.Fatal(err)
		}
		l.run.Events = append(l.run.Events, e)
	}
	load := record.Load{Users: users}
	event(record.EventTrialStart, record.TrialStart{Phase: "ramp", Load: load})
	for i := range 40 {
		x := perSecond * (1 + 0.01*l.rng.NormFloat64())
		warm := i < 10
		if warm {
			x /= 10 // must not count
		}
		n := uint64(100*x + 0.5)
		bad := uint64(failed * float64(n))
		l.run.Frames = append(l.run.Frames, record.Frame{
			OffsetS: l.now, Seconds: 1, Trial: l.trials, Phase: "ramp", Warmup: warm, Users: users,
			Steps: map[string]*record.StepFrame{"a": {N: n + bad, OK: n}},
		})
		l.now++
	}
	event(record.EventTrialEnd, record.TrialEnd{Verdict: verdict, Reasons: reasons})
	l.trials++
}

var doublings = []int{1, 2, 4, 8, 10, 16, 32, 64}

// levelled gives the curve of levels whose throughput is a function of the users.
func levelled(t *testing.T, of func(n float64) float64, change func(l *leveller)) *record.Curve {
	l := &leveller{t: t, rng: rand.New(rand.NewPCG(1, 2))}
	l.run.Info = record.RunInfo{Plan: "capacity", Seed: 7}
	if change != nil {
		change(l)
	} else {
		for _, n := range doublings {
			l.level(n, of(float64(n)), 0, "pass")
		}
	}
	res := record.Summarise(&l.run)
	Explain(&l.run, res)
	if c := res.Capacity.Curve; c != nil {
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("the curve cannot be written: %v", err)
		}
	}
	return res.Capacity.Curve
}

func hardBound(n float64) float64 { return math.Min(n/0.25, 30) }

func TestCurveOfKnownShapes(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		of      func(n float64) float64
		shape   string
		ceiling float64
		refused string
	}{
		"a limiter":               {hardBound, "hard bound", 3000, "hard-limit"},
		"a serial part":           {func(n float64) float64 { return 4 * n / (1 + 0.1*(n-1)) }, "amdahl", 4000, "serial-only"},
		"a cost of each pair":     {func(n float64) float64 { return 4 * n / (1 + 0.03*(n-1) + 0.001*n*(n-1)) }, "universal scalability law", 4 * 31.1 / (1 + 0.03*30.1 + 0.001*31.1*30.1) * 100, ""},
		"one loop from the start": {func(float64) float64 { return 5 }, "hard bound", 500, "hard-limit"},
	} {
		c := levelled(t, x.of, nil)
		if c == nil || c.Shape == nil || *c.Shape != x.shape || c.Levels != len(doublings) || c.Sentence == "" {
			t.Errorf("%s: %+v", name, c)
			continue
		}
		if c.CeilingPerSecond == nil || math.Abs(*c.CeilingPerSecond/x.ceiling-1) > 0.05 {
			t.Errorf("%s: ceiling %v, want %v", name, *c.CeilingPerSecond, x.ceiling)
		}
		if c.Reason != x.refused || (c.Kappa != nil) != (x.refused == "") {
			t.Errorf("%s: refused %q (%s), kappa %v", name, c.Reason, c.Refused, c.Kappa)
		}
		if c.Kappa != nil && (c.Kappa.Low > 0.001 || *c.Kappa.High < 0.001 || !c.Peaked || c.PeakUsers.Low > 31.1 || *c.PeakUsers.High < 31.1) {
			t.Errorf("%s: kappa %+v, peak %+v do not hold the truth", name, c.Kappa, c.PeakUsers)
		}
	}
}

func TestCurveIsRefused(t *testing.T) {
	t.Parallel()
	levels := func(l *leveller, users ...int) {
		for _, n := range users {
			l.level(n, hardBound(float64(n)), 0, "pass")
		}
	}
	for name, x := range map[string]struct {
		change func(l *leveller)
		reason string // of no curve at all; "hard-limit" goes with one
		levels int
	}{
		"five levels": {func(l *leveller) { levels(l, 1, 2, 4, 8, 16) }, "too-few-trials", 5},
		"errors":      {func(l *leveller) { levels(l, 1, 2, 4, 8, 16); l.level(32, 20, 0.5, "fail") }, "failures", 6},
		"captest the limit": {func(l *leveller) {
			levels(l, 1, 2, 4, 8, 16)
			l.level(32, 20, 0, "invalid", "captest itself used 95 % of its cores")
		}, "generator-limit", 6},
		"a person went on": {func(l *leveller) { levels(l, doublings...); l.level(128, 3, 0, "invalid", "ended early: next") }, "hard-limit", 8},
		"repeated and valid": {func(l *leveller) {
			levels(l, doublings[:7]...)
			l.level(64, 3, 0, "invalid", "captest sent late")
			levels(l, 64)
		}, "hard-limit", 8},
		"valid and repeated": {func(l *leveller) { levels(l, doublings...); l.level(64, 3, 0, "invalid", "captest sent late") }, "hard-limit", 8},
		"cold at first":      {func(l *leveller) { l.level(1, 1, 0, "pass"); levels(l, doublings...) }, "hard-limit", 8},
	} {
		c := levelled(t, nil, x.change)
		if c == nil || c.Reason != x.reason || c.Refused == "" || c.Next == "" || c.Levels != x.levels || (c.Shape != nil) != (x.reason == "hard-limit") {
			t.Errorf("%s: %+v", name, c)
			continue
		}
		if c.Shape != nil && *c.Shape != "hard bound" {
			t.Errorf("%s: %s", name, *c.Shape)
		}
	}
	if c := levelled(t, nil, func(l *leveller) { levels(l, 1) }); c != nil {
		t.Errorf("one level has a curve: %+v", c)
	}
	if c := levelled(t, nil, func(l *leveller) { l.run.Info.Plan = "fixed"; levels(l, doublings...) }); c != nil {
		t.Errorf("a fixed load has a curve: %+v", c)
	}
}

func TestCurveWarnsOfUnevenOtherWork(t *testing.T) {
	t.Parallel()
	l := &leveller{t: t, rng: rand.New(rand.NewPCG(1, 2))}
	l.run.Info.Plan = "capacity"
	for _, n := range doublings {
		l.level(n, hardBound(float64(n)), 0, "pass")
	}
	res := record.Summarise(&l.run)
	quiet, busy := 3.0, 40.0
	for i := range res.Trials {
		res.Trials[i].OtherWorkPercent = &quiet
	}
	if c := curve(&l.run, res); len(c.Warnings) != 0 {
		t.Errorf("an even machine: %q", c.Warnings)
	}
	res.Trials[5].OtherWorkPercent = &busy
	if c := curve(&l.run, res); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "other work") {
		t.Errorf("an uneven machine: %q", c.Warnings)
	}
}
