package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/captest/captest/internal/yamlfile"
)

// The built-in scenarios are ordinary files, written to be read and copied.
//
//go:embed *.yaml
var builtin embed.FS

// Builtins names the built-in scenarios in alphabetical order.
func Builtins() []string {
	entries, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		return nil // only a malformed pattern fails
	}
	for i, e := range entries {
		entries[i] = strings.TrimSuffix(e, ".yaml")
	}
	slices.Sort(entries)
	return entries
}

// BuiltinFile gives the text of a built-in scenario.
func BuiltinFile(name string) ([]byte, bool) {
	data, err := builtin.ReadFile(name + ".yaml")
	return data, err == nil
}

// Load reads a built-in scenario by its name, or a file by its path; a vegeta target file is one too. A file with mistakes gives an *yamlfile.Errors with
// all of them; a name that is neither gives a *NotFoundError.
func Load(nameOrFile string) (*Scenario, error) {
	if data, ok := BuiltinFile(nameOrFile); ok {
		return Parse(nameOrFile+".yaml (built-in)", data)
	}
	data, err := yamlfile.ReadUpTo(nameOrFile, vegetaMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundError{Name: nameOrFile}
	}
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return Parse(nameOrFile, data)
}

// NotFoundError is a scenario that is neither built in nor a file.
type NotFoundError struct{ Name string }

// Error names the nearest built-in scenario.
func (e *NotFoundError) Error() string {
	if nearest := yamlfile.Nearest(e.Name, Builtins()); nearest != "" {
		return fmt.Sprintf("no scenario or file %q (did you mean %q?)", e.Name, nearest)
	}
	return fmt.Sprintf("no scenario or file %q", e.Name)
}

// Hint lists what is built in.
func (e *NotFoundError) Hint() string {
	return "give a file, or one of the built-in scenarios: " + strings.Join(Builtins(), ", ")
}

// Parse reads the text of a scenario, or of a vegeta target file; file is its name in messages, and its folder is where rows
// are looked for. Mistakes give an *yamlfile.Errors.
func Parse(file string, data []byte) (*Scenario, error) {
	if isVegeta(data) {
		return parseVegeta(file, data, openBody)
	}
	doc, err := yamlfile.Parse(file, data)
	if err != nil {
		return nil, err
	}
	r := reader{folder: filepath.Dir(file), scenario: &Scenario{File: file}}
	r.read(doc.Root())
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return r.scenario, nil
}
