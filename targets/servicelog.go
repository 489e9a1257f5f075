package targets

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	tailBytes = 4 << 10
	tailLines = 10
)

// serviceLog is the log file of one service over all its restarts. It is bounded: a service that spams must not fill the
// disk of the machine that tests it. A write never fails: a closed pipe would end the service.
type serviceLog struct {
	path string

	mu    sync.Mutex
	file  *os.File
	left  int64  // bytes that may still be written
	full  bool   // said so already
	tail  []byte // the end of what the current process wrote, whether it went to the file or not
	err   error  // first failed write
	limit int64
}

func openServiceLog(path string, limit int64) (*serviceLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &serviceLog{path: path, file: f, left: limit, limit: limit}, nil
}

// Write keeps what fits and accepts the rest unseen.
func (l *serviceLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p[max(0, len(p)-tailBytes):]...)
	if over := len(l.tail) - tailBytes; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	l.keep(p)
	return len(p), nil
}

// Note adds a line of captest's own.
func (l *serviceLog) Note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep([]byte("captest: " + fmt.Sprintf(format, args...) + "\n"))
}

func (l *serviceLog) keep(p []byte) {
	if l.full || l.err != nil {
		return
	}
	if int64(len(p)) > l.left {
		l.full = true
		fits := p[:l.left]
		// Whole lines only, so that the last one can be read (and parsed). A single endless line is cut.
		if end := bytes.LastIndexByte(fits, '\n'); end >= 0 {
			fits = fits[:end+1]
		} else if len(fits) > 0 {
			fits = append(bytes.Clone(fits), '\n')
		}
		p = append(bytes.Clone(fits), fmt.Sprintf("captest: this log ends here: it reached its limit of %d bytes\n", l.limit)...)
	}
	n, err := l.file.Write(p)
	l.left -= int64(n)
	l.err = err
}

// Fresh forgets the tail: what follows is another process.
func (l *serviceLog) Fresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = l.tail[:0]
}

// Tail gives the last lines that the current process wrote.
func (l *serviceLog) Tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.tail
	if len(text) == tailBytes { // begins in the middle of a line
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			text = text[end+1:]
		}
		for len(text) > 0 && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	trimmed := strings.TrimRight(string(text), "\r\n")
	if trimmed == "" {
		return nil
	}
	lines := strings.Split(trimmed, "\n")
	return lines[max(0, len(lines)-tailLines):]
}

// Close closes the file and gives the first write that failed.
func (l *serviceLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
