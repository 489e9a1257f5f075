package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/captest/captest/internal/record"
)

// Plan is what `captest plan` writes: what a run would send, before anything is.
type Plan struct {
	SchemaVersion int           `json:"schema_version"`
	Scenario      string        `json:"scenario"`
	Target        string        `json:"target"`
	Bundled       bool          `json:"bundled"` // the run starts and stops it
	Services      []PlanService `json:"services"`
	Engine        string        `json:"engine"`
	EngineWhy     string        `json:"engine_why"`
	Effort        string        `json:"effort"`
	Plan          string        `json:"plan"`           // capacity, fixed
	Load          string        `json:"load,omitempty"` // of a fixed one, for people
	Limits        []string      `json:"limits"`
	Brake         bool          `json:"brake"`
	AnswerMs      float64       `json:"answer_ms"` // no request is taken to be answered faster
	Phases        []PlanPhase   `json:"phases"`
	Most          PlanMost      `json:"most"`
	Usual         *PlanUsual    `json:"usual"`           // of a search: on a target that begins to queue at four users; null: a fixed load
	UsualSeconds  *float64      `json:"usual_seconds"`   // null: the target decides
	LongestS      float64       `json:"longest_seconds"` // --max-duration; then what is in flight is cancelled
	Notes         []string      `json:"notes"`
}

// PlanService is one address of the target.
type PlanService struct {
	Name string `json:"name"`
	URL  string `json:"url"` // "" for a bundled one: a free port of loopback
}

// PlanPhase is one load or one watch; figures are upper bounds.
type PlanPhase struct {
	Phase         string      `json:"phase"`
	Load          record.Load `json:"load"`
	Note          string      `json:"note,omitempty"`
	Seconds       *float64    `json:"seconds"` // null: it ends by count
	Requests      uint64      `json:"requests"`
	Rows          uint64      `json:"rows"` // that may be created: requests that are neither GET, HEAD nor OPTIONS
	PeakPerSecond float64     `json:"peak_per_second"`
	Connections   int         `json:"connections"`
}

// PlanMost sums the phases up.
type PlanMost struct {
	Requests      uint64  `json:"requests"`
	Rows          uint64  `json:"rows"`
	PeakPerSecond float64 `json:"peak_per_second"`
	PeakUsers     int     `json:"peak_users"`
	Connections   int     `json:"connections"`
}

// PlanUsual is what a search would send to a target with an end.
type PlanUsual struct {
	PerSecond float64 `json:"per_second"` // journeys it carries
	Requests  uint64  `json:"requests"`
	Rows      uint64  `json:"rows"`
}

// PlanJSON writes a plan as JSON.
func PlanJSON(w io.Writer, p *Plan) error {
	data, err := json.MarshalIndent(scrub(p), "", "  ")
	if err != nil {
		return fmt.Errorf("report: encode plan: %w", err)
	}
	if _, err := w.Write(append(escapeControls(data), '\n')); err != nil {
		return fmt.Errorf("report: write json: %w", err)
	}
	return nil
}

// PlanText writes a plan for a terminal.
func PlanText(w io.Writer, p *Plan, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = max(60, o.Width)
	p = scrub(p)
	b := bufio.NewWriter(w)
	t := &terminal{w: b, o: o}
	fmt.Fprintln(b, t.paint(cut("PLAN  "+p.Scenario+" → "+p.Target, o.Width), "", true))
	t.wrapped("  ", "nothing was sent, nothing was started", "dim")
	fmt.Fprintln(b)
	var at []string
	for _, s := range p.Services {
		at = append(at, join(s.Name, " ", s.URL))
	}
	where := strings.Join(at, ", ")
	if p.Bundled {
		where += ", each on a free port of loopback, started and stopped by the run"
	}
	t.wrapped("  sent to      ", where, "")
	if p.Load != "" {
		t.wrapped("  load         ", p.Load, "")
	}
	requests, rows := "at most "+count(p.Most.Requests), "at most "+count(p.Most.Rows)+" created on the target"
	if u := p.Usual; u != nil {
		requests += fmt.Sprintf("; about %s where the target carries %s/s", count(u.Requests), digits3(u.PerSecond))
		rows += "; then about " + count(u.Rows)
	}
	t.wrapped("  requests     ", requests, "")
	t.wrapped("  rows         ", rows, "")
	peak := "at most " + digits3(p.Most.PeakPerSecond) + " requests/s"
	if p.Most.PeakUsers > 0 {
		peak += fmt.Sprintf(", %s at a time", plural(uint64(p.Most.PeakUsers), "user", "users"))
	}
	t.wrapped("  peak         ", peak, "")
	t.wrapped("  connections  ", fmt.Sprintf("at most %s at a time", count(uint64(p.Most.Connections))), "")
	length := "as long as the target takes"
	if p.UsualSeconds != nil {
		length = "about " + seconds(*p.UsualSeconds)
	}
	t.wrapped("  time         ", length+", at most "+seconds(p.LongestS)+" (--max-duration)", "")
	t.wrapped("  limits       ", orElse(strings.Join(p.Limits, ", "), "none"), "")
	t.wrapped("  engine       ", join(p.Engine, ", ", p.EngineWhy), "")
	brake := "on: it ends the load when the target is in distress"
	if !p.Brake {
		brake = "OFF (--no-brake)"
	}
	t.wrapped("  safety brake ", brake, "")
	fmt.Fprintln(b)
	t.table(planTable(p))
	for _, n := range p.Notes {
		t.wrapped("  ", n, "dim")
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write text: %w", err)
	}
	return nil
}

func planTable(p *Plan) table {
	t := table{
		Title: "Phases, upper bounds",
		Columns: []column{
			{Head: "phase"},
			{Head: "load"},
			{Head: "time", Number: true},
			{Head: "requests", Number: true},
			{Head: "rows", Number: true},
			{Head: "peak/s", Number: true},
			{Head: "conns", Number: true},
			{Head: "what"},
		},
	}
	for _, x := range p.Phases {
		load, length := dash, "to the end"
		switch {
		case x.Load.Users > 0:
			load = plural(uint64(x.Load.Users), "user", "users")
		case x.Load.RatePerSecond > 0:
			load = digits3(x.Load.RatePerSecond) + "/s"
		}
		if x.Seconds != nil {
			length = seconds(*x.Seconds)
		}
		t.add(plainCells(x.Phase, load, length, count(x.Requests), count(x.Rows), digits3(x.PeakPerSecond), count(uint64(x.Connections)), x.Note)...)
	}
	return t
}
