package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/targets"
)

func TestRestartHook(t *testing.T) {
	t.Parallel()
	if restartHook(&targets.Target{Services: []targets.Service{{Name: "a"}}}) != nil {
		t.Error("a target without restart commands has a hook")
	}
	mark := filepath.Join(t.TempDir(), "mark")
	hook := restartHook(&targets.Target{Name: "stub", Services: []targets.Service{
		{Name: "a", Restart: "echo restarted > " + mark},
		{Name: "b"},
		{Name: "bad", Restart: "echo no such unit >&2; exit 3"},
	}})
	if err := hook(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(mark); err != nil || string(text) != "restarted\n" {
		t.Errorf("%q, %v", text, err)
	}
	for service, want := range map[string]string{"b": `service "b" has no restart command`, "bad": "exit status 3: no such unit"} {
		if err := hook(t.Context(), service); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", service, err, want)
		}
	}
}

func TestRestartHookIsBoundedInTime(t *testing.T) {
	t.Parallel()
	began := time.Now()
	if err := runHook(context.Background(), "sleep 60", 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within") {
		t.Errorf("%v", err)
	}
	if err := runHook(t.Context(), "sleep 20 & true", 30*time.Second); err != nil { // the service itself keeps its output open
		t.Errorf("a command that leaves a service behind: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
}
