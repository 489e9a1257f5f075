package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

// What the page is made of. uPlot is vendored with its licence beside it; nothing is ever loaded from a network.
var (
	//go:embed assets/page.html
	pageHTML string
	//go:embed assets/page.css
	pageCSS string
	//go:embed assets/page.js
	pageJS string
	//go:embed assets/uPlot.min.css
	uplotCSS string
	//go:embed assets/uPlot.iife.min.js
	uplotJS string
)

// embedMax bounds the run.json inside the page; a larger one stays in its file.
const embedMax = 300 << 10

// HTML writes the page: self-contained, readable without scripts, and itself data (run.json is inside).
// A nil run leaves out what only frames, scrapes and probes can show.
func HTML(w io.Writer, run *record.Run, r *record.Result) error {
	raw, err := json.Marshal(r) // escapes <, > and &, so no string of a server can end the script element
	if err != nil {
		return fmt.Errorf("report: encode result: %w", err)
	}
	p, err := newPage(run, scrub(r))
	if err != nil {
		return err
	}
	if len(raw) <= embedMax {
		p.RunJSON = template.JS(escapeControls(raw)) //nolint:gosec // JSON with HTML escaping
	}
	// A class such as STUCK_NEEDS_RESTART may break behind its underscores, and nowhere else.
	soft := func(word string) string { return strings.ReplaceAll(word, "_", "_\u200b") }
	t, err := template.New("page").Funcs(template.FuncMap{"soft": soft}).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("report: page template: %w", err)
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("report: write page: %w", err)
	}
	return nil
}

// page is what the template shows: finished text, tables and drawings.
type page struct {
	Policy    string // Content-Security-Policy
	Style     template.CSS
	Scripts   []template.JS
	Title     string
	R         *record.Result
	Target    string
	When      string
	Answer    answer
	Exit      string
	Notices   []notice
	Warnings  []string
	Limits    []limitRow
	Findings  []findingRow
	Tests     []testLine
	Tables    map[string]table
	Hops      []string // verdicts
	Curve     *curveView
	Time      []figure
	Gauges    []figure
	Flat      string
	Recovery  []string // facts about it that have no table
	Undecided []string
	Host      *figure
	Points    string // how many seconds a point of the timeline stands for
	Strip     template.HTML
	StripAlt  string
	Baseline  *baselineView
	Status    string
	Method    []string
	Facts     []pair // environment
	Checks    []pair // validity
	Charts    template.JS
	RunJSON   template.JS
}

type pair struct{ Name, Value string }

type limitRow struct {
	Mark        cell
	Word        string
	Expr, Value string
}

type findingRow struct {
	Cause, Role, Where, Confidence string
	Summary, Remedy                string
	Evidence                       []string
	RuledOut                       []record.RuledOut
	Contradictions, Lookalikes     []string
}

type curveView struct {
	Throughput, Latency template.HTML
	Bound               bool
}

type baselineView struct {
	Name, Provenance, Exoneration, Share string
	Notes                                []string
}

// figure is one diagram over time: the SVG for everyone, replaced by uPlot where scripts run.
type figure struct {
	ID, Title, Alt string
	Legend         []series
	SVG            template.HTML
	Marks          bool
}

func newPage(run *record.Run, r *record.Result) (*page, error) {
	if run == nil {
		run = &record.Run{}
	}
	p := &page{
		R: r, Target: targetName(r), Answer: answerOf(r), Status: statusLine(r),
		Title: strings.ToUpper(orElse(r.Verdict, unknown)) + " · " + r.Run.Scenario + " → " + targetName(r),
		Style: template.CSS(uplotCSS + pageCSS), Scripts: []template.JS{template.JS(uplotJS), template.JS(pageJS)}, //nolint:gosec // our own files
		Tables: map[string]table{}, Notices: pageNotices(r), Warnings: warnings(r),
	}
	p.Policy = policy(string(p.Style), uplotJS, pageJS)
	if !r.Run.Started.IsZero() {
		p.When = r.Run.Started.UTC().Format("2 January 2006, 15:04:05 UTC")
	}
	if m := gate.Meaning(r.ExitCode); m != "" && r.ExitCode != gate.ExitPass {
		p.Exit = fmt.Sprintf("exit code %d: %s", r.ExitCode, m)
	}
	for _, l := range r.Limits {
		m := limitMark(l)
		p.Limits = append(p.Limits, limitRow{m, map[string]string{"✓": "held", "✗": "broken", "?": "not judged"}[m.Text], l.Expr, limitValue(l)})
	}
	for _, f := range r.Findings {
		row := findingRow{
			Cause: f.Cause, Role: roleWords(f.Role), Where: f.Where, Confidence: confidenceWords(f.Confidence),
			Summary: f.Summary, Remedy: join(f.Remedy, "; ", predictionText(f.Prediction)), RuledOut: f.RuledOut,
			Contradictions: f.Contradictions, Lookalikes: f.Lookalikes,
		}
		for _, e := range f.Evidence {
			row.Evidence = append(row.Evidence, evidenceText(e))
		}
		p.Findings = append(p.Findings, row)
	}
	p.Tests = testLines(r)
	for _, t := range []table{trialsTable(r), changesTable(r), stepsTable(r), errorsTable(r), ceilingsTable(r), hopsTable(r), clientTable(r), downstreamTable(r), socketsTable(r), servicesTable(r), triggersTable(r), hysteresisTable(r), leaksTable(r)} {
		p.Tables[t.ID] = t
	}
	p.Hops = hopVerdicts(r)
	p.Recovery, p.Undecided = recoveryNotes(r), undecided(r)
	if c, ok := curveOf(r); ok {
		p.Curve = &curveView{c.throughputSVG(), c.latencySVG(), c.bounded()}
	}
	if b := r.Baseline; b != nil {
		p.Tables["baseline"] = baselineTable(b)
		p.Baseline = &baselineView{Name: baselineName(b.Name), Provenance: b.Provenance, Exoneration: exoneration(b), Notes: b.Notes}
		if finite(b.Ratio) {
			p.Baseline.Share = percent(100**b.Ratio) + " of the claimed rate was asked for in this run."
		}
	}
	p.method(r)
	p.environment(r)
	return p, p.diagrams(run, r)
}

