package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/captest/captest/"

// allowed is the import table of docs/architecture.md: for each room, which of our rooms it may import. Change it when
// there is a reason, and the table in the document with it.
var allowed = map[string][]string{
	"internal/schedule":          {},
	"internal/yamlfile":          {},
	"internal/record":            {},
	"internal/experiment/search": {},
	"scenarios":                  {"internal/schedule", "internal/yamlfile"},
	"targets":                    {"services", "internal/yamlfile"},
	"internal/observe":           {"targets", "internal/record"},
	"internal/drive":             {"scenarios", "targets", "internal/schedule", "internal/record"},
	"internal/experiment":        {"internal/experiment/search", "internal/queueing", "internal/schedule", "internal/drive", "internal/record", "internal/observe", "scenarios", "targets"},
	"internal/queueing":          {},
	"internal/diagnose":          {"internal/record", "internal/queueing"},
	"internal/gate":              {"internal/record", "internal/diagnose", "scenarios"},
	"report":                     {"internal/record", "internal/diagnose", "internal/gate"},
	"internal/tui":               {"internal/record", "internal/diagnose"},
	"internal/validate":          {},
	"services/kit":               {},
	"services/kit/storetest":     {},
	"services/kill-bill":         {"services/kit"},
	"services/user-service":      {"services/kit"},
	"services/billing-service":   {"services/kit"},
	"services/instance-service":  {"services/kit"},
	"services":                   {"services/kit", "services/kill-bill", "services/user-service", "services/billing-service", "services/instance-service"},
	"cmd/captest":                nil, // everything; and nobody imports it
}

// forbidden are parts of the standard library that would give a room powers it must not have.
var forbidden = map[string][]string{
	"internal/schedule":          {"os", "net", "net/http"},
	"internal/queueing":          {"os", "net", "net/http", "time"},
	"internal/diagnose":          {"os", "net", "net/http"},
	"internal/gate":              {"os", "net", "net/http"},
	"internal/experiment/search": {"os", "net", "net/http", "time", "context", "math/rand", "math/rand/v2"},
}

func TestImportTable(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(p.ImportPath, module)
		seen[room] = true
		may, known := allowed[room]
		if !known {
			t.Errorf("room %s is not in the import table", room)
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains(forbidden[room], i) {
				t.Errorf("%s imports %s, which it must never", room, i)
			}
			ours, ok := strings.CutPrefix(i, module)
			if ok && (ours == "cmd/captest" || may != nil && !slices.Contains(may, ours)) {
				t.Errorf("%s imports %s, which the import table does not allow", room, ours)
			}
		}
	}
	for room := range allowed {
		if !seen[room] {
			t.Errorf("room %s of the import table does not exist", room)
		}
	}
}
