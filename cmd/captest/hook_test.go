package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/targets"
)

func TestRestartHook(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	if restartHook(&targets.Target{Services: []targets.Service{{Name: "a"}}}, &said) != nil {
		t.Error("a target without restart commands has a hook")
	}
	mark := filepath.Join(t.TempDir(), "mark")
	hook := restartHook(&targets.Target{Name: "stub", Services: []targets.Service{
		{Name: "a", Restart: "echo restarted > " + mark},
		{Name: "b"},
		{Name: "bad", Restart: "TOKEN=s3cret; echo no unit for $TOKEN >&2; exit 3"},
	}}, &said)
	if err := hook(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(mark); err != nil || string(text) != "restarted\n" {
		t.Errorf("%q, %v", text, err)
	}
	for service, want := range map[string]string{"b": `service "b" has no restart command`, "bad": "bad restart: its command failed (exit status 3)"} {
		if err := hook(t.Context(), service); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s, and nothing of the command", service, err, want)
		}
	}
	if want := "bad restart: its command failed (exit status 3); it said: no unit for s3cret\n"; said.String() != want {
		t.Errorf("for the user alone: %q, want %q", said.String(), want)
	}
}

func TestRestartHookIsBoundedInTime(t *testing.T) {
	t.Parallel()
	began := time.Now()
	if err := runHook(context.Background(), "a restart", "sleep 60", 100*time.Millisecond, io.Discard); err == nil || !strings.Contains(err.Error(), "did not end within") || strings.Contains(err.Error(), "sleep") {
		t.Errorf("%v", err)
	}
	if err := runHook(t.Context(), "a restart", "sleep 20 & true", 30*time.Second, io.Discard); err != nil { // the service itself keeps its output open
		t.Errorf("a command that leaves a service behind: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
}
