package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

func trialsTable(r *record.Result) table {
	open, drops, late := false, false, false
	for _, x := range r.Trials {
		open = open || x.Load.RatePerSecond > 0
		drops = drops || x.Dropped > 0
		late = late || x.Late != nil && *x.Late > 0
	}
	t := table{
		ID: "trials", Title: "Trials",
		Caption: "Every load that was held, warm-up left out. Latency is the response time of all steps together; n requests stand behind it.",
	}
	for _, x := range r.Trials {
		l := x.Latency
		if x.N == 0 {
			l = record.Latency{}
		}
		t.Columns = t.Columns[:0]
		var row []cell
		put := func(c column, text string) {
			t.Columns = append(t.Columns, c)
			row = append(row, plainCells(text)...)
		}
		put(column{Head: "phase"}, x.Phase)
		put(column{Head: "load"}, gate.Load(x.Load))
		put(column{Head: "time", Number: true}, seconds(x.Seconds))
		if open { // closed users offer the next request when the last has ended: nothing to tell apart
			put(column{Head: "offered/s", Number: true, Wide: true}, digits3(x.OfferedPerSecond))
		}
		put(column{Head: "good/s", Number: true}, digits3(x.GoodputPerSecond))
		put(column{Head: "in flight", Number: true, Wide: true}, digits3(x.InFlightMean))
		put(column{Head: "errors", Number: true}, opt(x.ErrorPercent, percent, dash))
		if finite(x.ErrorPercent) && *x.ErrorPercent > 0 {
			row[len(row)-1].Tone = "bad"
		}
		if drops {
			put(column{Head: "dropped", Number: true, Wide: true}, count(x.Dropped))
		}
		if late {
			put(column{Head: "late", Number: true, Wide: true}, lateText(x.Late))
		}
		put(column{Head: "n", Number: true}, count(x.N))
		put(column{Head: "mean", Number: true, Wide: true}, opt(l.MeanMs, millis, dash))
		put(column{Head: "p50", Number: true}, opt(l.P50Ms, millis, dash))
		put(column{Head: "p95", Number: true}, opt(l.P95Ms, millis, dash))
		put(column{Head: "p99", Number: true, Wide: true}, opt(l.P99Ms, millis, dash))
		put(column{Head: "max", Number: true, Wide: true}, opt(l.MaxMs, millis, dash))
		v := trialVerdict(x.Verdict)
		if x.Verdict != "invalid" && (unjudged(x.Phase) || len(r.Limits) == 0 && r.Run.Plan != gate.PlanCapacity) {
			v = trialVerdict("")
		}
		put(column{Head: "limits", Narrow: true}, v.Text)
		row[len(row)-1].Tone = v.Tone
		if len(x.Reasons) > 0 {
			mark, _, _ := strings.Cut(v.Text, " ")
			v.Text = mark + " " + strings.Join(x.Reasons, "; ")
		}
		put(column{Head: "limits", Wide: true}, v.Text)
		row[len(row)-1].Tone = v.Tone
		t.add(row...)
	}
	return t
}

// unjudged phases load the target for another purpose than to see whether it holds the limits.
func unjudged(phase string) bool {
	return phase == record.PhaseTests || phase == "overload" || phase == "abort"
}

func lateText(n *uint64) string {
	if n == nil {
		return dash
	}
	return count(*n)
}

func trialVerdict(v string) cell {
	switch v {
	case "pass":
		return cell{"✓ held", "good"}
	case "fail":
		return cell{"✗ broken", "bad"}
	case "":
		return cell{dash, "dim"}
	default:
		return cell{v, "dim"}
	}
}

