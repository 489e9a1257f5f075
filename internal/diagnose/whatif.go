package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/captest/captest/internal/queueing"
	"github.com/captest/captest/internal/record"
)

// Forecast is what a run's target would do if something about it were changed. Rates are journeys a second.
type Forecast struct {
	Changes   []string `json:"changes"`
	Users     int      `json:"users"`
	Before    Outlook  `json:"before"`
	After     Outlook  `json:"after"`
	Sentences []string `json:"sentences"`
}

// Outlook is what limits, and the curve up to there and beyond.
type Outlook struct {
	PerSecond Range   `json:"per_second"` // the lowest ceiling
	Limit     string  `json:"limit"`      // what limits
	Next      string  `json:"next"`       // what limits once that is gone; "" if nothing is known to
	KneeUsers float64 `json:"knee_users"`
	Curve     []Point `json:"curve"`
}

// Range is a figure with its bounds.
type Range struct {
	Low   float64 `json:"low"`
	Value float64 `json:"value"`
	High  float64 `json:"high"`
}

// Point of a curve.
type Point struct {
	Users      int   `json:"users"`
	PerSecond  Range `json:"per_second"`
	ResponseMs Range `json:"response_ms"`
}

// WhatIfError is an expression that makes no change, and what would make one in this run.
type WhatIfError struct {
	Expr, Reason string
	Possible     []string
}

func (e *WhatIfError) Error() string { return fmt.Sprintf("--what-if %q: %s", e.Expr, e.Reason) }

// Hint lists what is possible.
func (e *WhatIfError) Hint() string {
	if len(e.Possible) == 0 {
		return "this run shows no resource that could be changed: the target needs metrics of its event loops, pools and CPU"
	}
	return "possible in this run: " + strings.Join(e.Possible, ", ")
}

// mostUsers of a forecast: an exact solution takes users² steps.
const mostUsers = 2000

// WhatIf predicts what changes would bring, in order, at a number of users (0: those of the highest goodput). Demands stay
// as measured; see [queueing.Predict].
func WhatIf(run *record.Run, res *record.Result, users int, exprs []string) (*Forecast, error) {
	if users < 0 || users > mostUsers {
		return nil, fmt.Errorf("--users %d: a forecast is for 1 to %d users", users, mostUsers)
	}
	s := look(run, res)
	if s.best == nil {
		return nil, fmt.Errorf("%s: no load of this run succeeded, so nothing can be predicted from it", run.Info.ID)
	}
	if why := s.unmeasured(); why != "" {
		return nil, fmt.Errorf("%s: %s, so nothing can be predicted from it", run.Info.ID, why)
	}
	if users == 0 {
		if users = s.best.Load.Users; users == 0 {
			users = max(1, int(math.Ceil(s.best.InFlightMean)))
		}
		users = min(users, mostUsers)
	}
	sys := s.system()
	var changes []queueing.Change
	for _, expr := range exprs {
		made, err := s.change(&sys, expr)
		if err != nil {
			return nil, err
		}
		changes = append(changes, made...)
	}
	f := &Forecast{Users: users, Changes: slices.Clone(exprs)}
	p, err := queueing.Predict(sys, users, changes...)
	if err != nil {
		return nil, err
	}
	f.Before, f.After, f.Sentences = outlookOf(p.Before), outlookOf(p.After), p.Sentences
	if p.After.Throughput.Value > s.best.GoodputPerSecond {
		f.Sentences = append(f.Sentences, s.needs(p.After.Throughput.Value)...)
	}
	for _, n := range ladder(users, p.After.Knee.Value) {
		at, err := queueing.Predict(sys, n, changes...)
		if err != nil {
			return nil, err
		}
		f.Before.Curve = append(f.Before.Curve, pointOf(at.Before))
		f.After.Curve = append(f.After.Curve, pointOf(at.After))
	}
	return f, nil
}

// ladder of users: doublings up to twice the number asked for, or the knee where that is further, and the number itself.
func ladder(users int, knee float64) []int {
	var out []int
	far := float64(2 * users)
	if knee < 250 {
		far = max(far, 2*knee)
	}
	for n := 1; float64(n) <= min(mostUsers, far); n *= 2 {
		out = append(out, n)
	}
	out = appendNew(out, users)
	slices.Sort(out)
	return out
}

func outlookOf(o queueing.Outlook) Outlook {
	out := Outlook{PerSecond: rangeOf(o.Highest, 1), Limit: o.Limit.Resource, KneeUsers: rangeOf(o.Knee, 1).Value, Curve: []Point{}}
	if o.Next != nil {
		out.Next = o.Next.Resource
	}
	return out
}

func pointOf(o queueing.Outlook) Point {
	return Point{Users: o.Users, PerSecond: rangeOf(o.Throughput, 1), ResponseMs: rangeOf(o.ResponseTime, 1000)}
}

// rangeOf writes an interval; JSON has no infinity, so bounds that are none are the largest number.
func rangeOf(i queueing.Interval, times float64) Range {
	f := func(v float64) float64 {
		if math.IsNaN(v) {
			return 0
		}
		return math.Max(-math.MaxFloat32, math.Min(v*times, math.MaxFloat32))
	}
	return Range{f(i.Low), f(i.Value), f(i.High)}
}

// change turns an expression into changes of the system. What it needs and was not measured with a size is added first.
func (s *sight) change(sys *queueing.System, expr string) ([]queueing.Change, error) {
	knobs := s.knobs(sys)
	fail := func(reason string, args ...any) error {
		return &WhatIfError{Expr: expr, Reason: fmt.Sprintf(reason, args...), Possible: formsOf(knobs)}
	}
	name, value, ok := strings.Cut(expr, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" || value == "" {
		return nil, fail("not NAME=VALUE")
	}
	var found []knob
	for _, k := range knobs {
		if k.name == name || k.short == name {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail("nothing called %q was measured", name)
	case 1:
	default:
		var all []string
		for _, k := range found {
			all = append(all, k.name)
		}
		return nil, fail("%q could be any of %s", name, strings.Join(all, ", "))
	}
	changes, reason := found[0].make(value)
	if reason != "" {
		return nil, fail("%s", reason)
	}
	return changes, nil
}

// knob is something about the target that can be changed in thought.
type knob struct {
	name  string // user.cores, billing.pool.kill-bill
	short string // pool.kill-bill, hash.cost; "" for none
	value string // what it takes, for people
	make  func(value string) ([]queueing.Change, string)
}

func formsOf(knobs []knob) []string {
	var out []string
	for _, k := range knobs {
		name := k.name
		if k.short != "" {
			n := 0
			for _, o := range knobs {
				if o.short == k.short {
					n++
				}
			}
			if n == 1 {
				name = k.short
			}
		}
		out = append(out, name+"="+k.value)
	}
	return out
}

// number of servers: a positive number, or a positive whole one.
func servers(value string, whole bool) (float64, string) {
	v, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil || !finite(v) || v <= 0 || v > 1e6:
		return 0, fmt.Sprintf("%q is not a number above 0 and up to a million", value)
	case whole && v != math.Trunc(v):
		return 0, fmt.Sprintf("%q is not a whole number", value)
	}
	return v, ""
}
