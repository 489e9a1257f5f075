package tui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
)

// plainEvery is how often a line is written while nothing changes.
const plainEvery = 5 * time.Second

// Plain writes progress lines until done is closed or ctx ends: one when a phase or trial begins (and what became of
// the one before), one every five seconds, one for each new warning. No escape sequences, fixed columns.
// Nobody waits for w: while it is stuck lines are dropped, and Plain returns within half a second of the end.
func Plain(ctx context.Context, w io.Writer, snapshot func() *record.Snapshot, done <-chan struct{}) {
	lines, written := make(chan string, 64), make(chan struct{})
	go func() {
		defer close(written)
		for l := range lines {
			if _, err := io.WriteString(w, l+"\n"); err != nil {
				return // nobody reads any more; the run goes on
			}
		}
	}()
	put := func(l string) {
		select {
		case lines <- l:
		default:
		}
	}

	tick := time.NewTicker(every)
	defer tick.Stop()
	var p progressLines
	for over := false; !over; {
		p.look(snapshot(), time.Now(), put)
		select {
		case <-tick.C:
		case <-done:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	p.end(snapshot(), put)
	close(lines)
	select {
	case <-written:
	case <-time.After(patience):
	}
}

// progressLines decides when there is something to say.
type progressLines struct {
	last     *record.Snapshot
	said     time.Time
	warnings int
}

// look compares the snapshot with the one before.
func (p *progressLines) look(s *record.Snapshot, now time.Time, put func(string)) {
	if s == nil {
		return
	}
	changed := p.last == nil || p.last.Phase != s.Phase || p.last.Trial != s.Trial
	switch {
	case s.Done: // end says it
	case changed && s.Phase != "":
		if p.last != nil && p.last.TrialLatency.N > 0 && now.Sub(p.said) >= 2*time.Second {
			put(progressLine(p.last))
		}
		put(startLine(s))
		p.said = now
	case s.Phase != "" && now.Sub(p.said) >= plainEvery:
		put(progressLine(s))
		p.said = now
	}
	p.warn(s, put)
	p.last = s
}

// warn says each warning once. A shorter list than before is a new list.
func (p *progressLines) warn(s *record.Snapshot, put func(string)) {
	if len(s.Warnings) < p.warnings {
		p.warnings = 0
	}
	for _, w := range s.Warnings[p.warnings:] {
		put(left(clock(s.Elapsed), 7) + "warning: " + clean(w))
	}
	p.warnings = len(s.Warnings)
}

// end says where things stood.
func (p *progressLines) end(s *record.Snapshot, put func(string)) {
	if s == nil || s.Phase == "" {
		return
	}
	p.warn(s, put)
	put(progressLine(s))
}

// lineHead is the time, the phase and the load, in fixed columns.
func lineHead(s *record.Snapshot) string {
	phase := clean(s.Phase)
	if s.Done {
		phase = "done"
	}
	now := load(s.Load)
	if s.Load == (record.Load{}) {
		now = ""
	}
	return left(clock(s.Elapsed), 7) + left(phase, 10) + " " + right(now, 10)
}

// startLine announces a phase or trial.
func startLine(s *record.Snapshot) string {
	var about []string
	if note := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(clean(s.PhaseNote), load(s.Load)), ",")); note != "" {
		about = append(about, note)
	}
	if s.PhaseLeft > 0 {
		about = append(about, timeLeft(s.PhaseLeft)+" left")
	}
	return strings.TrimRight(lineHead(s)+"  "+strings.Join(about, ", "), " ")
}

// progressLine is the last second's rate and the trial's response times so far.
func progressLine(s *record.Snapshot) string {
	q := s.TrialLatency
	tight := func(ms float64) string { return strings.ReplaceAll(quantile(q, ms), " ", "") }
	n, flying := unknown, unknown
	if q.N > 0 {
		n = count(q.N)
	}
	if x := ifMeasured(s, float64(s.InFlight)); known(x) {
		flying = amount(x)
	}
	l := lineHead(s) + "  " + right(rate(goodput(s)), 8) + "  p50 " + left(tight(q.P50Ms), 7) + " p95 " + left(tight(q.P95Ms), 7) + " n " + left(n, 6) +
		" errors " + left(count(s.TotalErrors), 5) + " in flight " + left(flying, 5)
	if n := len(s.Health); n > 0 {
		answer := 0
		for _, h := range s.Health {
			if h.OK {
				answer++
			}
		}
		l += fmt.Sprintf(" probes ok %d/%d", answer, n)
	}
	if s.Left > 0 {
		l += " ~" + timeLeft(s.Left) + " left"
	}
	return strings.TrimRight(l, " ")
}
