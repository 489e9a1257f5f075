package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Run is a run folder read back.
type Run struct {
	Dir      string
	Info     RunInfo
	Frames   []Frame
	Events   []Event
	Scrapes  []Scrape
	Probes   []Probe
	Hosts    []HostReading
	Procs    []ProcessReading
	Warnings []string // damaged lines, missing files: what the reader of a report must know
	CutShort bool     // no end event: captest was killed
}

// Limits of what Read takes from a folder, far above what a run writes.
const (
	longestLine   = 8 << 20
	mostLines     = 2_000_000 // of one file
	namedBadLines = 20        // the rest is only counted
)

// NotRunError says that a path is no run folder.
type NotRunError struct {
	Dir    string
	Reason string
}

func (e *NotRunError) Error() string { return fmt.Sprintf("%s: not a run folder: %s", e.Dir, e.Reason) }

// Hint is the next step.
func (e *NotRunError) Hint() string {
	return "name a folder that captest run made, such as captest-runs/20260102T150405Z-registration-reference"
}

// Read reads a run folder. A torn last line, damaged lines and missing files cost what they held and are named in
// Run.Warnings; only a path that is no run folder, or one that cannot be read, is an error.
func Read(dir string) (*Run, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	run := &Run{Dir: dir, CutShort: true}
	r := &reader{dir: dir}
	infos := 0
	err := errors.Join(
		r.file(EventsFile, func(_ string, line []byte) error {
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				return err
			}
			if e.Kind == "" {
				return errors.New("an event without a kind")
			}
			if e.Kind == EventRun && infos == 0 {
				if err := json.Unmarshal(e.Data, &run.Info); err != nil {
					return fmt.Errorf("run: %w", err)
				}
				infos++
			}
			run.CutShort = run.CutShort && e.Kind != EventEnd
			run.Events = append(run.Events, e)
			return nil
		}),
		r.file(FramesFile, func(kind string, line []byte) error {
			var f Frame
			if err := decodeAs(kind, kindFrame, line, &f); err != nil {
				return err
			}
			run.Frames = append(run.Frames, f)
			return nil
		}),
		r.file(MetricsFile, func(kind string, line []byte) error { return run.addMetric(kind, line) }),
	)
	if err != nil {
		return nil, err
	}
	run.Warnings = r.warnings()
	if infos == 0 {
		run.Info.ID = filepath.Base(dir)
		run.Warnings = append(run.Warnings, EventsFile+": no readable run line: scenario, target and start are unknown")
	}
	run.Info.CutShort = run.CutShort
	return run, nil
}

func (run *Run) addMetric(kind string, line []byte) error {
	switch kind {
	case kindScrape:
		return appendDecoded(&run.Scrapes, line)
	case kindProbe:
		return appendDecoded(&run.Probes, line)
	case kindHost:
		return appendDecoded(&run.Hosts, line)
	case kindProc:
		return appendDecoded(&run.Procs, line)
	}
	return fmt.Errorf("unknown kind %q", kind)
}

func appendDecoded[T any](to *[]T, line []byte) error {
	var x T
	if err := json.Unmarshal(line, &x); err != nil {
		return err
	}
	*to = append(*to, x)
	return nil
}

func decodeAs(kind, want string, line []byte, to any) error {
	if kind != want {
		return fmt.Errorf("unknown kind %q", kind)
	}
	return json.Unmarshal(line, to)
}

// checkFolder refuses what cannot be a run folder: neither events nor frames in it.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &NotRunError{Dir: dir, Reason: "it does not exist"}
	case err != nil:
		return fmt.Errorf("run folder: %w", err)
	case !info.IsDir():
		return &NotRunError{Dir: dir, Reason: "it is a file"}
	}
	for _, name := range []string{EventsFile, FramesFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return nil
		}
	}
	return &NotRunError{Dir: dir, Reason: "it has neither " + EventsFile + " nor " + FramesFile}
}

// reader reads the files of a folder line by line and collects what was wrong with them.
type reader struct {
	dir   string
	notes []string
	bad   int
}

func (r *reader) warnings() []string {
	if r.bad > namedBadLines {
		return append(r.notes, fmt.Sprintf("%d more damaged lines", r.bad-namedBadLines))
	}
	return r.notes
}

// damaged notes a line that was left out.
func (r *reader) damaged(name string, line int, why error) {
	if r.bad++; r.bad <= namedBadLines {
		r.notes = append(r.notes, fmt.Sprintf("%s:%d: left out: %v", name, line, why))
	}
}

var (
	errTorn     = errors.New("torn: captest was killed while writing it")
	errTooLong  = fmt.Errorf("longer than %d bytes", longestLine)
	errTooMany  = fmt.Errorf("more than %d lines: the rest is not read", mostLines)
	errNotPlain = errors.New("not a regular file")
)

// file calls each for every sound line. An error of each makes the line a damaged one.
func (r *reader) file(name string, each func(kind string, line []byte) error) error {
	path := filepath.Join(r.dir, name)
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		r.notes = append(r.notes, name+": missing")
		return nil
	} else if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, errNotPlain) // a pipe would hang the reader
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case n > mostLines:
			r.notes = append(r.notes, fmt.Sprintf("%s:%d: %v", name, n, errTooMany))
			return nil
		case errors.Is(err, io.EOF):
			r.damaged(name, n, errTorn)
			return nil
		case errors.Is(err, errTooLong):
			r.damaged(name, n, err)
			continue
		case err != nil:
			return fmt.Errorf("run folder: %s:%d: %w", path, n, err)
		}
		if err := r.one(line, each); err != nil {
			r.damaged(name, n, err)
		}
	}
}

func (r *reader) one(line []byte, each func(kind string, line []byte) error) error {
	if err := checkLine(line); err != nil {
		return err
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	return each(head.Kind, line)
}

// readLine returns the next line without its newline; io.EOF with what there is when the last one has none. A line that is
// too long is skipped whole, without holding it.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if !long && len(line)+len(part) > longestLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			return nil, errTooLong
		}
		if err != nil {
			return line, err
		}
		return line[:len(line)-1], nil
	}
}
