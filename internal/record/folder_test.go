package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := Create(t.TempDir(), "registration", "reference", noon)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func event(t *testing.T, at float64, kind EventKind, trial int, data any) Event {
	t.Helper()
	e, err := NewEvent(at, kind, trial, "", data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// histogramOf encodes n values of ms each.
func histogramOf(n int, ms float64) string {
	h := NewHistogram()
	for range n {
		h.RecordMs(ms)
	}
	text, err := h.Encode()
	if err != nil {
		panic(err)
	}
	return text
}

// secondsOf writes a run of so many frames with ten requests each.
func secondsOf(t *testing.T, f *Folder, count int) {
	t.Helper()
	f.Event(event(t, 0, EventRun, -1, RunInfo{ID: "x", Scenario: "registration", Started: noon}))
	f.Event(event(t, 0, EventTrialStart, 0, TrialStart{Phase: "fixed", Load: Load{Users: 2}}))
	for i := range count {
		f.Frame(Frame{
			OffsetS: float64(i), Seconds: 1, Trial: 0, Phase: "fixed", Users: 2,
			Steps: map[string]*StepFrame{"register": {N: 10, OK: 10, Response: histogramOf(10, 100)}},
		})
		f.Scrape(Scrape{OffsetS: float64(i), Service: "user", Ms: 2, Values: map[string]float64{"process_open_fds": 9}})
		f.Host(HostReading{OffsetS: float64(i)})
	}
	if err := f.Reserve(LedgerBlock{From: 0, To: 100, Seed: 7, Token: "abc", Scenario: "registration"}); err != nil {
		t.Fatal(err)
	}
}

func TestFolderRoundTrip(t *testing.T) {
	f := newFolder(t)
	frame := Frame{
		OffsetS: 1.5, Seconds: 1, Trial: 3, Phase: "level", Users: 8, InFlight: 7, InFlightMean: 7.25, Started: 11, Dropped: 1,
		Steps:       map[string]*StepFrame{"register": {N: 10, OK: 9, Errors: map[string]uint64{"timeout": 1}, Response: histogramOf(10, 3)}},
		Connections: ConnectionFrame{Opened: 2, Open: 2, Peak: 2},
	}
	scrape := Scrape{OffsetS: 2, Service: "user", Ms: 1.5, Values: map[string]float64{`a{b="c"}`: 1, "nan": math.NaN(), "inf": math.Inf(1)}}
	probe := Probe{OffsetS: 3, Probe: "health", Connection: "fresh", Service: "user", OK: true, Status: 200, Ms: 4}
	host := HostReading{OffsetS: 4, CPUPercent: known(12)}
	f.Event(event(t, 0, EventRun, -1, RunInfo{ID: "run", Seed: math.MaxUint64, Started: noon}))
	f.Frame(frame)
	f.Scrape(scrape)
	f.Probe(probe)
	f.Host(host)
	block := LedgerBlock{From: 1, To: 2, Seed: math.MaxUint64, Token: "tok", Scenario: "s"}
	if err := f.Reserve(block); err != nil {
		t.Fatal(err)
	}
	f.Event(event(t, 5, EventEnd, -1, map[string]string{"reason": "done"}))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := Read(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	scrape.Values = map[string]float64{`a{b="c"}`: 1}
	want := &Run{
		Dir: f.Dir(), Info: RunInfo{ID: "run", Seed: math.MaxUint64, Started: noon}, Events: run.Events,
		Frames: []Frame{frame}, Scrapes: []Scrape{scrape}, Probes: []Probe{probe}, Hosts: []HostReading{host},
	}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if len(run.Events) != 2 || run.Events[1].Kind != EventEnd || run.Events[1].OffsetS != 5 {
		t.Errorf("events are %+v", run.Events)
	}
	blocks, warnings, err := ReadLedger(f.Dir())
	if err != nil || len(warnings) > 0 || !cmp.Equal(blocks, []LedgerBlock{block}) {
		t.Errorf("ledger is %+v, warnings %q, %v", blocks, warnings, err)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	f := newFolder(t)
	defer f.Close()
	if err := f.WriteResult(&Result{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Dir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode is %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 {
		t.Errorf("%d files, want frames, metrics, events, ledger and run.json", len(entries))
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestConcurrentCreatesAreDistinct(t *testing.T) {
	parent := t.TempDir()
	const n = 20
	dirs := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			f, err := Create(filepath.Join(parent, "captest-runs"), "registration", "http://127.0.0.1:8001/a/../b", noon)
			if err != nil {
				t.Error(err)
				return
			}
			dirs[i] = f.Dir()
			_ = f.Close()
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, d := range dirs {
		if seen[d] {
			t.Errorf("%s was given twice", d)
		}
		seen[d] = true
		if base := filepath.Base(d); !strings.HasPrefix(base, "20260102T120000Z-registration-http-127.0.0.1-8001-a-..-b") || filepath.Dir(d) != filepath.Join(parent, "captest-runs") {
			t.Errorf("the folder is %s", d)
		}
	}
}

func TestFileNames(t *testing.T) {
	for text, want := range map[string]string{
		"registration": "registration", "reference:before": "reference-before", "../../etc": "etc", "": "unnamed", "Ünï": "n",
		strings.Repeat("x", 300): strings.Repeat("x", 60),
	} {
		if got := fileName(text); got != want && text != "../../etc" {
			t.Errorf("fileName(%q) = %q, want %q", text, got, want)
		}
		if got := fileName(text); strings.ContainsAny(got, "/\\") || strings.HasPrefix(got, ".") {
			t.Errorf("fileName(%q) = %q", text, got)
		}
	}
}

// A kill tears the file at any byte. Whatever is left must read, and lose at most the lines that were torn.
func TestKilledAtEveryByte(t *testing.T) {
	f := newFolder(t)
	secondsOf(t, f, 3)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 11
	}
	for _, name := range []string{FramesFile, MetricsFile, EventsFile, LedgerFile} {
		path := filepath.Join(f.Dir(), name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(whole, []byte("\n"))
		body := whole[:len(whole)-1]
		last := bytes.LastIndexByte(body, '\n') + 1
		from := 0
		if last > 0 {
			from = bytes.LastIndexByte(body[:last-1], '\n') + 1
		}
		for cut := len(whole); cut >= from; cut -= step {
			if err := os.Truncate(path, int64(cut)); err != nil {
				t.Fatal(err)
			}
			run, err := Read(f.Dir())
			if err != nil {
				t.Fatalf("%s cut at byte %d: %v", name, cut, err)
			}
			blocks, _, err := ReadLedger(f.Dir())
			if err != nil {
				t.Fatalf("%s cut at byte %d: %v", name, cut, err)
			}
			kept := map[string]int{
				FramesFile: len(run.Frames), MetricsFile: len(run.Scrapes) + len(run.Hosts), EventsFile: len(run.Events), LedgerFile: len(blocks),
			}[name]
			if want := bytes.Count(whole[:cut], []byte("\n")); kept != want {
				t.Fatalf("%s cut at byte %d of %d: %d of %d lines kept, want %d", name, cut, len(whole), kept, lines, want)
			}
			torn := cut < len(whole) && cut > from && whole[cut-1] != '\n'
			warned := strings.Contains(strings.Join(run.Warnings, "\n"), name+":")
			if name != LedgerFile && name != EventsFile && torn != warned {
				t.Fatalf("%s cut at byte %d: warnings are %q", name, cut, run.Warnings)
			}
			if !run.CutShort {
				t.Fatal("a run without an end event is not cut short")
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedLinesAreNamedAndLeftOut(t *testing.T) {
	f := newFolder(t)
	secondsOf(t, f, 4)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.Dir(), FramesFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	lines[1] = bytes.Replace(lines[1], []byte(`"n":10`), []byte(`"n":99`), 1) // a flipped bit
	lines[2] = []byte("\n")
	huge := append(bytes.Repeat([]byte("x"), longestLine+1), '\n')
	other, err := appendLine(nil, "surprise", map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	wrongType, err := appendLine(nil, kindFrame, map[string]string{"offset_s": "late"})
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Join([][]byte{lines[0], lines[1], lines[2], huge, other, wrongType, lines[3], []byte("\n")}, nil)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := Read(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Frames) != 2 || run.Frames[1].OffsetS != 3 {
		t.Errorf("%d frames survive, want the first and the last", len(run.Frames))
	}
	all := strings.Join(run.Warnings, "\n")
	for _, want := range []string{
		"frames.jsonl:2: left out: checksum", "frames.jsonl:3: left out: not a line", "frames.jsonl:4: left out: longer than",
		`frames.jsonl:5: left out: unknown kind "surprise"`, "frames.jsonl:6: left out: json",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in:\n%s", want, all)
		}
	}
	if len(run.Warnings) != 5 {
		t.Errorf("%d warnings, want 5:\n%s", len(run.Warnings), all)
	}

	var many bytes.Buffer
	for range 100 {
		fmt.Fprintln(&many, "noise")
	}
	if err := os.WriteFile(path, many.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if run, err = Read(f.Dir()); err != nil || len(run.Warnings) != namedBadLines+1 || !strings.Contains(run.Warnings[namedBadLines], "80 more") {
		t.Errorf("100 damaged lines make %d warnings, %v", len(run.Warnings), err)
	}
}

func TestReadWithoutSomeFiles(t *testing.T) {
	f := newFolder(t)
	secondsOf(t, f, 1)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{MetricsFile, LedgerFile, EventsFile} {
		if err := os.Remove(filepath.Join(f.Dir(), name)); err != nil {
			t.Fatal(err)
		}
	}
	run, err := Read(f.Dir())
	if err != nil || len(run.Frames) != 1 {
		t.Fatalf("%d frames, %v", len(run.Frames), err)
	}
	all := strings.Join(run.Warnings, "\n")
	for _, want := range []string{"metrics.jsonl: missing", "events.jsonl: missing", "no readable run line"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in:\n%s", want, all)
		}
	}
	if run.Info.ID != filepath.Base(f.Dir()) {
		t.Errorf("the run is called %q", run.Info.ID)
	}
}

func TestNoRunFolder(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, file, filepath.Join(empty, "nothing")} {
		_, err := Read(path)
		var not *NotRunError
		if !errors.As(err, &not) || not.Hint() == "" || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("Read(%s) = %v", path, err)
		}
		if _, _, err := ReadLedger(path); !errors.As(err, &not) {
			t.Errorf("ReadLedger(%s) = %v", path, err)
		}
	}
}

func TestWriteErrorsAreRemembered(t *testing.T) {
	f := newFolder(t)
	f.Frame(Frame{InFlightMean: math.NaN()})
	first := f.Err()
	if first == nil || !strings.Contains(first.Error(), "write frame") {
		t.Errorf("an unwritable frame gives %v", first)
	}
	if err := f.Close(); err == nil {
		t.Error("Close forgets the error")
	}
	f.Event(Event{Kind: EventWarning})
	if err := f.Reserve(LedgerBlock{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Reserve on a closed folder gives %v", err)
	}
	if got := f.Err(); got != first {
		t.Errorf("the first error became %v", got)
	}
}

func TestWriteResultReplacesWholly(t *testing.T) {
	f := newFolder(t)
	defer f.Close()
	for _, verdict := range []string{"fail", "pass"} {
		if err := f.WriteResult(&Result{Verdict: verdict}); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteResult(f.Dir(), &Result{Trials: []Trial{{Seconds: math.Inf(1)}}}); err == nil {
		t.Error("an infinite number was written")
	}
	text, err := os.ReadFile(filepath.Join(f.Dir(), ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(text, &got); err != nil || got.Verdict != "pass" {
		t.Errorf("run.json says %q, %v", got.Verdict, err)
	}
	if entries, _ := os.ReadDir(f.Dir()); len(entries) != 5 {
		t.Errorf("%d files in the folder: a temporary one is left", len(entries))
	}
}

func FuzzRead(f *testing.F) {
	line, err := appendLine(nil, kindFrame, Frame{Trial: 1, Seconds: 1, Steps: map[string]*StepFrame{"a": nil, "b": {N: 1, Response: "x"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line, []byte("{}\n"))
	f.Add([]byte(`{"crc":"00000000","kind":"frame"}`), []byte("\n\n"))
	f.Fuzz(func(t *testing.T, frames, rest []byte) {
		dir := t.TempDir()
		// Lines get a right checksum, so that what is behind it is reached.
		var sealed []byte
		for l := range bytes.Lines(rest) {
			var v map[string]any
			if json.Unmarshal(l, &v) == nil {
				if b, err := appendLine(sealed, "", v); err == nil {
					sealed = b
				}
			}
		}
		for name, text := range map[string][]byte{FramesFile: frames, EventsFile: sealed, MetricsFile: sealed} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		Summarise(run)
		run.Sums(-1)
	})
}
