package targets

import (
	"fmt"
	"slices"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// CheckServices says whether the target has every service that steps name ("" is the entry). The error is a
// *NoServiceError with all that are missing.
func (t *Target) CheckServices(names []string) error {
	e := &NoServiceError{Target: t.Name, File: t.File}
	for _, s := range t.Services {
		e.Known = append(e.Known, s.Name)
	}
	for _, name := range names {
		if _, ok := t.Find(name); !ok && !slices.Contains(e.Missing, name) {
			e.Missing = append(e.Missing, name)
		}
	}
	if len(e.Missing) == 0 {
		return nil
	}
	return e
}

// NoServiceError is a scenario that needs services its target does not have.
type NoServiceError struct {
	Target, File   string
	Missing, Known []string
}

// Error names them all, each with the nearest the target does have.
func (e *NoServiceError) Error() string {
	var said []string
	for _, name := range e.Missing {
		s := fmt.Sprintf("%q", name)
		if nearest := yamlfile.Nearest(name, e.Known); nearest != "" {
			s += fmt.Sprintf(" (did you mean %q?)", nearest)
		}
		said = append(said, s)
	}
	return fmt.Sprintf("target %s has no service %s; it has %s", e.Target, strings.Join(said, ", "), strings.Join(e.Known, ", "))
}

// Hint says where to add the first.
func (e *NoServiceError) Hint() string {
	name := e.Missing[0]
	if e.File == "--target" {
		return fmt.Sprintf("name it: --target %s=http://127.0.0.1:8080 (several with commas between)", name)
	}
	return fmt.Sprintf("add it under services: in %s: %s: {url: \"http://…\"}", e.File, name)
}

// RoleNames are the roles a target file can give to metrics whose names captest does not know by itself.
func RoleNames() []string {
	return []string{
		"pool.in_use", "pool.max", "pool.idle", "pool.waiting", "pool.wait_sum",
		"sem.in_use", "sem.max", "sem.available", "sem.waiting", "sem.wait_sum",
		"hash.busy", "hash.max", "hash.queue",
		"loop.busy_sum", "loop.lag", "requests.in_progress", "requests.max", "retries",
		"gc.pause_sum", "gc.pauses",
	}
}
