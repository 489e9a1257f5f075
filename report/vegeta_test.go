package report

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/captest/captest/internal/record"
)

// exported is what vegeta reads of a run.
func exported(t *testing.T, run *record.Run, o VegetaOptions) ([]vegeta.Result, VegetaExport) {
	t.Helper()
	var b bytes.Buffer
	done, err := Vegeta(&b, run, o)
	if err != nil {
		t.Fatal(err)
	}
	decode := vegeta.DecoderFor(&b)
	if decode == nil {
		t.Fatal("vegeta does not know the file")
	}
	var list []vegeta.Result
	for {
		var r vegeta.Result
		if err := decode(&r); errors.Is(err, io.EOF) {
			return list, done
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
}

// vegeta's own report must say what run.json says. Its quantiles come from a t-digest, which is some way off in rank; the exact ones
// of the same results must lie within a bucket.
func TestVegetaReportAgrees(t *testing.T) {
	for name, make := range map[string]func(testing.TB) (*record.Run, *record.Result){"healthy": healthy, "wedged": wedged, "fixed": fixed, "cut short": cutShort} {
		for _, encoding := range VegetaEncodings() {
			t.Run(name+" "+encoding, func(t *testing.T) {
				run, res := make(t)
				want := res.Steps["register"]
				results, done := exported(t, run, VegetaOptions{Encoding: encoding, Trial: -1})
				var m vegeta.Metrics
				var exact []float64
				for i := range results {
					m.Add(&results[i])
					exact = append(exact, results[i].Latency.Seconds()*1000)
				}
				m.Close()
				slices.Sort(exact)
				if m.Requests != want.N || done.Results != want.N || done.Lost+done.Odd != 0 {
					t.Fatalf("%d requests, %+v; want %d", m.Requests, done, want.N)
				}
				if got, want := m.Success, float64(want.OK)/float64(want.N); math.Abs(got-want) > 1e-9 {
					t.Errorf("success %g, want %g", got, want)
				}
				for code, n := range want.Status {
					if uint64(m.StatusCodes[code]) != n {
						t.Errorf("status %s: %d, want %d", code, m.StatusCodes[code], n)
					}
				}
				at := func(q float64) float64 {
					return exact[min(max(int(math.Ceil(q*float64(len(exact))))-1, 0), len(exact)-1)]
				}
				for _, q := range []struct {
					q         float64
					digest    time.Duration
					want, max *float64
				}{{0.5, m.Latencies.P50, want.ResponseMs.P50, nil}, {0.95, m.Latencies.P95, want.ResponseMs.P95, nil}, {0.99, m.Latencies.P99, want.ResponseMs.P99, nil}} {
					if got := at(q.q); math.Abs(got-*q.want) > *q.want*0.001+0.001 {
						t.Errorf("p%g is %.3f ms, want %.3f", q.q*100, got, *q.want)
					}
					if got := q.digest.Seconds() * 1000; got < at(q.q-0.02)*0.999 || got > at(min(q.q+0.02, 1))*1.001 {
						t.Errorf("vegeta's own p%g is %.3f ms, not within two hundredths of rank of %.3f", q.q*100, got, *q.want)
					}
				}
				if got := m.Latencies.Max.Seconds() * 1000; math.Abs(got-*want.ResponseMs.Max) > *want.ResponseMs.Max*0.001+0.001 {
					t.Errorf("max %.3f ms, want %.3f", got, *want.ResponseMs.Max)
				}
			})
		}
	}
}

func TestVegetaExportOfOneTrial(t *testing.T) {
	run, res := healthy(t)
	for i, trial := range res.Trials {
		if results, _ := exported(t, run, VegetaOptions{Trial: i}); uint64(len(results)) != trial.N {
			t.Errorf("trial %d: %d results, want %d", i, len(results), trial.N)
		}
	}
}

// kinds is a run of one second with one request of every kind, in two steps.
func kinds(t *testing.T) *record.Run {
	h := record.NewHistogram()
	for i := range 20 {
		h.RecordMs(float64(10 * (i + 1)))
	}
	encoded, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	full := &record.StepFrame{
		N: 20, OK: 8, BytesIn: 1003, Response: encoded, Service: encoded,
		Errors: map[string]uint64{"status": 4, "check": 3, "timeout": 2, "reset": 2, "canceled": 1},
		Status: map[string]uint64{"200": 11, "302": 2, "404": 1, "503": 1},
	}
	odd := record.NewHistogram()
	odd.RecordMs(5)
	one, _ := odd.Encode()
	frame := record.Frame{Seconds: 1, Users: 1, Dropped: 7, Steps: map[string]*record.StepFrame{
		"a": full, "b": {N: 1, OK: 1, Response: one, Status: map[string]uint64{"404": 1}}, "c": {N: 3, OK: 3, Response: one}, "d": nil,
	}}
	later := frame
	later.OffsetS = 1
	return &record.Run{Info: record.RunInfo{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, Frames: []record.Frame{frame, later}}
}

func TestVegetaExportKeepsWhatVegetaCanSay(t *testing.T) {
	run := kinds(t)
	results, done := exported(t, run, VegetaOptions{Trial: -1})
	if want := (VegetaExport{Results: 42, Dropped: 14, Lost: 6, Odd: 2}); done != want {
		t.Errorf("%+v, want %+v", done, want)
	}
	texts, bytesIn, next, last := map[string]int{}, uint64(0), map[string]uint64{}, map[string]time.Time{}
	for _, r := range results {
		if r.Seq != next[r.Attack] || r.Timestamp.Before(last[r.Attack]) {
			t.Errorf("%s: number %d at %v after %v", r.Attack, r.Seq, r.Timestamp, last[r.Attack])
		}
		next[r.Attack], last[r.Attack] = r.Seq+1, r.Timestamp
		if r.Attack != "a" {
			continue
		}
		texts[r.Error]++
		bytesIn += r.BytesIn
		if r.Error != "" && r.Code >= 200 && r.Code < 400 {
			t.Errorf("a failure (%s) that vegeta calls a success: %d", r.Error, r.Code)
		}
		if (r.Error == "timeout" || r.Error == "canceled") && r.Latency < 170*time.Millisecond {
			t.Errorf("%s after %v; the longest are theirs", r.Error, r.Latency)
		}
	}
	want := map[string]int{
		"": 16, "503 Service Unavailable": 2, "404 Not Found": 2, "status: 302 is not the expected one": 4,
		"check: status 200 with a wrong answer": 6, "timeout": 4, "reset": 4, "canceled": 2,
	}
	for text, n := range want {
		if texts[text] != n {
			t.Errorf("%d with error %q, want %d (all: %v)", texts[text], text, n, texts)
		}
	}
	if bytesIn != 2006 || next["a"] != 40 || next["b"] != 2 {
		t.Errorf("%d bytes, %v; want 2006, 40 and 2", bytesIn, next)
	}
}

func TestVegetaPlotDraws(t *testing.T) {
	p := plot.New()
	results, _ := exported(t, kinds(t), VegetaOptions{Trial: -1})
	for i := range results {
		if err := p.Add(&results[i]); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	var b strings.Builder
	if _, err := p.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a: OK", "a: ERROR", "b: OK"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the plot has no series %q", want)
		}
	}
}

func TestVegetaExportOfADamagedFolder(t *testing.T) {
	run := kinds(t)
	s := run.Frames[0].Steps["a"]
	s.N, s.OK, s.Errors["reset"], s.Status["200"] = math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64
	if done, err := Vegeta(io.Discard, run, VegetaOptions{Trial: -1}); err != nil || done.Results != 2 {
		t.Errorf("%+v, %v; want the two sound ones", done, err)
	}
	run = kinds(t)
	run.Frames[0].Steps["a"].Status["200"] = math.MaxUint64
	run.Frames[0].Seconds = math.Inf(1)
	if _, err := Vegeta(io.Discard, run, VegetaOptions{Trial: -1}); err != nil {
		t.Error(err)
	}
	if _, err := Vegeta(io.Discard, run, VegetaOptions{Encoding: "xml"}); err == nil {
		t.Error("an unknown encoding is written")
	}
}