// policy forbids everything but the page's own style and scripts, by their hashes: no request can leave the page.
func policy(style string, scripts ...string) string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	var js []string
	for _, s := range scripts {
		js = append(js, hash(s))
	}
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + strings.Join(js, " ") + "; img-src data:; base-uri 'none'; form-action 'none'"
}

func (p *page) method(r *record.Result) {
	c := r.Capacity
	if r.Run.Plan != gate.PlanCapacity {
		return
	}
	if c.Method != "" {
		p.Method = append(p.Method, "How the figure came about: "+c.Method+".")
	}
	if finite(c.Concurrency.Knee) {
		p.Method = append(p.Method, "Waiting must begin at "+digits3(*c.Concurrency.Knee)+" users: R(1) · Xmax, the knee.")
	}
	if line := curveLine(r); line != "" {
		p.Method = append(p.Method, "Shape of the curve: "+line+".")
		if k := c.Curve; k.Sentence != "" && k.Refused != "" {
			p.Method = append(p.Method, strings.ToUpper(k.Refused[:1])+k.Refused[1:]+".")
		}
		for _, w := range c.Curve.Warnings {
			p.Method = append(p.Method, "The curve is to be read with care: "+w+".")
		}
	}
	if finite(c.IntervalPercent) {
		p.Method = append(p.Method, "Confirmed and refuted are "+percent(*c.IntervalPercent)+" apart.")
	}
	if c.Note != "" {
		p.Method = append(p.Method, c.Note+".")
	}
}

func (p *page) environment(r *record.Result) {
	h := r.Run.Host
	add := func(name, value string) {
		if value == "" {
			value = unknown
		}
		p.Facts = append(p.Facts, pair{name, value})
	}
	add("Run", r.Run.ID)
	add("Plan", join(r.Run.Plan, ", ", r.Run.Effort+" effort"))
	add("Engine", join(r.Run.Engine, ", ", r.Run.EngineWhy))
	add("Seed", fmt.Sprint(r.Run.Seed))
	add("Started", p.When)
	if r.Run.Ended != nil && !r.Run.Started.IsZero() {
		add("Took", seconds(r.Run.Ended.Sub(r.Run.Started).Round(time.Second).Seconds()))
	} else {
		add("Took", "")
	}
	add("Under load", opt(r.Run.LoadSeconds, seconds, ""))
	add("captest", r.Run.CaptestVersion)
	add("System", strings.TrimSpace(h.OS+" "+h.Arch+" "+h.Kernel))
	add("CPU", h.CPUModel)
	if h.CPUs > 0 {
		add("CPUs", fmt.Sprintf("%d (GOMAXPROCS %d)", h.CPUs, h.GOMAXPROCS))
	} else {
		add("CPUs", "")
	}
	if h.MemoryBytes > 0 {
		add("Memory", bytesIn(float64(h.MemoryBytes)))
	} else {
		add("Memory", "")
	}
	add("Go", h.GoVersion)
	if h.Colocated {
		add("Target", "on the same machine: it shared these cores with captest, which lowers the capacity")
	}
	v := r.Validity
	yes := "no: " + orElse(strings.Join(v.Reasons, "; "), "no reason was recorded")
	if v.Valid {
		yes = "yes"
	}
	p.Checks = []pair{
		{"Numbers are about the target", yes},
		{"Schedule lag p99", opt(v.ScheduleLagP99Ms, millis, unknown+" (a closed load has no schedule)")},
		{"captest's own CPU under load", opt(v.GeneratorCPUPercent, func(x float64) string { return percent(x) + " of one core" }, unknown)},
		{"captest's own garbage collection, pauses' p99", opt(v.GCPauseP99Ms, millis, "none")},
		{"Wait for a connection within captest, p99", opt(v.ConnectionWaitP99Ms, millis, unknown)},
		{"Other work on the machine", otherWork(r)},
	}
}

