package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Files of a run folder.
const (
	FramesFile  = "frames.jsonl"
	MetricsFile = "metrics.jsonl"
	EventsFile  = "events.jsonl"
	LedgerFile  = "ledger.jsonl"
	ResultFile  = "run.json"
	PageFile    = "report.html"
)

// Kinds of lines other than events, whose kind is their own.
const (
	kindFrame  = "frame"
	kindScrape = "scrape"
	kindProbe  = "probe"
	kindHost   = "host"
	kindProc   = "process"
	kindLedger = "block"
)

// Folder is a run folder being written. Its files are append-only and every line is handed to the operating system in one
// write before the call returns, so a kill at any instant tears at most the line being written. Safe for concurrent use.
type Folder struct {
	dir                             string
	frames, metrics, events, ledger *appender

	mu  sync.Mutex
	err error
}

// appender writes whole lines to one file.
type appender struct {
	mu   sync.Mutex
	file *os.File
	line []byte
}

// Create makes the folder `<UTC time>-<scenario>-<target>` under parent, readable by the owner alone, and opens its files.
// Two runs that start within the same second get different folders.
func Create(parent, scenario, target string, now time.Time) (*Folder, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	name := now.UTC().Format("20060102T150405Z") + "-" + fileName(scenario) + "-" + fileName(target)
	dir, err := makeFresh(filepath.Join(parent, name))
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	f := &Folder{dir: dir}
	for _, x := range []struct {
		name string
		to   **appender
	}{{FramesFile, &f.frames}, {MetricsFile, &f.metrics}, {EventsFile, &f.events}, {LedgerFile, &f.ledger}} {
		file, err := os.OpenFile(filepath.Join(dir, x.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("run folder: %w", err), f.Close())
		}
		*x.to = &appender{file: file}
	}
	return f, nil
}

// makeFresh makes a directory that did not exist: path, or path-2, path-3 and so on.
func makeFresh(path string) (string, error) {
	const attempts = 10_000
	dir := path
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o700)
		if err == nil || !errors.Is(err, fs.ErrExist) || n > attempts {
			return dir, err
		}
		dir = fmt.Sprintf("%s-%d", path, n)
	}
}

// fileName makes any text (a target may be a URL) part of a file name.
func fileName(text string) string {
	const longest = 60
	var b strings.Builder
	for _, c := range strings.ToLower(text) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
		if b.Len() == longest {
			break
		}
	}
	if name := strings.Trim(b.String(), "-."); name != "" {
		return name
	}
	return "unnamed"
}

// Dir is the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Event appends to events.jsonl.
func (f *Folder) Event(e Event) { f.append(f.events, "", e) }

// Frame appends to frames.jsonl.
func (f *Folder) Frame(x Frame) { f.append(f.frames, kindFrame, x) }

// Scrape appends to metrics.jsonl. Values that are no numbers (NaN, infinities) are left out: JSON has no word for them.
func (f *Folder) Scrape(s Scrape) {
	for _, v := range s.Values {
		if !finite(v) {
			s.Values = finiteValues(s.Values)
			break
		}
	}
	f.append(f.metrics, kindScrape, s)
}

// Probe appends to metrics.jsonl.
func (f *Folder) Probe(p Probe) { f.append(f.metrics, kindProbe, p) }

// Host appends to metrics.jsonl.
func (f *Folder) Host(h HostReading) { f.append(f.metrics, kindHost, h) }

// Process appends to metrics.jsonl.
func (f *Folder) Process(p ProcessReading) { f.append(f.metrics, kindProc, p) }

// Reserve appends to ledger.jsonl and returns once it is on the disk: only then may identities of the block be used.
func (f *Folder) Reserve(b LedgerBlock) error {
	if err := f.ledger.write(kindLedger, b, true); err != nil {
		return f.remember(LedgerFile, err)
	}
	return nil
}

// Err is the first error of any append, nil while all went well.
func (f *Folder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Close closes the files and returns the first error of all that was written. Nothing may be appended after it.
func (f *Folder) Close() error {
	for _, a := range []*appender{f.frames, f.metrics, f.events, f.ledger} {
		if a == nil {
			continue
		}
		a.mu.Lock()
		if a.file != nil {
			err := errors.Join(toDisk(a.file), a.file.Close())
			a.file = nil
			if err != nil {
				_ = f.remember("close", err)
			}
		}
		a.mu.Unlock()
	}
	return f.Err()
}

func (f *Folder) append(a *appender, kind string, v any) {
	if err := a.write(kind, v, false); err != nil {
		_ = f.remember(kind, err)
	}
}

func (f *Folder) remember(what string, err error) error {
	err = fmt.Errorf("run folder %s: write %s: %w", f.dir, what, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	return err
}

// write appends one line; sync waits until it is on the disk.
func (a *appender) write(kind string, v any, sync bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return fs.ErrClosed
	}
	line, err := appendLine(a.line[:0], kind, v)
	if err != nil {
		return err
	}
	if a.line = line; cap(line) > keepLine {
		a.line = nil
	}
	if _, err := a.file.Write(line); err != nil {
		return err
	}
	if sync {
		return toDisk(a.file)
	}
	return nil
}

// keepLine bounds the buffer an appender keeps between lines.
const keepLine = 1 << 20

// WriteResult writes run.json: whole or not at all.
func (f *Folder) WriteResult(r *Result) error { return WriteResult(f.dir, r) }

// WriteResult writes run.json into a run folder: whole or not at all.
func WriteResult(dir string, r *Result) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", ResultFile, err)
	}
	file, err := os.CreateTemp(dir, ResultFile+".*") // CreateTemp makes it 0600
	if err != nil {
		return fmt.Errorf("%s: %w", ResultFile, err)
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, toDisk(file), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, ResultFile))
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("%s: %w", ResultFile, err)
	}
	return nil
}

// toDisk waits until a file's content is on the disk. A file system that cannot sync at all (some network and in-memory ones
// say so) keeps what a kill of captest leaves; only a power cut could lose it.
func toDisk(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func finiteValues(values map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(values))
	for k, v := range values {
		if finite(v) {
			out[k] = v
		}
	}
	return out
}
