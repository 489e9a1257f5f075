package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/internal/record"
)

// VegetaOptions say what Vegeta writes.
type VegetaOptions struct {
	Encoding string // gob (or ""), json, csv
	Trial    int    // the measured part of this trial; below 0: every request of the run, which is what run.json's steps count
}

// VegetaEncodings are vegeta's own.
func VegetaEncodings() []string { return []string{"gob", "json", "csv"} }

// VegetaExport says what was written, and what vegeta cannot be told.
type VegetaExport struct {
	Results uint64 // written
	Dropped uint64 // arrivals that never started: vegeta has no word for them
	Lost    uint64 // requests whose histogram is damaged
	Odd     uint64 // good answers, expected by the scenario, whose status vegeta calls a failure
}

// Vegeta writes a run as a vegeta result file, for `vegeta report` and `vegeta plot`: one attack for each step.
//
// A run folder keeps no requests, it keeps counts and a histogram for each second. So one result is made for each counted
// request: its latency is the middle of its histogram bucket (0.1 % or 1 µs wide), its time is spread evenly over the second in
// which it ended. Which of a second's requests had which latency is not kept either; timeouts and cancelled ones get the
// longest, for the rest it is drawn by lot. Counts, statuses, error classes and quantiles of any whole number of seconds are the run's own.
//
// Latency is the response time: vegeta's numbers are then counted from the intended start, as captest's are.
func Vegeta(w io.Writer, run *record.Run, o VegetaOptions) (VegetaExport, error) {
	out := bufio.NewWriter(w)
	v := &vegetaWriter{started: run.Info.Started, attacks: map[string]*vegetaAttack{}}
	switch o.Encoding {
	case "", "gob":
		v.encode = vegeta.NewEncoder(out)
	case "json":
		v.encode = vegeta.NewJSONEncoder(out)
	case "csv":
		v.encode = vegeta.NewCSVEncoder(out)
	default:
		return VegetaExport{}, fmt.Errorf("report: vegeta has no encoding %q", o.Encoding)
	}
	for i := range run.Frames {
		f := &run.Frames[i]
		if o.Trial >= 0 && (f.Trial != o.Trial || f.Warmup) {
			continue
		}
		v.done.Dropped += f.Dropped
		for _, name := range slices.Sorted(maps.Keys(f.Steps)) {
			if f.Steps[name] == nil {
				continue
			}
			if err := v.second(f, name, uint64(i)); err != nil {
				return v.done, fmt.Errorf("report: write vegeta results: %w", err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return v.done, fmt.Errorf("report: write vegeta results: %w", err)
	}
	return v.done, nil
}

type vegetaWriter struct {
	started time.Time
	encode  vegeta.Encoder
	attacks map[string]*vegetaAttack
	done    VegetaExport
}

// vegetaAttack is where a step's results have come to: plot wants its sequence numbers without gaps, in order of time.
type vegetaAttack struct {
	seq  uint64
	last time.Time
}

// second writes the requests of one step in one frame.
func (v *vegetaWriter) second(f *record.Frame, name string, number uint64) error {
	step := f.Steps[name]
	latencies := latenciesOf(step)
	if latencies == nil {
		v.done.Lost += step.N
		return nil
	}
	outcomes, odd := outcomesOf(step)
	n := uint64(len(outcomes))
	a := v.attacks[name]
	if a == nil {
		a = &vegetaAttack{}
		v.attacks[name] = a
	}
	lot := rand.New(rand.NewPCG(number, 0)) // the same run gives the same file
	late := slices.IndexFunc(outcomes, func(o outcome) bool { return o.late })
	if late < 0 {
		late = len(outcomes)
	}
	lot.Shuffle(late, func(i, j int) { outcomes[i], outcomes[j] = outcomes[j], outcomes[i] })
	begin := v.started.Add(time.Duration(f.OffsetS * float64(time.Second)))
	length := f.Seconds * float64(time.Second)
	for i, k := range lot.Perm(len(outcomes)) {
		at := begin.Add(time.Duration(length * (float64(i) + 0.5) / float64(n)))
		if at.Before(a.last) {
			at = a.last
		}
		a.last = at
		err := v.encode.Encode(&vegeta.Result{
			Attack: name, Seq: a.seq, Timestamp: at, Latency: latencies[k], Code: outcomes[k].code, Error: outcomes[k].text,
			BytesIn: step.BytesIn*uint64(i+1)/n - step.BytesIn*uint64(i)/n,
		})
		if err != nil {
			return err
		}
		a.seq++
	}
	v.done.Results += n
	v.done.Odd += odd
	return nil
}

// secondMost bounds the requests of one step and second that are believed: a damaged folder must not fill the memory.
const secondMost = 10_000_000

// latenciesOf gives the response times of a step in ascending order, each the middle of its bucket; nil when its numbers are
// damaged or contradict each other.
func latenciesOf(s *record.StepFrame) []time.Duration {
	h, err := record.Decode(s.Response)
	if err != nil || h.N() != s.N || s.N > secondMost || s.OK > s.N {
		return nil
	}
	ended := s.OK
	for _, n := range s.Errors {
		if n > s.N {
			return nil
		}
		ended += n
	}
	if ended != s.N {
		return nil
	}
	list := make([]time.Duration, 0, s.N)
	h.Each(func(fromMs, toMs float64, n uint64) {
		middle := time.Duration((fromMs + toMs) / 2 * float64(time.Millisecond))
		for range n {
			list = append(list, middle)
		}
	})
	return list
}

// outcome of one request as vegeta tells it: it calls a status from 200 to 399 a success, whatever the answer was.
type outcome struct {
	code uint16 // 0: no such status
	text string // of an error
	late bool   // among a second's slowest
}

// outcomesOf lists a step's requests, late ones last. Statuses are counted for all requests together; they are dealt out so that an
// unexpected status is an error's, and a failed request never carries one that vegeta would call a success: its error names it.
func outcomesOf(s *record.StepFrame) (list []outcome, odd uint64) {
	codes := codesOf(s.Status, s.N)
	high := func() (code uint16) { // the most likely to be unexpected
		if len(codes) > 0 {
			code, codes = codes[len(codes)-1], codes[:len(codes)-1]
		}
		return code
	}
	for range s.Errors[record.ErrorStatus.String()] {
		code := high()
		o := outcome{code: code, text: fmt.Sprintf("%d %s", code, http.StatusText(int(code)))}
		if vegetaLikes(code) {
			o = outcome{text: fmt.Sprintf("status: %d is not the expected one", code)}
		}
		list = append(list, o)
	}
	for range s.OK {
		o := outcome{code: 200}
		if len(codes) > 0 {
			o.code, codes = codes[0], codes[1:]
		}
		if !vegetaLikes(o.code) {
			odd++
		}
		list = append(list, o)
	}
	for range s.Errors[record.ErrorCheck.String()] {
		list = append(list, outcome{text: fmt.Sprintf("check: status %d with a wrong answer", high())})
	}
	var late []outcome
	for _, class := range slices.Sorted(maps.Keys(s.Errors)) {
		for range s.Errors[class] {
			switch class {
			case record.ErrorStatus.String(), record.ErrorCheck.String():
			case record.ErrorTimeout.String(), record.ErrorCanceled.String():
				late = append(late, outcome{text: class, late: true})
			default:
				list = append(list, outcome{text: class})
			}
		}
	}
	return append(list, late...), odd
}

// codesOf lists every counted status in ascending order, each at most so often.
func codesOf(counts map[string]uint64, most uint64) []uint16 {
	var list []uint16
	for text, n := range counts {
		if code, err := strconv.ParseUint(text, 10, 16); err == nil {
			list = append(list, slices.Repeat([]uint16{uint16(code)}, int(min(n, most)))...)
		}
	}
	slices.SortFunc(list, cmp.Compare[uint16])
	return list
}

func vegetaLikes(code uint16) bool { return code >= 200 && code < 400 }