func stepsTable(r *record.Result) table {
	t := table{
		ID: "steps", Title: "Steps",
		Caption: "Each step over the whole run, warm-up and overload included. Response time counts from the intended start.",
		Columns: []column{
			{Head: "step"},
			{Head: "n", Number: true},
			{Head: "errors", Number: true},
			{Head: "mean", Number: true, Wide: true},
			{Head: "p50", Number: true},
			{Head: "p90", Number: true, Wide: true},
			{Head: "p95", Number: true},
			{Head: "p99", Number: true},
			{Head: "p99.9", Number: true, Wide: true},
			{Head: "max", Number: true},
			{Head: "service time p95", Number: true, Wide: true},
		},
	}
	for _, name := range stepNames(r) {
		s := r.Steps[name]
		p, sp := s.ResponseMs, s.ServiceMs
		if s.N == 0 {
			p, sp = record.Percentiles{}, record.Percentiles{}
		}
		row := plainCells(name, count(s.N), errorShare(s), opt(p.Mean, millis, dash), opt(p.P50, millis, dash), opt(p.P90, millis, dash),
			opt(p.P95, millis, dash), opt(p.P99, millis, dash), opt(p.P999, millis, dash), opt(p.Max, millis, dash), opt(sp.P95, millis, dash))
		if s.N > s.OK {
			row[2].Tone = "bad"
		}
		t.add(row...)
	}
	return t
}

// errorShare: "3 (0.3 %)", or a dash when nothing completed.
func errorShare(s record.StepStats) string {
	switch {
	case s.N == 0:
		return dash
	case s.OK >= s.N:
		return "0"
	default:
		bad := s.N - s.OK
		return count(bad) + " (" + percent(100*float64(bad)/float64(s.N)) + ")"
	}
}

// stepNames in journey order; steps the header does not list come after, by name.
func stepNames(r *record.Result) []string {
	var names []string
	for _, n := range r.Run.Steps {
		if _, ok := r.Steps[n]; ok && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, n := range sortedKeys(r.Steps) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// errorWords explain the error classes in the reader's terms.
var errorWords = map[string]string{
	"status": "the status was not the expected one", "check": "the status was right, the body was not",
	"timeout": "no complete answer in time", "refused": "connection refused", "reset": "connection reset by the target",
	"closed": "connection closed before the answer was complete", "dns": "name not resolved", "tls": "TLS handshake failed",
	"local": "captest's own machine ran out of ports or descriptors", "protocol": "the answer was not HTTP, or too large",
	"canceled": "captest gave up at the end of the trial", "dropped": "never started: too many in flight", "other": "something else",
}

func errorsTable(r *record.Result) table {
	t := table{
		ID: "errors", Title: "Errors", Caption: "Failed requests by step and class, most frequent first.",
		Columns: []column{{Head: "step"}, {Head: "class"}, {Head: "n", Number: true}, {Head: "share", Number: true}, {Head: "meaning"}},
	}
	type line struct {
		step, class string
		n, of       uint64
	}
	var lines []line
	for _, name := range stepNames(r) {
		for class, n := range r.Steps[name].Errors {
			if n > 0 {
				lines = append(lines, line{name, class, n, r.Steps[name].N})
			}
		}
	}
	for class, n := range r.Connections.Client.Errors {
		if n > 0 {
			lines = append(lines, line{"(connection)", class, n, 0})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.step, b.step), cmp.Compare(a.class, b.class))
	})
	for _, l := range lines {
		share := dash
		if l.of > 0 {
			share = percent(100 * float64(l.n) / float64(l.of))
		}
		t.add(plainCells(l.step, l.class, count(l.n), share, errorWords[l.class])...)
	}
	return t
}

// statusLine: "register 201 × 1,042, 503 × 3", bounded.
func statusLine(r *record.Result) string {
	var parts []string
	for _, name := range stepNames(r) {
		st := r.Steps[name].Status
		if len(st) == 0 {
			continue
		}
		var codes []string
		for i, code := range sortedKeys(st) {
			if i == 12 {
				codes = append(codes, "…")
				break
			}
			codes = append(codes, code+" × "+count(st[code]))
		}
		parts = append(parts, name+" "+strings.Join(codes, ", "))
	}
	return strings.Join(parts, "; ")
}

// limitValue is what was measured against a limit: "848 ms at 8 users".
func limitValue(l record.LimitResult) string {
	switch {
	case !finite(l.Value) && (gate.Broken(l) || l.At == "recovery not tested"):
		return l.At
	case !finite(l.Value):
		return unknown + ": no data"
	}
	s := inUnit(*l.Value, l.Unit)
	if l.Unit == "s" {
		s = tenths(*l.Value)
	}
	switch {
	case l.At == "":
		return s
	case strings.HasSuffix(l.At, "user") || strings.HasSuffix(l.At, "users") || strings.HasSuffix(l.At, "/s"):
		return s + " at " + l.At
	default:
		return s + ", " + l.At
	}
}

