package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
)

// Smaller windows get a message instead of a view.
const (
	minWidth  = 40
	minHeight = 8
)

// maxSize bounds what is drawn in absurdly large windows.
const maxSize = 1000

// state is what the person at the keyboard chose.
type state struct {
	view     int // index into views
	scale    int // index into scales, 0: fit what there is
	help     bool
	quitting bool
	note     string // what the last key asked for
}

// view is one page of the screen.
type view struct {
	name string
	draw func(p page) []line
}

// views in the order of the tab key.
func views() []view {
	return []view{{"overview", overview}, {"latency", latency}, {"connections", connections}, {"log", journal}}
}

// scales are the stretches of history the charts can show.
func scales() []time.Duration {
	return []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
}

// page is all a view draws from: the same page always gives the same lines.
type page struct {
	s    *record.Snapshot
	u    state
	w, h int // room for the view's own lines
}

// screen draws the whole screen: at most h lines of at most w columns, a pure function of its arguments.
func screen(s *record.Snapshot, w, h int, u state, t theme) string {
	w, h = min(w, maxSize), min(h, maxSize)
	if w <= 0 || h <= 0 {
		return ""
	}
	if s == nil {
		s = &record.Snapshot{Trial: -1}
	}
	var lines []line
	switch {
	case w < minWidth || h < minHeight:
		lines = tiny(s, h)
	case u.help:
		lines = help(w, h)
	default:
		top, bottom := header(s, u, w, h), footer(s, u, w)
		body := views()[u.view%len(views())].draw(page{s, u, w, h - len(top) - 1})
		lines = append(top, body...)
		for len(lines) < h-1 {
			lines = append(lines, nil)
		}
		lines = append(lines[:h-1], bottom)
	}
	rows := make([]string, 0, len(lines))
	for _, l := range lines[:min(len(lines), h)] {
		rows = append(rows, t.render(l.cut(w)))
	}
	return strings.Join(rows, "\n")
}

// tiny says the essentials, most important first.
func tiny(s *record.Snapshot, h int) []line {
	lines := []line{
		text(clean(s.Phase)+" "+clock(s.Elapsed), accent),
		text(rate(goodput(s))+" p95 "+quantile(s.TrialLatency, s.TrialLatency.P95Ms), plain),
		text(fmt.Sprintf("window too small, %d×%d needed", minWidth, minHeight), label),
	}
	return lines[:min(len(lines), h)]
}

// header names the run, the views and the phase. Its right half holds the time and both progress bars.
func header(s *record.Snapshot, u state, w, h int) []line {
	what := clean(s.Scenario)
	if s.Target != "" {
		what += " on " + clean(s.Target)
	}
	if s.Profile != "" && !strings.HasSuffix(s.Target, ":"+s.Profile) {
		what += ":" + clean(s.Profile)
	}
	title := line{{"captest", accent}, {"  " + what, strong}}
	first := join(title, text(clock(s.Elapsed)+" elapsed", plain), w)

	var tabs line
	for i, v := range views() {
		if i == u.view%len(views()) {
			tabs = tabs.add(span{"[" + v.name + "]", accent})
		} else {
			tabs = tabs.add(span{" " + v.name + " ", label})
		}
	}
	second := join(tabs, progress("run", s.Elapsed, s.Left, w-tabs.width()-2), w)

	third := phaseRow(s, w, w-tabs.width()-2)

	if h < 16 { // the tab key still works
		return []line{first, third}
	}
	return []line{first, second, third}
}

// phaseRow says what is going on. The note comes first; the bar stands under the run's bar if it can, else it
// shrinks, else only the time stays.
func phaseRow(s *record.Snapshot, w, room int) line {
	phase := line{{or(clean(s.Phase), "starting"), accent}}
	if s.Done {
		phase = text("done", accent)
	}
	note := line{}
	if s.PhaseNote != "" {
		note = line{{"  " + clean(s.PhaseNote), plain}}
	}
	if s.Held && !s.Done {
		phase = phase.add(span{"  HELD", warn})
	}
	if trial := fmt.Sprintf("  trial %d", s.Trial+1); s.Trial >= 0 && s.Phase != "" && phase.width()+len(trial)+note.width()+24 <= w {
		phase = phase.add(span{trial, label})
	}
	phase = phase.add(note...)
	if free := w - phase.width() - 2; free < room {
		room = max(free, 0)
	}
	bar := progress("phase", inPhase(s), s.PhaseLeft, room)
	if bar == nil && s.PhaseLeft > 0 {
		bar = text(timeLeft(s.PhaseLeft)+" left", plain)
	}
	return join(phase, bar, w)
}

// progress is a bar and the time left, or nothing when that is unknown.
func progress(name string, done, left time.Duration, room int) line {
	room = min(room, 48)
	if left <= 0 || done < 0 || room < 22 {
		return nil
	}
	full, empty := bar(float64(done)/float64(done+left), room-18)
	return line{{fmt.Sprintf("%5s ", name), label}, {full, accent}, {empty, label}, {fmt.Sprintf("%7s left", timeLeft(left)), plain}}
}

// inPhase is how long the phase has lasted, counted on the history (one tick a second). Time in which its load was held is no
// part of it.
func inPhase(s *record.Snapshot) time.Duration {
	n := 0
	for i := len(s.History) - 1; i >= 0; i-- {
		switch s.History[i].Phase {
		case s.Phase:
			n++
		case record.PhaseHeld:
		default:
			return time.Duration(n) * time.Second
		}
	}
	return time.Duration(n) * time.Second
}

// footer is the last row: the keys, or what happens to the one just pressed.
func footer(s *record.Snapshot, u state, w int) line {
	switch {
	case s.Done:
		return text("done, writing the report…", accent)
	case u.quitting:
		l := line{{"finishing, writing the report…", accent}, {"  ctrl-c leaves at once", label}}
		return l.cut(w)
	}
	var l line
	for _, k := range keys() {
		gap := ""
		if len(l) > 0 {
			gap = "  "
		}
		next := l.add(span{gap + k.keys, strong}, span{" " + k.short, label})
		if k.short != "" && next.width() <= w-lineWidth(u.note) {
			l = next
		}
	}
	return join(l, text(u.note, accent), w)
}

func lineWidth(note string) int {
	if note == "" {
		return 0
	}
	return text(note, plain).width() + 2
}

// goodput of the last second, unknown before the first one.
func goodput(s *record.Snapshot) float64 { return ifMeasured(s, s.GoodputPerSecond) }

// ifMeasured is x, or unknown as long as no second has been measured.
func ifMeasured(s *record.Snapshot, x float64) float64 {
	if len(s.History) == 0 && s.Total == 0 {
		return -1
	}
	return x
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func repeat(s string, n int) string { return strings.Repeat(s, max(0, n)) }
