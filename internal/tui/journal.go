package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/captest/captest/internal/record"
)

// journal is the view of what went wrong and what happened: errors by class, warnings, phases.
func journal(p page) []line {
	return stack(p.h, errorBlock(p), warningBlock(p), phaseBlock(p))
}

func errorBlock(p page) block {
	s := p.s
	rows := []line{rule("errors by class", errorTotal(s), p.w)}
	if s.TotalErrors == 0 && len(s.Errors) == 0 {
		rows = append(rows, text("none", label))
	}
	most := uint64(1)
	for _, e := range s.Errors {
		most = max(most, e.N)
	}
	for _, e := range s.Errors {
		full, _ := bar(float64(e.N)/float64(most), max(0, min(40, p.w-40)))
		part := ""
		if s.Total > 0 {
			part = percent(100 * float64(e.N) / float64(s.Total))
		}
		rows = append(rows, line{{left(clean(e.Name), 14), plain}, {right(count(e.N), 8), strong}, {right(part, 9) + "  ", label}, {full, bad}})
	}
	if s.Dropped > 0 {
		rows = append(rows, line{{left("not started", 14), plain}, {right(count(s.Dropped), 8), strong}, {"  arrivals beyond the limit of requests in flight", label}})
	}
	if s.Late > 0 {
		rows = append(rows, line{{left("late", 14), plain}, {right(count(s.Late), 8), strong}, {"  arrivals that waited for a connection", label}})
	}
	return block{rank: 1, min: min(len(rows), 6), max: len(rows), eager: true, draw: func(n int) []line { return rows[:n] }}
}

func errorTotal(s *record.Snapshot) string {
	if s.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s completed", count(s.TotalErrors), count(s.Total))
}

// warningBlock has the newest warnings in full.
func warningBlock(p page) block {
	var rows []line
	for _, w := range p.s.Warnings {
		for i, part := range wrap(clean(w), p.w-2) {
			mark := span{"! ", warn}
			if i > 0 {
				mark = span{"  ", plain}
			}
			rows = append(rows, line{mark, {part, plain}})
		}
	}
	if len(rows) == 0 {
		rows = append(rows, text("none", label))
	}
	return block{rank: 2, min: 1 + min(len(rows), 3), max: 1 + len(rows), eager: true, draw: func(n int) []line {
		return append([]line{rule("warnings", "", p.w)}, rows[len(rows)-(n-1):]...)
	}}
}

// phaseBlock is the run so far, phase by phase, as far back as the history goes; the newest at the bottom.
func phaseBlock(p page) block {
	type stretch struct {
		phase       string
		from, n     int
		sum, errors float64
		worst       float64
	}
	var all []stretch
	for i, t := range p.s.History {
		if k := len(all) - 1; k < 0 || all[k].phase != t.Phase {
			all = append(all, stretch{phase: t.Phase, from: i})
		}
		k := &all[len(all)-1]
		k.n++
		k.sum += max(0, t.Goodput)
		k.errors += max(0, t.Errors)
		k.worst = max(k.worst, t.P95Ms)
	}
	var rows []line
	for _, s := range all {
		// The newest tick ended at Elapsed.
		at := p.s.Elapsed - time.Duration(len(p.s.History)-s.from)*time.Second
		worst := unknown
		if s.worst > 0 {
			worst = millis(s.worst)
		}
		errors := span{right(rate(s.errors/float64(s.n)), 10), plain}
		if s.errors > 0 {
			errors.role = bad
		}
		rows = append(rows, line{
			{left(clock(at), 9), label},
			{left(or(clean(s.phase), unknown), 12), accent},
			{right(clock(time.Duration(s.n)*time.Second), 8), plain},
			{right(rate(s.sum/float64(s.n)), 11), strong},
			errors,
			{right(worst, 14), plain},
		})
	}
	heading := text(left("began", 9)+left("phase", 12)+right("lasted", 8)+right("goodput", 11)+right("errors", 10)+right("worst p95", 14), label)
	if len(rows) == 0 {
		rows = append(rows, text("nothing yet", label))
	}
	return block{rank: 3, min: 2 + min(len(rows), 3), max: 2 + len(rows), eager: true, draw: func(n int) []line {
		return append([]line{rule("phases", "", p.w), heading}, rows[len(rows)-(n-2):]...)
	}}
}

// wrap breaks a sentence into lines of at most w columns, at spaces where there are any.
func wrap(s string, w int) []string {
	if w <= 0 {
		return nil
	}
	var out []string
	for text(s, plain).width() > w {
		part := head(s, w)
		if part == "" {
			break
		}
		if i := strings.LastIndexByte(part, ' '); i > w/2 {
			part = part[:i]
		}
		out = append(out, part)
		s = strings.TrimLeft(s[len(part):], " ")
	}
	return append(out, s)
}