// limitMark: ✓ held, ✗ broken, ? nobody could tell.
func limitMark(l record.LimitResult) cell {
	switch {
	case l.OK:
		return cell{"✓", "good"}
	case gate.Broken(l):
		return cell{"✗", "bad"}
	default:
		return cell{"?", "dim"}
	}
}

func ceilingsTable(r *record.Result) table {
	t := table{
		ID: "ceilings", Title: "Ceilings", Caption: "What each resource could carry at most: servers ÷ demand. The lowest one is the limit.",
		Columns: []column{
			{Head: "resource"},
			{Head: "where"},
			{Head: "servers", Number: true},
			{Head: "demand", Number: true},
			{Head: "at most", Number: true},
			{Head: "interval", Number: true, Wide: true},
			{Head: "busy", Number: true},
		},
	}
	list := slices.Clone(r.Ceilings)
	slices.SortStableFunc(list, func(a, b record.Ceiling) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
	for _, c := range list {
		between := dash
		if c.Interval != nil {
			between = opt(c.Interval.Confirmed, digits3, dash) + "–" + opt(c.Interval.Refuted, digits3, dash) + "/s"
		}
		t.add(plainCells(c.Resource, c.Where, number(c.Servers), millis(c.DemandMs), digits3(c.PerSecond)+"/s", between,
			opt(c.UtilisationPercent, percent, dash))...)
	}
	return t
}

func downstreamTable(r *record.Result) table {
	t := table{
		ID: "downstream", Title: "Connections inside the target", Caption: "What each service opened to the next one during the run, from its own metrics: connections opened, the most in use at once, the mean wait for one, and the mean length of a call.",
		Columns: []column{
			{Head: "from → to"},
			{Head: "opened", Number: true},
			{Head: "requests", Number: true},
			{Head: "per request", Number: true},
			{Head: "peak", Number: true},
			{Head: "wait", Number: true},
			{Head: "call", Number: true},
		},
	}
	for _, service := range sortedKeys(r.Connections.Target) {
		for _, to := range sortedKeys(r.Connections.Target[service].Downstream) {
			d := r.Connections.Target[service].Downstream[to]
			t.add(plainCells(service+" → "+to, opt(d.Opened, number, dash), opt(d.Requests, number, dash), opt(d.OpenedPerRequest, digits3, dash),
				opt(d.PeakInUse, number, dash), opt(d.PoolWaitMs, millis, dash), opt(d.MeanMs, millis, dash))...)
		}
	}
	return t
}

func baselineTable(b *record.Baseline) table {
	t := table{
		ID: "baseline-figures", Title: "Claimed and measured", Caption: "The published figure beside what was measured at the same hop. Never a gate: the hardware differs.",
		Columns: []column{{Head: ""}, {Head: "claimed", Number: true}, {Head: "measured", Number: true}},
	}
	per := func(v float64) string { return digits3(v) + "/s" }
	row := func(name string, claimed, measured, direct string) {
		cells := plainCells(name, claimed, measured, direct)
		if b.Direct == nil {
			cells = cells[:3]
		}
		t.add(cells...)
	}
	d := record.BaselineFigure{}
	if b.Direct != nil {
		d = *b.Direct
		t.Columns = append(t.Columns, column{Head: "straight at it", Number: true})
		t.Caption += " Straight at it: past every service before it, by a test of its own."
	}
	row("account creations", opt(b.Claimed.PerSecond, per, unknown), opt(b.Measured.PerSecond, per, unknown), opt(d.PerSecond, per, unknown))
	row("mean latency", opt(b.Claimed.MeanMs, millis, unknown), opt(b.Measured.MeanMs, millis, unknown), opt(d.MeanMs, millis, unknown))
	if finite(b.NeedsInFlight) && b.Direct != nil && b.DirectUsers != nil {
		row("at a time", digits3(*b.NeedsInFlight), dash, count(uint64(max(0, *b.DirectUsers))))
	}
	row("n", opt(b.Claimed.N, number, unknown), opt(b.Measured.N, number, unknown), opt(d.N, number, unknown))
	return t
}
