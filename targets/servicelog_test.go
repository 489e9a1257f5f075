package targets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServiceLog(t *testing.T) {
	const ends = "captest: this log ends here: it reached its limit of 20 bytes\n"
	for _, x := range []struct {
		name   string
		writes []string
		file   string
		tail   []string
	}{
		{"nothing", nil, "", nil},
		{"fits", []string{"one\n", "two\n"}, "one\ntwo\n", []string{"one", "two"}},
		{"exactly", []string{"0123456789012345678\n"}, "0123456789012345678\n", []string{"0123456789012345678"}},
		{"whole lines", []string{"one\ntwo\n0123456789\n0123\n"}, "one\ntwo\n0123456789\n" + ends, []string{"one", "two", "0123456789", "0123"}},
		{"then nothing more", []string{"0123456789\n", "0123456789\n", "one\n"}, "0123456789\n012345678\n" + ends, []string{"0123456789", "0123456789", "one"}},
		{"an endless line", []string{strings.Repeat("x", 30)}, strings.Repeat("x", 20) + "\n" + ends, []string{strings.Repeat("x", 30)}},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			l, err := openServiceLog(path, 20)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range x.writes {
				if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("write gives %d, %v", n, err)
				}
			}
			if diff := cmp.Diff(x.tail, l.Tail()); diff != "" {
				t.Error(diff)
			}
			l.Fresh()
			if tail := l.Tail(); tail != nil {
				t.Errorf("fresh, but with %q", tail)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(x.file, string(text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServiceLogTailIsBounded(t *testing.T) {
	l, err := openServiceLog(filepath.Join(t.TempDir(), "log"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 10_000 {
		_, _ = l.Write([]byte(strings.Repeat("é", 50) + string(rune('a'+i%26)) + "\n"))
	}
	tail := l.Tail()
	if len(tail) != tailLines || cap(l.tail) > 4*tailBytes {
		t.Errorf("%d lines, %d bytes kept", len(tail), cap(l.tail))
	}
	for _, line := range tail {
		if len(line) != 101 {
			t.Errorf("line is not whole: %q", line)
		}
	}
	long := strings.Repeat("é", 5000)
	_, _ = l.Write([]byte(long))
	if tail := l.Tail(); len(tail) != 1 || strings.Trim(tail[0], "é") != "" {
		t.Errorf("of a long line: %.40q", tail)
	}
}

// TestServiceLogOutlivesAFullDisk is here with a closed file: the service must not notice.
func TestServiceLogOutlivesAFullDisk(t *testing.T) {
	l, err := openServiceLog(filepath.Join(t.TempDir(), "log"), 100)
	if err != nil {
		t.Fatal(err)
	}
	l.file.Close()
	if n, err := l.Write([]byte("one\n")); n != 4 || err != nil {
		t.Errorf("write gives %d, %v", n, err)
	}
	if err := l.Close(); err == nil {
		t.Error("the lost line is not told")
	}
}