// otherWork is the range over the trials of what was neither captest nor the target.
func otherWork(r *record.Result) string {
	least, most, n := math.Inf(1), 0.0, 0
	for _, t := range r.Trials {
		if finite(t.OtherWorkPercent) {
			least, most, n = min(least, *t.OtherWorkPercent), max(most, *t.OtherWorkPercent), n+1
		}
	}
	if n == 0 {
		return unknown + " (the target runs elsewhere, or was not to be seen)"
	}
	return percent(least) + " to " + percent(most) + " of its cores, over " + plural(uint64(n), "trial", "trials")
}

// diagrams draws everything over time and hands the same numbers to the script.
func (p *page) diagrams(run *record.Run, r *record.Result) error {
	bands := bandsOf(run.Frames)
	from, to := span(run)
	type chartData struct {
		ID     string   `json:"id"`
		Unit   string   `json:"unit"`
		X      floats   `json:"x"`
		Names  []string `json:"names"`
		Colors []int    `json:"colors"`
		Dashes []bool   `json:"dashes"`
		Y      []floats `json:"y"`
		Marks  floats   `json:"marks,omitempty"`
	}
	var data struct {
		From, To float64
		Bands    []band
		Charts   []chartData
	}
	data.From, data.To, data.Bands = from, to, bands
	show := func(c chart) figure {
		d := chartData{ID: c.ID, Unit: c.Unit, Marks: c.Marks}
		small := thin(c, pointsMax)
		d.X = small.X
		for _, s := range small.Series {
			d.Names, d.Colors, d.Dashes, d.Y = append(d.Names, s.Name), append(d.Colors, s.Color), append(d.Dashes, s.Dash), append(d.Y, s.Y)
		}
		data.Charts = append(data.Charts, d)
		return figure{ID: c.ID, Title: c.Title, Alt: c.Alt, Legend: small.Series, SVG: timeSVG(c, bands, from, to), Marks: len(c.Marks) > 0}
	}
	for _, c := range timelineOf(run.Frames) {
		p.Time = append(p.Time, show(c))
		p.Points = pointNote(len(c.X))
	}
	gauges, flat := gaugesOf(run.Scrapes)
	for _, c := range gauges {
		p.Gauges = append(p.Gauges, show(c))
	}
	p.Flat = strings.Join(flat, ", ")
	if c, ok := hostChart(run.Hosts); ok {
		f := show(c)
		p.Host = &f
	}
	if rows := stripsOf(run.Probes); len(rows) > 0 {
		p.Strip = stripSVG(rows, bands, releasesOf(r.Recovery, bands))
		after, _ := releasedAt(bands)
		p.StripAlt = stripText(rows, after)
		p.Tables["probes"] = probesTable(rows, bands)
	}
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("report: encode diagrams: %w", err)
	}
	p.Charts = template.JS(b) //nolint:gosec // JSON with HTML escaping
	return nil
}

// span is the time all diagrams share.
func span(run *record.Run) (from, to float64) {
	for i := range run.Frames {
		if f := &run.Frames[i]; sane(f) {
			to = max(to, f.OffsetS+f.Seconds)
		}
	}
	return 0, to
}

// pointNote says honestly what a point of the timeline is.
func pointNote(n int) string {
	if n <= pointsMax {
		return "One point a second."
	}
	return fmt.Sprintf("One point stands for about %s: of each stretch the lowest and the highest second are kept, so peaks survive.",
		seconds(math.Round(10*2*float64(n)/pointsMax)/10))
}

// Cells gives a table's rows as the template wants them, with each cell's column.
func (t table) Cells() [][]placed {
	out := make([][]placed, len(t.Rows))
	for i, row := range t.Rows {
		for j, c := range row {
			if t.Columns[j].Narrow {
				continue
			}
			out[i] = append(out[i], placed{c, t.Columns[j].Number, j == 0})
		}
	}
	return out
}

// Heads gives the columns the page shows.
func (t table) Heads() []column {
	var out []column
	for _, c := range t.Columns {
		if !c.Narrow {
			out = append(out, c)
		}
	}
	return out
}

type placed struct {
	cell
	Number, First bool
}
