package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

func TestSettingsOfATargetFile(t *testing.T) {
	t.Parallel()
	if s := settingsOf(&targets.Target{Services: []targets.Service{{Name: "a", Restart: "true"}}}, io.Discard); s.at != nil || s.change != nil || s.suspect("") != nil {
		t.Error("a target without knobs has settings")
	}
	mark := filepath.Join(t.TempDir(), "mark")
	var said bytes.Buffer
	s := settingsOf(&targets.Target{Name: "stub", Entry: "a", Services: []targets.Service{
		{Name: "a", Knobs: []targets.Knob{{Name: "workers", Value: "4", Command: "echo {{value}} {{value}} > " + mark}}},
		{Name: "b", Knobs: []targets.Knob{{Name: "db_pool", Value: "5", Command: "echo no such unit {{value}} >&2; exit 3"}}},
	}}, &said)
	if v, ok := s.at("a", "workers"); v != "4" || !ok {
		t.Errorf("workers stand at %q, %v", v, ok)
	}
	if _, ok := s.at("", "workers"); ok {
		t.Error("a service without a name has a knob")
	}
	if err := s.change(t.Context(), "a", "workers", "8"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(mark); err != nil || string(text) != "8 8\n" {
		t.Errorf("%q, %v", text, err)
	}
	for _, c := range []struct{ service, setting, value, want string }{
		{"a", "db_pool", "10", `service "a" has no knob db_pool; add it under knobs: in the target file`},
		{"c", "workers", "8", `service "c" has no knob workers`},
		{"b", "db_pool", "10", "b.db_pool: its command failed (exit status 3)"},
		{"a", "workers", "8; touch /tmp/x", "is no plain value"},
	} {
		if err := s.change(t.Context(), c.service, c.setting, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s.%s=%s: %v, want %s", c.service, c.setting, c.value, err, c.want)
		}
	}
	if !strings.HasSuffix(said.String(), "it said: no such unit 10\n") {
		t.Errorf("for the user alone: %q", said.String())
	}
}

// TestBundledSettings: each setting that a target file may have is a knob of the bundled services.
func TestBundledSettings(t *testing.T) {
	t.Parallel()
	b := &bundled{}
	s := b.settings(&targets.Target{Bundled: true, Profile: "phase2", Set: map[string]string{"fault": "semaphore-too-small", "user.hash_cost": "4"}})
	want := map[string]string{
		"user.workers": "4", "user.hash": "pool", "user.hash_cost": "4", "user.hash_pool": "cpus", "user.db_pool": "5", "user.lock": "none", "user.client": "pooled",
		"kill-bill.slots": "27", "kill-bill.time": "200ms", "billing.pool.kill-bill": "20", "billing.semaphore.kill-bill": "1",
	}
	if len(want) != len(targets.KnobNames()) {
		t.Errorf("%d settings are looked at, target files know %d", len(want), len(targets.KnobNames()))
	}
	for name, value := range want {
		service, setting, _ := strings.Cut(name, ".")
		if got, ok := s.at(service, setting); got != value || !ok {
			t.Errorf("%s stands at %q, %v, want %s", name, got, ok, value)
		}
		if err := services.CheckKnobs("phase2", map[string]string{service + "." + bundledKnob(setting): value}); err != nil {
			t.Error(err)
		}
	}
	if _, ok := s.at("kill-bill", "workers"); ok {
		t.Error("kill-bill has workers")
	}
}

// settingsPutBack gives the knob test of a run and holds the settings that were changed, if any, against what the services wrote:
// each was changed and put back. What the figures came to is the machine's business.
func settingsPutBack(t *testing.T, dir string, r *record.Result) record.Test {
	t.Helper()
	run, err := record.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var knob record.Test
	stands, changed := map[string][]string{}, false
	for _, e := range run.Events {
		var s record.Setting
		switch e.Kind {
		case record.EventTest:
			var found record.Test
			if err := json.Unmarshal(e.Data, &found); err != nil {
				t.Error(err)
			}
			if found.Name == record.TestKnob {
				knob = found
			}
		case record.EventSetting:
			if err := json.Unmarshal(e.Data, &s); err != nil {
				t.Error(err)
			}
			stands[s.Service+" "+bundledKnob(s.Name)] = append(stands[s.Service+" "+bundledKnob(s.Name)], s.From, s.To)
			changed = true
		}
	}
	if knob.Name == "" || (knob.Values == nil) == (knob.Skipped == "") {
		t.Errorf("the knob test says %+v, want figures or why there are none", knob)
	}
	for at, values := range stands {
		service, name, _ := strings.Cut(at, " ")
		log, err := os.ReadFile(filepath.Join(dir, "services", service+".log"))
		if err != nil {
			t.Fatal(err)
		}
		var ran []string
		for _, m := range regexp.MustCompile(`"`+name+`":"([^"]+)"`).FindAllSubmatch(log, -1) {
			ran = append(ran, string(m[1]))
		}
		if n := len(values); n != 4 || values[0] != values[3] || len(ran) < 3 || !slices.Equal(ran[len(ran)-3:], []string{values[0], values[1], values[3]}) {
			t.Errorf("%s.%s: changed %q, ran with %q", service, name, values, ran)
		}
	}
	if x := r.Connections.Target["user"]; changed && r.Recovery.Restart == nil && x.Restarts > 0 {
		t.Errorf("user restarted %d times by the test, which counts as its own", x.Restarts)
	}
	return knob
}
